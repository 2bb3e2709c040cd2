// Adds up the layers that a product in splits left behind, in order, and finishes it: y = act(sum + bias + channel bias)
// + residual. One invocation per four columns of a row.
//#import lib/activation.wgsl

alias T = f16;            // element type of the channel bias and the residual
alias O = f16;            // element type of y
const ACT: u32 = 0;       // see lib/activation.wgsl
const BIAS: u32 = 0;
const CHANNEL_BIAS: u32 = 0;
const RESIDUAL: u32 = 0;

struct Params {
  rows: u32,
  quads: u32,       // columns / 4
  splits: u32,
  imageRows: u32,   // rows of one image
  firstRow: u32,    // of this band, among all images
}

@group(0) @binding(0) var<storage, read> parts: array<vec4f>;
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;
@group(0) @binding(2) var<storage, read> channelBias: array<vec4<T>>;
@group(0) @binding(3) var<storage, read> residual: array<vec4<T>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<O>>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (group.y * groups.x + group.x) * 128u + lane;
  let count = params.rows * params.quads;
  if (at >= count) { return; }
  var value = vec4f();
  for (var split = 0u; split < params.splits; split++) { value += parts[split * count + at]; }
  let column = at % params.quads;
  if (BIAS == 1) { value += bias[column]; }
  if (CHANNEL_BIAS == 1) {
    let image = (params.firstRow + at / params.quads) / params.imageRows;
    value += vec4f(channelBias[image * params.quads + column]);
  }
  if (ACT > 0) { value = vec4f(activate(ACT, value.x), activate(ACT, value.y), activate(ACT, value.z), activate(ACT, value.w)); }
  if (RESIDUAL == 1) { value += vec4f(residual[at]); }
  y[at] = vec4<O>(value);
}
