// The same function as conv2d.wgsl for adapters that run on a CPU: there workgroup memory and barriers cost more than
// they save. One invocation computes 8 pixels x 4 channels from storage alone; per tap and four input channels it loads
// 12 vec4 for 128 multiply-adds. Such drivers also compile slowly, in proportion to a power of the code's length, so
// options are params here instead of constants (two pipelines serve a model), and what is not hot is a loop.
// Channels must be a multiple of 4. Gated: the weight holds values and then gates, an invocation takes two columns of each,
// and y is value * act(gate).
//#import lib/direct.wgsl

alias T = f32;            // element type of x, the channel bias and the residual
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y
const ACT: u32 = 0;       // activation of the result
const GATED: u32 = 0;

@compute @workgroup_size(8, 4)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x * COLUMNS;
  let row = id.y * 8u;
  if (column >= params.outputs || row >= params.rows) { return; }
  let quads = params.channels / 4u;
  let outputs = weightRows(column);
  let rows = outputs * (params.inner / 4u);
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
  let shift = biasOf(outputs);
  let count = min(COLUMNS, params.outputs - column);
  var sums = array<vec4f, 8>(s0, s1, s2, s3, s4, s5, s6, s7);
  for (var r = 0u; r < min(params.block, params.rows - row); r++) { finish(row + r, column, count, sums[r] + shift); }
}
