// What is added to a product before it is stored: bias of the output channel, bias of (image, channel) such as the
// time embedding, an activation, a residual. The importing file declares the bindings and the params that are named here.
//#import lib/activation.wgsl

fn finish(row: u32, column: u32, image: u32, sum: f32) {
  var value = sum;
  if (BIAS == 1) { value += bias[column]; }
  if (CHANNEL_BIAS == 1) { value += f32(channelBias[image * params.outputs + column]); }
  value = activate(ACT, value);
  let at = row * params.outputs + column;
  if (RESIDUAL == 1) { value += f32(residual[at]); }
  y[at] = O(value);
}
