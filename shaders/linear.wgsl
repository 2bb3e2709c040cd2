// y[m, o] = sum over i of x[m, i] * weight[o, i], plus what lib/epilogue4.wgsl adds. x [M, I], weight [O, I], y [M, O].
// One workgroup per TILE_M x TILE_N block of y and share of the inner axis: with several shares (the grid's z) y holds the
// sums of each, without epilogue, one after the other; sumSplits.wgsl adds them. linearReference.wgsl is the plain form.
// Gated: the weight [2 O, I] holds values and then gates, and y is their product by lib/gated4.wgsl. A tile is values in its
// first half and the gates of the same columns in its second, so that one invocation has both.
//#import lib/gated4.wgsl
//#import lib/tile.wgsl

alias T = f32;            // element type of x and of the residual
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y
const TILE_M: u32 = 64;   // rows a workgroup
const TILE_N: u32 = 64;   // columns a workgroup
const QM: u32 = 2;        // quads of rows an invocation
const QN: u32 = 2;        // quads of columns an invocation
const VECTOR: u32 = 1;    // the inner size is 0: any number, 1: a multiple of 4, 2: a multiple of DEPTH
const WIDE: u32 = 1;      // 1: the number of outputs is a multiple of 4
const ACT_IN: u32 = 0;
const ACT: u32 = 0;
const BIAS: u32 = 0;
const CHANNEL_BIAS: u32 = 0;
const RESIDUAL: u32 = 0;
const GATED: u32 = 0;     // 1: gated, which wants QN = 2 and a single share

struct Params {
  rows: u32,       // M
  outputs: u32,    // O
  inner: u32,      // I
  imageRows: u32,  // rows that share a channelBias
  share: u32,      // slices of the inner axis that one workgroup multiplies
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<W>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> channelBias: array<vec4<T>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<T>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<O>>;
@group(0) @binding(6) var<uniform> params: Params;

fn loadX(row: u32, k: u32) -> vec4<T> {
  var v = vec4<T>();
  if (row >= params.rows) { return v; }
  let at = row * params.inner + k;
  if (VECTOR == 2) { return x[at / 4u]; }
  if (k >= params.inner) { return v; }
  if (VECTOR == 1) { return x[at / 4u]; }
  for (var j = 0u; j < 4u; j++) {
    if (k + j < params.inner) { v[j] = x[(at + j) / 4u][(at + j) % 4u]; }
  }
  return v;
}

const COLUMNS: u32 = TILE_N / (1u + GATED);  // of y, a workgroup
const RESULTS: u32 = QN / (1u + GATED);      // quads of columns of y, an invocation
const GATES: u32 = QN - RESULTS;             // from a quad of values to that of their gates

fn loadWeight(firstColumn: u32, slot: u32, k: u32) -> vec4<W> {
  var v = vec4<W>();
  var column = firstColumn + slot;
  var row = column;
  if (GATED == 1) {
    column = firstColumn + slot % COLUMNS;
    row = slot / COLUMNS * params.outputs + column;
  }
  if (column >= params.outputs) { return v; }
  let at = row * params.inner + k;
  if (VECTOR == 2) { return weight[at / 4u]; }
  if (k >= params.inner) { return v; }
  if (VECTOR == 1) { return weight[at / 4u]; }
  for (var j = 0u; j < 4u; j++) {
    if (k + j < params.inner) { v[j] = weight[(at + j) / 4u][(at + j) % 4u]; }
  }
  return v;
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstRow = group.y * TILE_M;
  let firstColumn = group.x * COLUMNS;
  let place = placeOf(lane);
  let four = lane % FOURS;
  let slices = (params.inner + DEPTH - 1u) / DEPTH;
  let first = group.z * params.share;
  let last = min(first + params.share, slices);
  var k = first * DEPTH + four * 4u;
  var a: array<vec4<T>, LOADS_A>;
  var b: array<vec4<W>, LOADS_B>;
  var sums: array<vec4f, OWN>;
  var buffer = 0u;

  // Each round fetches slice s, multiplies slice s - 1 meanwhile, and stages slice s.
  for (var s = first; s <= last; s++) {
    if (s < last) {
      for (var i = 0u; i < LOADS_A; i++) { a[i] = loadX(firstRow + (lane + i * INVOCATIONS) / FOURS, k); }
      for (var i = 0u; i < LOADS_B; i++) { b[i] = loadWeight(firstColumn, (lane + i * INVOCATIONS) / FOURS, k); }
      k += DEPTH;
    }
    if (s > first) { multiplySlice(buffer, place, &sums); }
    buffer = 1u - buffer;
    if (s < last) {
      for (var i = 0u; i < LOADS_A; i++) {
        fillA(buffer, (lane + i * INVOCATIONS) / FOURS, four, activate4(ACT_IN, vec4f(a[i])));
      }
      for (var i = 0u; i < LOADS_B; i++) { fillB(buffer, (lane + i * INVOCATIONS) / FOURS, four, vec4f(b[i])); }
    }
    workgroupBarrier();
  }

  for (var i = 0u; i < 4u * QM; i++) {
    let row = firstRow + (i / 4u * PARTS_M + place.x) * 4u + i % 4u;
    if (row >= params.rows) { continue; }
    for (var n = 0u; n < RESULTS; n++) {
      let column = firstColumn + (n * PARTS_N + place.y) * 4u;
      if (column >= params.outputs) { continue; }
      let sum = sums[i * QN + n];
      if (GATED == 1) {
        finishGated4(row, column, sum, sums[i * QN + n + GATES]);
      } else {
        finish4(group.z * params.rows + row, column, row / params.imageRows, sum);
      }
    }
  }
}
