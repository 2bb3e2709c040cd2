// y = (x - mean) / sqrt(variance + eps) * weight + bias, mean and biased variance over the last axis.
// One workgroup per row.
//#import lib/reduce.wgsl

alias T = f32;                // element type of x and y
const WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  channels: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) { return; }
  let base = row * params.channels;
  var sum = 0.0;
  for (var c = lane; c < params.channels; c += WORKGROUP) { sum += f32(x[base + c]); }
  let mean = workgroupSum(lane, sum) / f32(params.channels);
  var squares = 0.0;
  for (var c = lane; c < params.channels; c += WORKGROUP) {
    let d = f32(x[base + c]) - mean;
    squares += d * d;
  }
  let scale = inverseSqrt(workgroupSum(lane, squares) / f32(params.channels) + params.eps);
  for (var c = lane; c < params.channels; c += WORKGROUP) {
    y[base + c] = T((f32(x[base + c]) - mean) * scale * weight[c] + bias[c]);
  }
}
