// The inner part of a product A · Bᵀ. A workgroup computes TILE_M x TILE_N outputs; each invocation owns 4 QM rows by
// 4 QN columns of them and adds outer products, so that a slice of DEPTH along the inner axis costs (QM + QN) reads of
// 16 bytes for every 16 QM QN multiplications. Sums are f32.
// Tiles lie with the inner axis outermost, [k][quad of rows], the quads of an invocation spread over the QM parts of a
// tile: neighbours then read neighbouring quads. Filling transposes, and quads are exchanged by `k / 4` (an exclusive
// or) so that invocations that write different k write to different banks. The many small dimensions keep the bounds
// checks of WebGPU on indices that do not change in the loop.
// With two buffers a slice is fetched while the one before it is multiplied, and a slice costs one barrier.
// The importing file declares TILE_M, TILE_N, QM and QN.
//
// On an H100, 8 x 8 outputs an invocation, TFLOP/s in f16 / f32: product 8192 x 320 x 2560 in blocks of 128 x 128 36 / 34, of
// 128 x 64 32 / 36, of 64 x 64 31 / 35; convolution 640 to 640 at 32 x 32 (2 images, shared by 4) in blocks of 128 x 64
// 31 / 30, of 64 x 64 29 / 28; Dawn's bounds checks cost 3%. Lost there: one buffer (35 / -), slices of 16 in one
// buffer (32 / -), 16 x 8 outputs (25 / 28), 8 x 4 (26 / -), and sums of 16 products in f16 (35, twice the error).

const DEPTH: u32 = 8u;                             // of a slice of the inner axis
const BUFFERS: u32 = 2u;
const PARTS_M: u32 = TILE_M / (4u * QM);           // quads in each part of a tile of A
const PARTS_N: u32 = TILE_N / (4u * QN);
const INVOCATIONS: u32 = PARTS_M * PARTS_N;
const FOURS: u32 = DEPTH / 4u;                      // vec4 along the inner axis of a slice
const LOADS_A: u32 = TILE_M * FOURS / INVOCATIONS;  // vec4 that each invocation fetches of a slice
const LOADS_B: u32 = TILE_N * FOURS / INVOCATIONS;
const NEAR_N: u32 = min(8u, PARTS_N);               // a subgroup covers a compact block: it reads the fewest quads so
const NEAR_M: u32 = min(4u, PARTS_M);

var<workgroup> tileA: array<array<array<array<vec4f, PARTS_M>, QM>, DEPTH>, BUFFERS>;
var<workgroup> tileB: array<array<array<array<vec4f, PARTS_N>, QN>, DEPTH>, BUFFERS>;

// Where an invocation's quads lie: (of rows, of columns). Of every four neighbours two share their rows and two their
// columns, so that their reads of 16 bytes join.
fn placeOf(lane: u32) -> vec2u {
  let block = lane / (NEAR_M * NEAR_N);
  let corner = vec2u(block / (PARTS_N / NEAR_N) * NEAR_M, block % (PARTS_N / NEAR_N) * NEAR_N);
  let two = lane / 4u % (NEAR_M * NEAR_N / 4u);
  return corner + vec2u(lane % 2u + two / (NEAR_N / 2u) * 2u, lane / 2u % 2u + two % (NEAR_N / 2u) * 2u);
}

fn exchange(four: u32, parts: u32) -> u32 {
  return (four * (32u / DEPTH)) & (parts - 1u);
}

// Stores v, four values along the inner axis, of a row (slot) of the tile.
fn fillA(buffer: u32, slot: u32, four: u32, v: vec4f) {
  let part = slot / 4u / PARTS_M;
  let quad = (slot / 4u % PARTS_M) ^ exchange(four, PARTS_M);
  for (var j = 0u; j < 4u; j++) { tileA[buffer][four * 4u + j][part][quad][slot % 4u] = v[j]; }
}

fn fillB(buffer: u32, slot: u32, four: u32, v: vec4f) {
  let part = slot / 4u / PARTS_N;
  let quad = (slot / 4u % PARTS_N) ^ exchange(four, PARTS_N);
  for (var j = 0u; j < 4u; j++) { tileB[buffer][four * 4u + j][part][quad][slot % 4u] = v[j]; }
}

const OWN: u32 = 4u * QM * QN; // fours of sums that an invocation keeps

// Row i of an invocation's block is sums[i * QN ..+ QN].
fn multiplySlice(buffer: u32, place: vec2u, sums: ptr<function, array<vec4f, OWN>>) {
  for (var k = 0u; k < DEPTH; k++) {
    let atA = place.x ^ exchange(k / 4u, PARTS_M);
    let atB = place.y ^ exchange(k / 4u, PARTS_N);
    var b: array<vec4f, QN>;
    for (var n = 0u; n < QN; n++) { b[n] = tileB[buffer][k][n][atB]; }
    for (var m = 0u; m < QM; m++) {
      let a = tileA[buffer][k][m][atA];
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
