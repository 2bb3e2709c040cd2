// y[p, :] = a[p, :] followed by b[p, :]: joins channels. One invocation per element of y.

alias T = f32;                // element type of a, b and y

struct Params {
  count: u32,     // elements of y
  channelsA: u32,
  channelsB: u32,
}

@group(0) @binding(0) var<storage, read> a: array<T>;
@group(0) @binding(1) var<storage, read> b: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let width = params.channelsA + params.channelsB;
  let pixel = i / width;
  let c = i % width;
  if (c < params.channelsA) {
    y[i] = a[pixel * params.channelsA + c];
  } else {
    y[i] = b[pixel * params.channelsB + c - params.channelsA];
  }
}
