// One step of a sampler, whichever it is: the new latent and the registers (earlier outputs, a saved latent) are linear
// combinations of x, x0, eps, fresh noise and the registers' old values, with weights from a table. All in place; x0 is
// written too, for previews. One invocation per element, which reads everything before it writes; arithmetic in f32.
//#import lib/prediction.wgsl

const GUIDED: u32 = 0;      // 1: output holds [unconditional, conditional]
const RESCALE: u32 = 0;     // 1: with guidance rescale
const PREDICTION: u32 = 0;  // 0 epsilon, 1 v, 2 sample
const CLIP: u32 = 0;        // 1: x0 is clipped to +-clipRange; 2: dynamic thresholding (Saharia et al. 2022, 2.3)
const REDERIVE: u32 = 0;    // 1: eps is derived anew from the clipped x0
const NOISE: u32 = 0;       // 1: there is fresh noise
const REGISTERS: u32 = 0;

// Of scalars, as core/stepScalars.ts has them.
const ROWS: u32 = 8;
const STRIDE: u32 = 9;

struct Params {
  count: u32,      // elements of x
  size: u32,       // elements per image
  clipRange: f32,  // with dynamic thresholding: the largest threshold
}

@group(0) @binding(0) var<storage, read> output: array<f32>;
@group(0) @binding(1) var<storage, read> noise: array<f32>;
@group(0) @binding(2) var<storage, read> threshold: array<f32>;  // per image
@group(0) @binding(3) var<storage, read> factor: array<f32>;     // per image
@group(0) @binding(4) var<storage, read> scalars: array<f32>;
@group(0) @binding(5) var<storage, read_write> x: array<f32>;
@group(0) @binding(6) var<storage, read_write> registers: array<f32>;  // [REGISTERS, count]
@group(0) @binding(7) var<storage, read_write> x0: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

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

  var values: array<f32, STRIDE>;
  values[0] = x[i];
  values[1] = p.x0;
  values[2] = p.eps;
  if (NOISE == 1) { values[3] = noise[i]; }
  for (var r = 0u; r < REGISTERS; r++) { values[4u + r] = registers[r * params.count + i]; }

  for (var row = 0u; row <= REGISTERS; row++) {
    var sum = 0.0;
    for (var k = 0u; k < 4u + REGISTERS; k++) {
      let weight = scalars[ROWS + row * STRIDE + k];
      // Registers hold anything before they are first written, not-a-number included.
      if (weight != 0.0) { sum += weight * values[k]; }
    }
    if (row == 0u) { x[i] = sum; } else { registers[(row - 1u) * params.count + i] = sum; }
  }
  x0[i] = p.x0;
}
