// y[i] = x[i % size] * scale + shift: scales, converts the element type, and repeats x where y is larger.
// One invocation per element of y.

alias T = f32;                // element type of x
alias O = f32;                // element type of y

struct Params {
  count: u32,     // elements of y
  size: u32,      // elements of x
  scale: f32,
  shift: f32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<O>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i < params.count) { y[i] = O(f32(x[i % params.size]) * params.scale + params.shift); }
}
