// What a mask protects comes from another picture, at the latent's noise level:
// x = mask * x + (1 - mask) * (signal * clean + noise * eps), in place. One invocation per element; arithmetic in f32.

struct Params {
  count: u32,     // elements of x [N, H, W, C]
  channels: u32,
  cleanSize: u32,  // elements of clean: those of x, or of one image for all
  maskSize: u32,   // elements of mask [N or 1, H, W, 1]
}

@group(0) @binding(0) var<storage, read> clean: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<f32>;  // 1: of x, 0: of clean
@group(0) @binding(2) var<storage, read> noise: array<f32>;
@group(0) @binding(3) var<storage, read> scalars: array<f32>;  // 0 signal, 1 noise
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let m = mask[(i / params.channels) % params.maskSize];
  let kept = scalars[0] * clean[i % params.cleanSize] + scalars[1] * noise[i];
  x[i] = m * x[i] + (1.0 - m) * kept;
}
