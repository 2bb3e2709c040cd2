// conv2dDirect.wgsl with its loads shared: neighbouring invocations compute the same pixels, so each of a subgroup reads some of
// them and tells the others. There a load costs each invocation by itself, which makes them most of the time: with
// subgroups of 8 (lavapipe) a product takes half of it, with subgroups of 4 (SwiftShader) four fifths.
// Subgroups are taken to be neighbours by index, and eight neighbours to compute the same pixels of different channels.
enable subgroups;
//#import lib/direct.wgsl

alias T = f32;            // element type of x, the channel bias and the residual
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y
const ACT: u32 = 0;       // activation of the result
const GATED: u32 = 0;
const SUBGROUP: u32 = 4;  // 4 or 8 invocations

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  let column = (group.x * 8u + index % 8u) * COLUMNS;
  let row = (group.y * 4u + index / 8u) * 8u;
  let own = row + index % SUBGROUP;  // the pixels that the invocation reads: this one, and the fourth from it
  let quads = params.channels / 4u;
  let outputs = weightRows(column);
  let rows = outputs * (params.inner / 4u);
  let w0 = rows.x;
  let w1 = rows.y;
  let w2 = rows.z;
  let w3 = rows.w;
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
    let p = sourceOf(own, ky, kx);
    let q = u32(max(p, 0));
    let found = select(0u, 1u, p >= 0);
    var nextQ = q;
    var nextFound = found;
    if (SUBGROUP == 4) {
      let next = sourceOf(own + 4u, ky, kx);
      nextQ = u32(max(next, 0));
      nextFound = select(0u, 1u, next >= 0);
    }
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
      let mine = vec4f(x[q + c]);
      var more = mine;
      if (SUBGROUP == 4) { more = vec4f(x[nextQ + c]); }
      var v = subgroupBroadcast(mine, 0u);
      t0 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = subgroupBroadcast(mine, 1u);
      t1 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = subgroupBroadcast(mine, 2u);
      t2 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = subgroupBroadcast(mine, 3u);
      t3 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = subgroupBroadcast(more, 4u % SUBGROUP);
      t4 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = subgroupBroadcast(more, 5u % SUBGROUP);
      t5 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = subgroupBroadcast(more, 6u % SUBGROUP);
      t6 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
      v = subgroupBroadcast(more, 7u % SUBGROUP);
      t7 += vec4f(dot(v, a), dot(v, b), dot(v, d), dot(v, e));
    }
    // What was read in place of the padding does not count.
    s0 += select(vec4f(), t0, subgroupBroadcast(found, 0u) == 1u);
    s1 += select(vec4f(), t1, subgroupBroadcast(found, 1u) == 1u);
    s2 += select(vec4f(), t2, subgroupBroadcast(found, 2u) == 1u);
    s3 += select(vec4f(), t3, subgroupBroadcast(found, 3u) == 1u);
    s4 += select(vec4f(), t4, subgroupBroadcast(nextFound, 4u % SUBGROUP) == 1u);
    s5 += select(vec4f(), t5, subgroupBroadcast(nextFound, 5u % SUBGROUP) == 1u);
    s6 += select(vec4f(), t6, subgroupBroadcast(nextFound, 6u % SUBGROUP) == 1u);
    s7 += select(vec4f(), t7, subgroupBroadcast(nextFound, 7u % SUBGROUP) == 1u);
  }
  if (column >= params.outputs || row >= params.rows) { return; }
  let shift = biasOf(outputs);
  let count = min(COLUMNS, params.outputs - column);
  var sums = array<vec4f, 8>(s0, s1, s2, s3, s4, s5, s6, s7);
  for (var r = 0u; r < min(params.block, params.rows - row); r++) { finish(row + r, column, count, sums[r] + shift); }
}
