// One step of denoising diffusion implicit models (Song et al. 2021, eq. 12) with classifier-free guidance:
// x = sqrt(alphaPrev) * x0 + direction * eps + sigma * noise, in place. x0 is written too, for previews.
// One invocation per element; all arithmetic in f32.
//#import lib/ddim.wgsl

const GUIDED: u32 = 0;      // 1: eps holds [unconditional, conditional]
const PREDICTION: u32 = 0;  // 0 epsilon, 1 v, 2 sample
const CLIP: u32 = 0;        // 1: x0 is clipped to +-clipRange; 2: dynamic thresholding (Saharia et al. 2022, 2.3)
const REDERIVE: u32 = 0;    // 1: eps is derived anew from the clipped x0
const NOISE: u32 = 0;       // 1: noise is added (eta > 0)

struct Params {
  count: u32,      // elements of x
  size: u32,       // elements per image
  clipRange: f32,  // with dynamic thresholding: the largest threshold
}

@group(0) @binding(0) var<storage, read> eps: array<f32>;
@group(0) @binding(1) var<storage, read> noise: array<f32>;
@group(0) @binding(2) var<storage, read> threshold: array<f32>;
@group(0) @binding(3) var<storage, read> scalars: array<f32>;
@group(0) @binding(4) var<storage, read_write> x: array<f32>;
@group(0) @binding(5) var<storage, read_write> x0: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  var p = predict(i);
  if (CLIP == 1) { p.x0 = clamp(p.x0, -params.clipRange, params.clipRange); }
  if (CLIP == 2) {
    let limit = clamp(threshold[i / params.size], 1.0, params.clipRange);
    p.x0 = clamp(p.x0, -limit, limit) / limit;
  }
  if (REDERIVE == 1) { p.eps = (x[i] - scalars[1] * p.x0) / scalars[2]; }
  var next = scalars[3] * p.x0 + scalars[4] * p.eps;
  if (NOISE == 1) { next += scalars[5] * noise[i]; }
  x[i] = next;
  x0[i] = p.x0;
}
