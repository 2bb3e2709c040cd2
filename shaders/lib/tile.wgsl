// The inner part of a product A · Bᵀ. A workgroup computes TILE x TILE outputs with (TILE/4)² invocations, each a block
// of 4 x 4. Slices of 16 along the inner axis are staged in workgroup memory as vec4 along that axis; the odd row
// stride (5 vec4) keeps neighbouring rows in different banks. Sums are f32.
// The importing file declares TILE, fills tileA and tileB with the next slice, LOADS vec4 an invocation and operand (row
// slot (lane + i * INVOCATIONS) / 4, quarter lane % 4), and calls multiplySlice between two barriers.

const INVOCATIONS: u32 = TILE * TILE / 16u;
const LOADS: u32 = TILE * 4u / INVOCATIONS; // vec4 that each invocation stages per slice and operand
const STRIDE: u32 = 5u;

var<workgroup> tileA: array<vec4f, TILE * STRIDE>;
var<workgroup> tileB: array<vec4f, TILE * STRIDE>;

fn multiplySlice(lane: u32, acc: ptr<function, array<vec4f, 4>>) {
  let row = lane / (TILE / 4u) * 4u * STRIDE;
  let column = lane % (TILE / 4u) * 4u * STRIDE;
  for (var k = 0u; k < 4u; k++) {
    let b0 = tileB[column + k];
    let b1 = tileB[column + STRIDE + k];
    let b2 = tileB[column + 2u * STRIDE + k];
    let b3 = tileB[column + 3u * STRIDE + k];
    for (var i = 0u; i < 4u; i++) {
      let a = tileA[row + i * STRIDE + k];
      (*acc)[i] += vec4f(dot(a, b0), dot(a, b1), dot(a, b2), dot(a, b3));
    }
  }
}
