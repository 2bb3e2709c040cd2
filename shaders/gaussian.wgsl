// The diagonal Gaussian of a first stage: moments [pixels, 2C] hold mean, then log-variance (clamped to [-30, 20]).
// y = scale * (mean + exp(logvar / 2) * noise) + shift; with SAMPLE 0 the mean alone. One invocation per element of y.

alias T = f32;                // element type of the moments
const SAMPLE: u32 = 0;

struct Params {
  count: u32,     // elements of y
  channels: u32,  // C
  scale: f32,
  shift: f32,
}

@group(0) @binding(0) var<storage, read> moments: array<T>;
@group(0) @binding(1) var<storage, read> noise: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let at = i / params.channels * params.channels * 2u + i % params.channels;
  var value = f32(moments[at]);
  if (SAMPLE == 1) {
    value += exp(0.5 * clamp(f32(moments[at + params.channels]), -30.0, 20.0)) * noise[i];
  }
  y[i] = value * params.scale + params.shift;
}
