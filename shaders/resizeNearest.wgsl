// y[n, oy, ox, c] = x[n, floor(oy * height / outHeight), floor(ox * width / outWidth), c]. One invocation per element of y.

alias T = f32;                // element type of x and y

struct Params {
  count: u32,     // elements of the bound window of y
  channels: u32,
  height: u32,
  width: u32,
  outHeight: u32,
  outWidth: u32,
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
  let pixel = i / params.channels;
  let line = pixel / params.outWidth + params.firstRow;
  let sy = line % params.outHeight * params.height / params.outHeight;
  let sx = pixel % params.outWidth * params.width / params.outWidth;
  let source = line / params.outHeight * params.height + sy - params.firstSource;
  y[i] = x[(source * params.width + sx) * params.channels + i % params.channels];
}
