// The end of a gated product, for four neighbouring columns of values and their gates: value * act(gate), each with its
// bias; those of the gates follow those of the values. The importing file declares what lib/epilogue4.wgsl asks for.
//#import lib/epilogue4.wgsl

fn finishGated4(row: u32, column: u32, value: vec4f, gate: vec4f) {
  var v = value;
  var g = gate;
  let at = row * params.outputs + column;
  if (WIDE == 1) {
    if (BIAS == 1) {
      v += bias[column / 4u];
      g += bias[(params.outputs + column) / 4u];
    }
    y[at / 4u] = vec4<O>(v * activate4(ACT, g));
    return;
  }
  for (var j = 0u; j < min(4u, params.outputs - column); j++) {
    if (BIAS == 1) {
      let c = column + j;
      v[j] += bias[c / 4u][c % 4u];
      g[j] += bias[(params.outputs + c) / 4u][(params.outputs + c) % 4u];
    }
    let i = at + j;
    y[i / 4u][i % 4u] = O(v[j] * activate(ACT, g[j]));
  }
}
