// The same function as conv2d.wgsl for adapters that run on a CPU: there workgroup memory and barriers cost more than
// they save. One invocation computes 8 pixels x 4 channels from storage alone; per tap and four input channels it loads
// 12 vec4 for 128 multiply-adds. Such drivers also compile slowly, in proportion to a power of the code's length, so
// options are params here instead of constants (one pipeline serves a model), and what is not hot is a loop.
// Channels must be a multiple of 4. Gated: the weight holds values and then gates, an invocation takes two columns of each,
// and y is value * act(gate).
//#import lib/activation.wgsl

alias T = f32;            // element type of x, the channel bias and the residual
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y

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

fn finish(row: u32, column: u32, sum: f32, gate: f32) {
  var value = sum;
  if (params.hasBias == 1u) { value += bias[column]; }
  if (params.hasChannelBias == 1u) {
    let image = (params.firstRow + row / params.outWidth) / params.outHeight;
    value += f32(channelBias[image * params.outputs + column]);
  }
  if (params.gated == 1u) {
    var g = gate;
    if (params.hasBias == 1u) { g += bias[params.outputs + column]; }
    value *= activate(params.act, g);
  } else {
    value = activate(params.act, value);
  }
  let at = row * params.outputs + column;
  if (params.hasResidual == 1u) { value += f32(residual[at]); }
  y[at] = O(value);
}

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let columns = select(4u, 2u, params.gated == 1u);
  let column = id.x * columns;
  let row = id.y * 8u;
  if (column >= params.outputs || row >= params.rows) { return; }
  let quads = params.channels / 4u;
  let last = params.outputs - 1u;
  var rows = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(last));
  if (params.gated == 1u) { rows = vec4u(rows.xy, rows.xy + params.outputs); }
  rows *= params.inner / 4u;
  let w0 = rows.x;
  let w1 = rows.y;
  let w2 = rows.z;
  let w3 = rows.w;
  var sources: array<i32, 8>;
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  var s4 = vec4f();
  var s5 = vec4f();
  var s6 = vec4f();
  var s7 = vec4f();
  let taps = params.inner / params.channels;
  for (var tap = 0u; tap < taps; tap++) {
    let ky = i32(tap / params.kernelWidth) - params.padTop;
    let kx = i32(tap % params.kernelWidth) - params.padLeft;
    for (var r = 0u; r < params.block; r++) { sources[r] = sourceOf(row + r, ky, kx); }
    let p0 = sources[0];
    let p1 = sources[1];
    let p2 = sources[2];
    let p3 = sources[3];
    let p4 = sources[4];
    let p5 = sources[5];
    let p6 = sources[6];
    let p7 = sources[7];
    let q0 = u32(max(p0, 0));
    let q1 = u32(max(p1, 0));
    let q2 = u32(max(p2, 0));
    let q3 = u32(max(p3, 0));
    let q4 = u32(max(p4, 0));
    let q5 = u32(max(p5, 0));
    let q6 = u32(max(p6, 0));
    let q7 = u32(max(p7, 0));
    var t0 = vec4f();
    var t1 = vec4f();
    var t2 = vec4f();
    var t3 = vec4f();
    var t4 = vec4f();
    var t5 = vec4f();
    var t6 = vec4f();
    var t7 = vec4f();
    for (var c = 0u; c < quads; c++) {
      let k = tap * quads + c;
      let a = vec4f(weight[w0 + k]);
      let b = vec4f(weight[w1 + k]);
      let d = vec4f(weight[w2 + k]);
      let e = vec4f(weight[w3 + k]);
      var v = vec4f(x[q0 + c]);
      t0 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = vec4f(x[q1 + c]);
      t1 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = vec4f(x[q2 + c]);
      t2 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = vec4f(x[q3 + c]);
      t3 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = vec4f(x[q4 + c]);
      t4 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = vec4f(x[q5 + c]);
      t5 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = vec4f(x[q6 + c]);
      t6 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = vec4f(x[q7 + c]);
      t7 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
    }
    // What was read in place of the padding does not count. A choice at each load would cost up to a quarter of the time.
    s0 += select(vec4f(), t0, p0 >= 0);
    s1 += select(vec4f(), t1, p1 >= 0);
    s2 += select(vec4f(), t2, p2 >= 0);
    s3 += select(vec4f(), t3, p3 >= 0);
    s4 += select(vec4f(), t4, p4 >= 0);
    s5 += select(vec4f(), t5, p5 >= 0);
    s6 += select(vec4f(), t6, p6 >= 0);
    s7 += select(vec4f(), t7, p7 >= 0);
  }
  var sums = array<vec4f, 8>(s0, s1, s2, s3, s4, s5, s6, s7);
  for (var r = 0u; r < min(params.block, params.rows - row); r++) {
    for (var j = 0u; j < min(columns, params.outputs - column); j++) {
      finish(row + r, column + j, sums[r][j], sums[r][(j + 2u) % 4u]);
    }
  }
}
