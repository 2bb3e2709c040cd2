// What conv2dDirect.wgsl and conv2dSubgroup.wgsl have in common: where a tap of a pixel is read, and what is added to sums.
// The importing file declares T, W, O, ACT and GATED.
//#import lib/activation.wgsl

const COLUMNS: u32 = select(4u, 2u, GATED == 1); // of an invocation

struct Params {
  rows: u32,
  outputs: u32,
  inner: u32,
  channels: u32,
  kernelWidth: u32,
  height: u32,
  width: u32,
  gatherHeight: u32,
  gatherWidth: u32,
  outHeight: u32,
  outWidth: u32,
  stride: u32,
  padTop: i32,
  padLeft: i32,
  firstRow: u32,
  firstSource: u32,
  block: u32,         // 8, the pixels of an invocation; unknown to the compiler, or it would unroll
  hasBias: u32,
  hasChannelBias: u32,
  hasResidual: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<W>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> channelBias: array<T>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> y: array<O>;
@group(0) @binding(6) var<uniform> params: Params;

// vec4 index of x under a tap for an output pixel of the band; -1 in the padding and beyond the band.
fn sourceOf(row: u32, ky: i32, kx: i32) -> i32 {
  let line = params.firstRow + row / params.outWidth;
  let iy = i32(line % params.outHeight * params.stride) + ky;
  let ix = i32(row % params.outWidth * params.stride) + kx;
  let inside = iy >= 0 && ix >= 0 && iy < i32(params.gatherHeight) && ix < i32(params.gatherWidth);
  if (!inside || row >= params.rows) { return -1; }
  var sy = u32(iy);
  var sx = u32(ix);
  if (params.gatherHeight != params.height || params.gatherWidth != params.width) {
    sy = sy * params.height / params.gatherHeight;
    sx = sx * params.width / params.gatherWidth;
  }
  let source = line / params.outHeight * params.height + sy - params.firstSource;
  return i32((source * params.width + sx) * (params.channels / 4u));
}

// Rows of the weight for the columns that begin with `column`: four, or of a gated product two and their gates.
fn weightRows(column: u32) -> vec4u {
  let columns = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(params.outputs - 1u));
  if (GATED == 1) { return vec4u(columns.xy, columns.xy + params.outputs); }
  return columns;
}

fn biasOf(rows: vec4u) -> vec4f {
  if (params.hasBias == 0u) { return vec4f(); }
  return vec4f(bias[rows.x], bias[rows.y], bias[rows.z], bias[rows.w]);
}

// Of four columns, or of a gated product two values and their gates; fewer at the end of a row.
fn finish(row: u32, column: u32, count: u32, sums: vec4f) {
  let at = row * params.outputs + column;
  let image = (params.firstRow + row / params.outWidth) / params.outHeight;
  let shift = image * params.outputs + column;
  if (count < COLUMNS) {
    for (var j = 0u; j < count; j++) {
      var value = sums[j];
      if (params.hasChannelBias == 1u) { value += f32(channelBias[shift + j]); }
      value = select(activate(ACT, value), value * activate(ACT, sums[(j + 2u) % 4u]), GATED == 1);
      if (params.hasResidual == 1u) { value += f32(residual[at + j]); }
      y[at + j] = O(value);
    }
    return;
  }
  var value = sums;
  if (GATED == 1) {
    value = vec4f(value.x * activate(ACT, value.z), value.y * activate(ACT, value.w), 0.0, 0.0);
    y[at] = O(value.x);
    y[at + 1u] = O(value.y);
    return;
  }
  if (params.hasChannelBias == 1u) {
    value += vec4f(vec4(channelBias[shift], channelBias[shift + 1u], channelBias[shift + 2u], channelBias[shift + 3u]));
  }
  if (ACT != 0) {
    value = vec4f(activate(ACT, value.x), activate(ACT, value.y), activate(ACT, value.z), activate(ACT, value.w));
  }
  if (params.hasResidual == 1u) {
    value += vec4f(vec4(residual[at], residual[at + 1u], residual[at + 2u], residual[at + 3u]));
  }
  y[at] = O(value.x);
  y[at + 1u] = O(value.y);
  y[at + 2u] = O(value.z);
  y[at + 3u] = O(value.w);
}
