// U[p][o][c] = (G g Gᵀ)[p] of each 3 x 3 kernel g = weight[o, ., ., c], p over 6 x 6 places: what stands in for the weight
// in convolutions by Winograd's F(4 x 4, 3 x 3) (Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural
// Networks", section 4.3). One invocation per output and four input channels.

alias W = f32;  // stored type of the weight

struct Params {
  outputs: u32,      // of this part of the weight
  firstOutput: u32,  // at which it starts
  channels: u32,     // a multiple of 4
}

@group(0) @binding(0) var<storage, read> weight: array<vec4<W>>;  // [O, 3, 3, C]
@group(0) @binding(1) var<storage, read_write> u: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

// G times a column of three.
fn spread(a: vec4f, b: vec4f, c: vec4f) -> array<vec4f, 6> {
  let even = (a + c) * (-1.0 / 6.0);
  let odd = b * (1.0 / 6.0);
  let wide = a * (1.0 / 24.0) + c * (1.0 / 6.0);
  let half = b * (1.0 / 12.0);
  return array<vec4f, 6>(a * 0.25, even - odd, even + odd, wide + half, wide - half, c);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let fours = params.channels / 4u;
  if (i >= params.outputs * fours) { return; }
  let source = ((i / fours + params.firstOutput) * 9u) * fours + i % fours;
  var columns: array<array<vec4f, 6>, 3>;
  /*#unroll*/ for (var x = 0u; x < 3u; x++) {
    columns[x] = spread(
      vec4f(weight[source + x * fours]),
      vec4f(weight[source + (3u + x) * fours]),
      vec4f(weight[source + (6u + x) * fours]),
    );
  }
  /*#unroll*/ for (var y = 0u; y < 6u; y++) {
    let row = spread(columns[0][y], columns[1][y], columns[2][y]);
    /*#unroll*/ for (var x = 0u; x < 6u; x++) { u[(y * 6u + x) * params.outputs * fours + i] = row[x]; }
  }
}
