// As lib/epilogue.wgsl, for four neighbouring columns at a time. The importing file declares the bindings, of vec4, and
// WIDE: 1 where the number of columns is a multiple of four.
//#import lib/activation.wgsl

fn finish4(row: u32, column: u32, image: u32, sum: vec4f) {
  var value = sum;
  let at = row * params.outputs + column;
  if (WIDE == 1) {
    if (BIAS == 1) { value += bias[column / 4u]; }
    if (CHANNEL_BIAS == 1) { value += vec4f(channelBias[(image * params.outputs + column) / 4u]); }
    value = activate4(ACT, value);
    if (RESIDUAL == 1) { value += vec4f(residual[at / 4u]); }
    y[at / 4u] = vec4<O>(value);
    return;
  }
  for (var j = 0u; j < 4u; j++) {
    let c = column + j;
    if (c >= params.outputs) { return; }
    var one = value[j];
    if (BIAS == 1) { one += bias[c / 4u][c % 4u]; }
    if (CHANNEL_BIAS == 1) {
      let source = image * params.outputs + c;
      one += f32(channelBias[source / 4u][source % 4u]);
    }
    one = activate(ACT, one);
    let i = at + j;
    if (RESIDUAL == 1) { one += f32(residual[i / 4u][i % 4u]); }
    y[i / 4u][i % 4u] = O(one);
  }
}
