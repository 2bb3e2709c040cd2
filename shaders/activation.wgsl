// y = act(x), element by element; see lib/activation.wgsl for the codes. One invocation per element.
//#import lib/activation.wgsl

alias T = f32;
const ACT: u32 = 1;

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i < params.count) { y[i] = T(activate(ACT, f32(x[i]))); }
}
