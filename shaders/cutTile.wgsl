// y = the tile of x [N, height, width, C] that `place` names, scaled: y[r, c] = x[image, row * step + r, column * step + c]
// * scale + shift, with place = (image, row, column) of the tile. One invocation per element of y.

struct Params {
  count: u32,      // elements of y
  channels: u32,
  height: u32,     // of x
  width: u32,
  tileWidth: u32,
  step: u32,       // from one tile to the next
  scale: f32,
  shift: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> place: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let pixel = i / params.channels;
  let row = place[1] * params.step + pixel / params.tileWidth;
  let column = place[2] * params.step + pixel % params.tileWidth;
  let at = ((place[0] * params.height + row) * params.width + column) * params.channels + i % params.channels;
  y[i] = x[at] * params.scale + params.shift;
}
