// Mean of each 2 x 2 block; a last odd row or column is dropped. Layout NHWC. One invocation per element of y.

alias T = f32;                // element type of x and y

struct Params {
  count: u32,     // elements of the bound window of y
  channels: u32,
  height: u32,
  width: u32,
  firstRow: u32,    // rows of y (of all images) before the bound window
  firstSource: u32, // rows of x before the bound window
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let outWidth = params.width / 2u;
  let pixel = i / params.channels;
  let line = pixel / outWidth + params.firstRow;
  let outHeight = params.height / 2u;
  let source = line / outHeight * params.height + line % outHeight * 2u - params.firstSource;
  let at = (source * params.width + pixel % outWidth * 2u) * params.channels + i % params.channels;
  let below = at + params.width * params.channels;
  let sum = f32(x[at]) + f32(x[at + params.channels]) + f32(x[below]) + f32(x[below + params.channels]);
  y[i] = T(0.25 * sum);
}
