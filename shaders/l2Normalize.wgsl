// y = x / max(norm of x, 1e-12) over the last axis, the norm being the square root of the sum of squares. One workgroup per
// row.
//#import lib/reduce.wgsl

alias T = f32;                // element type of x and y
const WORKGROUP: u32 = 64;

struct Params {
  rows: u32,
  channels: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y * groups.x + group.x;
  if (row >= params.rows) { return; }
  let base = row * params.channels;
  var sum = 0.0;
  for (var c = lane; c < params.channels; c += WORKGROUP) {
    let value = f32(x[base + c]);
    sum += value * value;
  }
  let scale = 1.0 / max(sqrt(workgroupSum(lane, sum)), 1e-12);
  for (var c = lane; c < params.channels; c += WORKGROUP) { y[base + c] = T(f32(x[base + c]) * scale); }
}
