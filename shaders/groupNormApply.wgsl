// y = act(x * scale + shift) with scale and shift of each channel of one image. Layout NHWC. One invocation per element.
// The last of three steps of group normalisation on large images.
//#import lib/activation.wgsl

alias T = f32;                // element type of x and y
const ACT: u32 = 0;

struct Params {
  count: u32,     // elements in the bound window
  channels: u32,
  imageSize: u32, // elements of each image in the window
  image: u32,     // first image of the window
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> scaleShift: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let s = scaleShift[(params.image + i / params.imageSize) * params.channels + i % params.channels];
  y[i] = T(activate(ACT, f32(x[i]) * s.x + s.y));
}
