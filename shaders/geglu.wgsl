// y[r, c] = x[r, c] * gelu(x[r, channels + c]): the gated feed-forward of the transformer blocks (exact GELU).
// x holds 2 * channels values a row. One invocation per output element.
//#import lib/activation.wgsl

alias T = f32;                // element type of x and y

struct Params {
  count: u32,     // rows * channels
  channels: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let at = i / params.channels * params.channels * 2u + i % params.channels;
  y[i] = T(f32(x[at]) * gelu(f32(x[at + params.channels])));
}
