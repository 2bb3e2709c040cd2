// M[p][t][o] = sum over c of V[p][t][c] * U[p][o][c] for each of the 36 places p of Winograd's F(4 x 4, 3 x 3), see
// winogradWeight.wgsl. One workgroup per TILE_M x TILE_N block of a place's product; places are the grid's z.
//#import lib/tile.wgsl

const TILE_M: u32 = 64;  // tiles a workgroup
const TILE_N: u32 = 64;  // output channels a workgroup
const QM: u32 = 2;       // quads of tiles an invocation
const QN: u32 = 2;       // quads of output channels an invocation

struct Params {
  tiles: u32,
  outputs: u32,   // a multiple of 4
  channels: u32,  // a multiple of DEPTH
}

@group(0) @binding(0) var<storage, read> v: array<vec4f>;
@group(0) @binding(1) var<storage, read> u: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4f>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstRow = group.y * TILE_M;
  let firstColumn = group.x * TILE_N;
  let place = placeOf(lane);
  let four = lane % FOURS;
  let fours = params.channels / 4u;
  // Rows beyond the last are read from the last one, and their sums never stored.
  var rows: array<u32, LOADS_A>;
  var columns: array<u32, LOADS_B>;
  for (var i = 0u; i < LOADS_A; i++) {
    let row = min(firstRow + (lane + i * INVOCATIONS) / FOURS, params.tiles - 1u);
    rows[i] = (group.z * params.tiles + row) * fours + four;
  }
  for (var i = 0u; i < LOADS_B; i++) {
    let column = min(firstColumn + (lane + i * INVOCATIONS) / FOURS, params.outputs - 1u);
    columns[i] = (group.z * params.outputs + column) * fours + four;
  }
  var a: array<vec4f, LOADS_A>;
  var b: array<vec4f, LOADS_B>;
  var sums: array<vec4f, OWN>;
  var buffer = 0u;

  // Each round fetches slice s, multiplies slice s - 1 meanwhile, and stages slice s.
  let slices = params.channels / DEPTH;
  for (var s = 0u; s <= slices; s++) {
    if (s < slices) {
      for (var i = 0u; i < LOADS_A; i++) { a[i] = v[rows[i] + s * FOURS]; }
      for (var i = 0u; i < LOADS_B; i++) { b[i] = u[columns[i] + s * FOURS]; }
    }
    if (s > 0u) { multiplySlice(buffer, place, &sums); }
    buffer = 1u - buffer;
    if (s < slices) {
      for (var i = 0u; i < LOADS_A; i++) { fillA(buffer, (lane + i * INVOCATIONS) / FOURS, four, a[i]); }
      for (var i = 0u; i < LOADS_B; i++) { fillB(buffer, (lane + i * INVOCATIONS) / FOURS, four, b[i]); }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < 4u * QM; i++) {
    let row = firstRow + (i / 4u * PARTS_M + place.x) * 4u + i % 4u;
    if (row >= params.tiles) { continue; }
    for (var n = 0u; n < QN; n++) {
      let column = firstColumn + (n * PARTS_N + place.y) * 4u;
      if (column < params.outputs) { m[((group.z * params.tiles + row) * params.outputs + column) / 4u] = sums[i * QN + n]; }
    }
  }
}
