// What conv2dDirect.wgsl and conv2dSubgroup.wgsl have in common: where a tap of a pixel is read, and what is added to sums.
// The importing file declares T, W and O.
//#import lib/activation.wgsl

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
  act: u32,           // activation of the result
  hasBias: u32,
  hasChannelBias: u32,
  hasResidual: u32,
  gated: u32,
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
  if (params.gated == 1u) { return vec4u(columns.xy, columns.xy + params.outputs); }
  return columns;
}

fn biasOf(rows: vec4u) -> vec4f {
  if (params.hasBias == 0u) { return vec4f(); }
  return vec4f(bias[rows.x], bias[rows.y], bias[rows.z], bias[rows.w]);
}

// Of up to four columns; of a gated product the first two are values, the others their gates.
fn finish(row: u32, column: u32, count: u32, sums: vec4f) {
  var value = sums;
  if (params.hasChannelBias == 1u) {
    let image = (params.firstRow + row / params.outWidth) / params.outHeight;
    for (var j = 0u; j < count; j++) { value[j] += f32(channelBias[image * params.outputs + column + j]); }
  }
  if (params.gated == 1u) {
    value = vec4f(value.x * activate(params.act, value.z), value.y * activate(params.act, value.w), 0.0, 0.0);
  } else if (params.act != 0u) {
    for (var j = 0u; j < count; j++) { value[j] = activate(params.act, value[j]); }
  }
  let at = row * params.outputs + column;
  if (params.hasResidual == 1u) {
    for (var j = 0u; j < count; j++) { value[j] += f32(residual[at + j]); }
  }
  if (count == 4u) {
    y[at] = O(value.x);
    y[at + 1u] = O(value.y);
    y[at + 2u] = O(value.z);
    y[at + 3u] = O(value.w);
  } else {
    for (var j = 0u; j < count; j++) { y[at + j] = O(value[j]); }
  }
}
