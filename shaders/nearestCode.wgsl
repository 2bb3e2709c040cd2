// Vector quantisation: indices[p] = the first code with the smallest squared distance to x[p], y[p] = that code.
// Distances are sums of squared differences, so that no cancellation changes the winner. One invocation per pixel.

alias T = f32;                // element type of x and y
alias W = f32;                // stored type of the codebook

struct Params {
  pixels: u32,
  channels: u32,
  codes: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> codebook: array<W>;
@group(0) @binding(2) var<storage, read_write> indices: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let p = (group.y * groups.x + group.x) * 64u + lane;
  if (p >= params.pixels) { return; }
  var best = 3.0e38;
  var winner = 0u;
  for (var code = 0u; code < params.codes; code++) {
    var distance = 0.0;
    for (var c = 0u; c < params.channels; c++) {
      let d = f32(x[p * params.channels + c]) - f32(codebook[code * params.channels + c]);
      distance += d * d;
    }
    if (distance < best) {
      best = distance;
      winner = code;
    }
  }
  indices[p] = winner;
  for (var c = 0u; c < params.channels; c++) { y[p * params.channels + c] = T(codebook[winner * params.channels + c]); }
}
