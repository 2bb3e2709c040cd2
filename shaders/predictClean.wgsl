// The clean latent that a denoiser's output implies, with guidance applied. One invocation per element.
//#import lib/prediction.wgsl

const GUIDED: u32 = 0;
const RESCALE: u32 = 0;
const PREDICTION: u32 = 0;

struct Params {
  count: u32,  // elements of x
  size: u32,   // elements per image
}

@group(0) @binding(0) var<storage, read> output: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> factor: array<f32>;
@group(0) @binding(3) var<storage, read> scalars: array<f32>;
@group(0) @binding(4) var<storage, read_write> x0: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i < params.count) { x0[i] = predict(i).x0; }
}
