// y = act(x * scale + shift) with scale and shift of each channel of one image. Layout NHWC. One invocation per four
// elements. The last of three steps of group normalisation on large images.
//#import lib/activation.wgsl

alias T = f32;                // element type of x and y
const ACT: u32 = 0;
const VECTOR: u32 = 1;        // 1: the channel count is a multiple of 4
const IN_PLACE: u32 = 0;      // 1: x lies in y

struct Params {
  count: u32,     // elements in the bound window
  channels: u32,
  imageSize: u32, // elements of each image in the window
  image: u32,     // first image of the window
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> scaleShift: array<vec4f>;  // of each image the scales, then the shifts
@group(0) @binding(2) var<storage, read_write> y: array<vec4<T>>;
@group(0) @binding(3) var<uniform> params: Params;

fn source(i: u32) -> vec4<T> {
  if (IN_PLACE == 1) { return y[i]; }
  return x[i];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ((group.y * groups.x + group.x) * 256u + lane) * 4u;
  if (i >= params.count) { return; }
  if (VECTOR == 1) {
    let quads = params.channels / 4u;
    let at = (params.image + i / params.imageSize) * 2u * quads + i / 4u % quads;
    y[i / 4u] = vec4<T>(activate4(ACT, vec4f(source(i / 4u)) * scaleShift[at] + scaleShift[at + quads]));
    return;
  }
  for (var j = i; j < min(i + 4u, params.count); j++) {
    let at = (params.image + j / params.imageSize) * 2u * params.channels + j % params.channels;
    let shift = at + params.channels;
    let value = f32(source(i / 4u)[j % 4u]) * scaleShift[at / 4u][at % 4u] + scaleShift[shift / 4u][shift % 4u];
    y[i / 4u][j % 4u] = T(activate(ACT, value));
  }
}
