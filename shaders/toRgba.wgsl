// Network output in [-1, 1], NHWC with three channels, to packed RGBA8: round(255 * clamp((x + 1) / 2, 0, 1)), alpha 255.
// One invocation per pixel.

alias T = f32;                // element type of x

struct Params {
  pixels: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let p = (group.y * groups.x + group.x) * 256u + lane;
  if (p >= params.pixels) { return; }
  let rgb = vec3f(f32(x[p * 3u]), f32(x[p * 3u + 1u]), f32(x[p * 3u + 2u]));
  let bytes = vec3u(round(clamp(rgb * 0.5 + 0.5, vec3f(), vec3f(1.0)) * 255.0));
  y[p] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | 0xff000000u;
}
