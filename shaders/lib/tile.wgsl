// The inner part of a product A · Bᵀ. A workgroup computes TILE_M x TILE_N outputs; each invocation owns 4 QM rows by
// 4 QN columns of them and adds outer products, so that a slice of DEPTH along the inner axis costs (QM + QN) reads of
// 16 bytes for every 16 QM QN multiplications. Sums are f32.
// Tiles lie with the inner axis outermost, [k][quad of rows], the quads of an invocation spread over the QM parts of a
// tile: neighbours then read neighbouring quads. Filling transposes, and quads are exchanged by `k / 4` (an exclusive
// or) so that invocations that write different k write to different banks. The many small dimensions keep the bounds
// checks of WebGPU on indices that do not change in the loop.
// With two buffers a slice is fetched while the one before it is multiplied, and a slice costs one barrier.
// The importing file declares TILE_M, TILE_N, QM, QN, DEPTH and BUFFERS.

const PARTS_M: u32 = TILE_M / (4u * QM);           // quads in each part of a tile of A
const PARTS_N: u32 = TILE_N / (4u * QN);
const INVOCATIONS: u32 = PARTS_M * PARTS_N;
const FOURS: u32 = DEPTH / 4u;                      // vec4 along the inner axis of a slice
const LOADS_A: u32 = TILE_M * FOURS / INVOCATIONS;  // vec4 that each invocation fetches of a slice
const LOADS_B: u32 = TILE_N * FOURS / INVOCATIONS;
const NEAR_N: u32 = min(8u, PARTS_N);               // a subgroup covers a compact block: it reads the fewest quads so
const NEAR_M: u32 = min(4u, PARTS_M);

const INTERLEAVE: u32 = 1;
const HALF: u32 = 0;
var<workgroup> tileA: array<array<array<array<vec4<S>, PARTS_M>, QM>, DEPTH>, BUFFERS>;
var<workgroup> tileB: array<array<array<array<vec4<S>, PARTS_N>, QN>, DEPTH>, BUFFERS>;

// Where an invocation's quads lie: (of rows, of columns).
fn placeOf(lane: u32) -> vec2u {
  let block = lane / (NEAR_M * NEAR_N);
  let corner = vec2u(block / (PARTS_N / NEAR_N) * NEAR_M, block % (PARTS_N / NEAR_N) * NEAR_N);
  if (INTERLEAVE == 1) {
    let two = lane / 4u % (NEAR_M * NEAR_N / 4u);
    return corner + vec2u(lane % 2u + two / (NEAR_N / 2u) * 2u, lane / 2u % 2u + two % (NEAR_N / 2u) * 2u);
  }
  return corner + vec2u(lane / NEAR_N % NEAR_M, lane % NEAR_N);
}

fn exchange(four: u32, parts: u32) -> u32 {
  return (four * (32u / DEPTH)) & (parts - 1u);
}

// Stores v, four values along the inner axis, of a row (slot) of the tile.
fn fillA(buffer: u32, slot: u32, four: u32, v: vec4f) {
  let part = slot / 4u / PARTS_M;
  let quad = (slot / 4u % PARTS_M) ^ exchange(four, PARTS_M);
  for (var j = 0u; j < 4u; j++) { tileA[buffer][four * 4u + j][part][quad][slot % 4u] = S(v[j]); }
}

fn fillB(buffer: u32, slot: u32, four: u32, v: vec4f) {
  let part = slot / 4u / PARTS_N;
  let quad = (slot / 4u % PARTS_N) ^ exchange(four, PARTS_N);
  for (var j = 0u; j < 4u; j++) { tileB[buffer][four * 4u + j][part][quad][slot % 4u] = S(v[j]); }
}

// Row i of an invocation's block is sums[i * QN ..+ QN].
fn multiplySlice(buffer: u32, place: vec2u, sums: ptr<function, array<vec4f, 4u * QM * QN>>) {
  if (HALF == 1) {
    var part: array<vec4<S>, 4u * QM * QN>;
    for (var k = 0u; k < DEPTH; k++) {
      let atA = place.x ^ exchange(k / 4u, PARTS_M);
      let atB = place.y ^ exchange(k / 4u, PARTS_N);
      var b: array<vec4<S>, QN>;
      for (var n = 0u; n < QN; n++) { b[n] = tileB[buffer][k][n][atB]; }
      for (var m = 0u; m < QM; m++) {
        let a = tileA[buffer][k][m][atA];
        let first = m * 4u * QN;
        for (var n = 0u; n < QN; n++) {
          part[first + n] += a.x * b[n];
          part[first + QN + n] += a.y * b[n];
          part[first + 2u * QN + n] += a.z * b[n];
          part[first + 3u * QN + n] += a.w * b[n];
        }
      }
    }
    for (var i = 0u; i < 4u * QM * QN; i++) { (*sums)[i] += vec4f(part[i]); }
    return;
  }
  for (var k = 0u; k < DEPTH; k++) {
    let atA = place.x ^ exchange(k / 4u, PARTS_M);
    let atB = place.y ^ exchange(k / 4u, PARTS_N);
    var b: array<vec4f, QN>;
    for (var n = 0u; n < QN; n++) { b[n] = vec4f(tileB[buffer][k][n][atB]); }
    for (var m = 0u; m < QM; m++) {
      let a = vec4f(tileA[buffer][k][m][atA]);
      let first = m * 4u * QN;
      for (var n = 0u; n < QN; n++) {
        (*sums)[first + n] += a.x * b[n];
        (*sums)[first + QN + n] += a.y * b[n];
        (*sums)[first + 2u * QN + n] += a.z * b[n];
        (*sums)[first + 3u * QN + n] += a.w * b[n];
      }
    }
  }
}
