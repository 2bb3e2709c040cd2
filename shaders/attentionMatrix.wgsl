// The attention of attention.wgsl on the matrix units: scores and values both, f16 in, f32 sums, the score matrix never
// stored (Dao et al. 2022, "FlashAttention"). One workgroup per (BLOCK queries, head, image) walks over the keys KEYS at
// a time; each of its subgroups owns ROWS * MATRIX_M queries and keeps their outputs in matrices.
// The entries of a matrix cannot be reached, so scores pass through workgroup memory on their way to weights, and
// outputs are rescaled rarely: weights are 2^(score - top) with a top that follows the running maximum only once that is
// LAG ahead. Weights up to 2^LAG cost f16 nothing, and sums are f32.
// Wants head sizes in multiples of 8; rows are staged with zeros up to DEPTH channels. Heads whose outputs would not fit
// in registers are given to several workgroups: each computes all scores, and VALUES channels of the outputs.
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity); // indices of a subgroup follow from `lane`, which WGSL takes for different in each

alias T = f16;              // element type of q, k, v and y
const DEPTH: u32 = 48;      // head size rounded up to a multiple of MATRIX_K and MATRIX_N
const VALUES: u32 = 48;     // channels of v and y that one workgroup takes
const KEYS: u32 = 32;
const ROWS: u32 = 2;        // matrices of a subgroup along the queries
const SUBGROUPS: u32 = 4;
const SUBGROUP: u32 = 32;   // invocations of a subgroup
const MATRIX_M: u32 = 16;
const MATRIX_N: u32 = 16;
const MATRIX_K: u32 = 16;
const CAUSAL: u32 = 0;      // 1: a query sees keys up to its own position only

struct Params {
  queries: u32,
  keys: u32,
  headSize: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4u>;  // 8 elements each
@group(0) @binding(1) var<storage, read> k: array<vec4u>;
@group(0) @binding(2) var<storage, read> v: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4u>;
@group(0) @binding(4) var<uniform> params: Params;

const NONE: f32 = -1.0e30;                        // below every score, and differences of it stay finite
const LAG: f32 = 8.0;
const INVOCATIONS: u32 = SUBGROUPS * SUBGROUP;
const OWN: u32 = ROWS * MATRIX_M;                 // queries of a subgroup
const BLOCK: u32 = SUBGROUPS * OWN;
const LANES: u32 = SUBGROUP / OWN;                // invocations that share a row of scores
const PIECES: u32 = DEPTH / 8u;                   // of 16 bytes, in a row of q, k or v
const STRIDE: u32 = PIECES + 1u;
const QUADS: u32 = KEYS / 4u;                     // scores are taken by fours
const SCORES: u32 = QUADS + LANES;                // stride of a row of scores, in fours: no two rows of a quarter in one bank
const WEIGHTS: u32 = QUADS + 2u;
const MINE: u32 = QUADS / LANES;                  // fours of an invocation
const LOADS: u32 = (KEYS * PIECES + INVOCATIONS - 1u) / INVOCATIONS;
const ACROSS: u32 = VALUES / MATRIX_N;
const VALUE_PIECES: u32 = VALUES / 8u;
const VALUE_STRIDE: u32 = VALUE_PIECES + 1u;
const VALUES_AT: u32 = KEYS * STRIDE;             // where they are staged
const VALUE_LOADS: u32 = (KEYS * VALUE_PIECES + INVOCATIONS - 1u) / INVOCATIONS;
const PARTS: u32 = DEPTH / VALUES;                // workgroups that share a head
const AREA: u32 = MATRIX_M * MATRIX_N / 4u;       // of a matrix of results, in fours
const BUFFER: u32 = KEYS * (STRIDE + VALUE_STRIDE);
const STAGE: u32 = max(2u * BUFFER, BLOCK * STRIDE);

var<workgroup> stage: array<vec4u, STAGE>;        // queries at first, then two blocks of keys and values
var<workgroup> scores: array<vec4f, BLOCK * SCORES>;
var<workgroup> weights: array<vec2u, BLOCK * WEIGHTS>;
var<workgroup> results: array<vec4f, SUBGROUPS * AREA>;
var<workgroup> factors: array<f32, BLOCK * LANES>;
var<workgroup> behind: atomic<u32>;               // the last block for which a maximum has run ahead, plus one

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Result = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

// Where a workgroup finds its keys and values.
struct Source {
  keysAt: u32,
  width: u32,
  headPieces: u32,
  firstPiece: u32,
}

// What an invocation has of a block of keys and values.
struct Fetched {
  keys: array<vec4u, LOADS>,
  values: array<vec4u, VALUE_LOADS>,
}

fn fetch(source: Source, block: u32, lane: u32, next: ptr<function, Fetched>) {
  /*#unroll*/ for (var i = 0u; i < LOADS; i++) {
    let at = lane + i * INVOCATIONS;
    let key = block * KEYS + at / PIECES;
    let piece = at % PIECES;
    (*next).keys[i] = vec4u();
    if (key < params.keys && piece < source.headPieces) {
      (*next).keys[i] = k[source.keysAt + key * source.width + piece];
    }
  }
  /*#unroll*/ for (var i = 0u; i < VALUE_LOADS; i++) {
    let at = lane + i * INVOCATIONS;
    let key = block * KEYS + at / VALUE_PIECES;
    let piece = source.firstPiece + at % VALUE_PIECES;
    (*next).values[i] = vec4u();
    if (key < params.keys && piece < source.headPieces) {
      (*next).values[i] = v[source.keysAt + key * source.width + piece];
    }
  }
}

fn stageBlock(place: u32, lane: u32, next: ptr<function, Fetched>) {
  /*#unroll*/ for (var i = 0u; i < LOADS; i++) {
    let at = lane + i * INVOCATIONS;
    if (at < KEYS * PIECES) { stage[place + at / PIECES * STRIDE + at % PIECES] = (*next).keys[i]; }
  }
  /*#unroll*/ for (var i = 0u; i < VALUE_LOADS; i++) {
    let at = lane + i * INVOCATIONS;
    if (at < KEYS * VALUE_PIECES) {
      stage[place + VALUES_AT + at / VALUE_PIECES * VALUE_STRIDE + at % VALUE_PIECES] = (*next).values[i];
    }
  }
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let headPieces = params.headSize / 8u;
  let width = groups.y / PARTS * headPieces;
  let head = group.y / PARTS * headPieces;
  let firstPiece = group.y % PARTS * VALUE_PIECES;  // of the values and outputs, in their head
  let firstQuery = group.x * BLOCK;
  let queriesAt = group.z * params.queries * width + head;
  let keysAt = group.z * params.keys * width + head;

  for (var i = lane; i < BLOCK * PIECES; i += INVOCATIONS) {
    let row = i / PIECES;
    let piece = i % PIECES;
    var value = vec4u();
    if (firstQuery + row < params.queries && piece < headPieces) {
      value = q[queriesAt + (firstQuery + row) * width + piece];
    }
    stage[row * STRIDE + piece] = value;
  }
  workgroupBarrier();
  let subgroup = lane / SUBGROUP;
  let own = lane % SUBGROUP;
  var queries: array<array<Left, DEPTH / MATRIX_K>, ROWS>;
  /*#unroll*/ for (var i = 0u; i < ROWS; i++) {
    /*#unroll*/ for (var c = 0u; c < DEPTH / MATRIX_K; c++) {
      let at = (subgroup * OWN + i * MATRIX_M) * STRIDE + c * MATRIX_K / 8u;
      queries[i][c] = subgroupMatrixLoad<Left, row_major>(&stage, at, STRIDE);
    }
  }

  let row = subgroup * OWN + own / LANES;  // of scores, in this workgroup
  let part = own % LANES;
  let query = firstQuery + row;
  let scale = params.scale * 1.4426950408889634;  // scores in powers of two
  var top = NONE;
  var total = 0.0;
  var acc: array<array<Result, ACROSS>, ROWS>;

  var end = params.keys;
  if (CAUSAL == 1) { end = min(end, firstQuery + BLOCK); }  // later keys are seen by no query of this workgroup
  let blocks = (end + KEYS - 1u) / KEYS;
  let source = Source(keysAt, width, headPieces, firstPiece);
  // Each round multiplies a block of keys, stages the block after it beside, and fetches the one after that.
  var next: Fetched;
  fetch(source, 0u, lane, &next);
  workgroupBarrier();
  stageBlock(0u, lane, &next);
  fetch(source, 1u, lane, &next);
  workgroupBarrier();
  for (var block = 0u; block < blocks; block++) {
    let here = block % 2u * BUFFER;
    let firstKey = block * KEYS;
    /*#unroll*/ for (var j = 0u; j < KEYS / MATRIX_N; j++) {
      var sums: array<Result, ROWS>;
      /*#unroll*/ for (var i = 0u; i < ROWS; i++) { sums[i] = Result(); } // declared in a loop they would keep their values
      /*#unroll*/ for (var c = 0u; c < DEPTH / MATRIX_K; c++) {
        let keys = subgroupMatrixLoad<Right, col_major>(&stage, here + j * MATRIX_N * STRIDE + c * MATRIX_K / 8u, STRIDE);
        /*#unroll*/ for (var i = 0u; i < ROWS; i++) { sums[i] = subgroupMatrixMultiplyAccumulate(queries[i][c], keys, sums[i]); }
      }
      /*#unroll*/ for (var i = 0u; i < ROWS; i++) {
        let at = (subgroup * OWN + i * MATRIX_M) * SCORES + j * MATRIX_N / 4u;
        subgroupMatrixStore<row_major>(&scores, at, sums[i], SCORES);
      }
    }
    workgroupBarrier();
    stageBlock(BUFFER - here, lane, &next);
    fetch(source, block + 2u, lane, &next);

    var mine: array<vec4f, MINE>;
    var highest = NONE;
    /*#unroll*/ for (var i = 0u; i < MINE; i++) {
      let quad = part + i * LANES;
      mine[i] = scores[row * SCORES + quad] * scale;
      if (CAUSAL == 1 || firstKey + KEYS > end) {
        let keys = vec4u(firstKey + quad * 4u) + vec4u(0u, 1u, 2u, 3u);
        var seen = keys < vec4u(end);
        if (CAUSAL == 1) { seen = seen & (keys <= vec4u(query)); }
        mine[i] = select(vec4f(NONE), mine[i], seen);
      }
      highest = max(highest, max(max(mine[i].x, mine[i].y), max(mine[i].z, mine[i].w)));
    }
    if (highest > top + LAG) { atomicMax(&behind, block + 1u); }
    var added = 0.0;
    /*#unroll*/ for (var i = 0u; i < MINE; i++) {
      let weight = vec4<f16>(exp2(mine[i] - top)); // 0 for a key that is not seen
      weights[row * WEIGHTS + part + i * LANES] = bitcast<vec2u>(weight);
      added += dot(vec4f(weight), vec4f(1.0));
    }
    if (workgroupUniformLoad(&behind) == block + 1u) {
      // A maximum ran ahead: all rows take theirs as the new top, outputs so far shrink accordingly, and weights are made anew.
      factors[row * LANES + part] = highest;
      workgroupBarrier();
      var newTop = top;
      for (var i = 0u; i < LANES; i++) { newTop = max(newTop, factors[row * LANES + i]); }
      let factor = exp2(top - newTop);
      top = newTop;
      total *= factor;
      workgroupBarrier();
      factors[row * LANES + part] = factor;
      /*#unroll*/ for (var i = 0u; i < ROWS; i++) {
        /*#unroll*/ for (var c = 0u; c < ACROSS; c++) {
          workgroupBarrier();
          subgroupMatrixStore<row_major>(&results, subgroup * AREA, acc[i][c], MATRIX_N / 4u);
          workgroupBarrier();
          for (var at = own; at < AREA; at += SUBGROUP) {
            let owner = subgroup * OWN + i * MATRIX_M + at / (MATRIX_N / 4u);
            results[subgroup * AREA + at] *= factors[owner * LANES];
          }
          workgroupBarrier();
          acc[i][c] = subgroupMatrixLoad<Result, row_major>(&results, subgroup * AREA, MATRIX_N / 4u);
        }
      }
      added = 0.0;
      /*#unroll*/ for (var i = 0u; i < MINE; i++) {
        let weight = vec4<f16>(exp2(mine[i] - top));
        weights[row * WEIGHTS + part + i * LANES] = bitcast<vec2u>(weight);
        added += dot(vec4f(weight), vec4f(1.0));
      }
      workgroupBarrier();
    }
    total += added;

    /*#unroll*/ for (var j = 0u; j < KEYS / MATRIX_K; j++) {
      var left: array<Left, ROWS>;
      /*#unroll*/ for (var i = 0u; i < ROWS; i++) {
        let at = (subgroup * OWN + i * MATRIX_M) * WEIGHTS + j * MATRIX_K / 4u;
        left[i] = subgroupMatrixLoad<Left, row_major>(&weights, at, WEIGHTS);
      }
      /*#unroll*/ for (var c = 0u; c < ACROSS; c++) {
        let at = here + VALUES_AT + j * MATRIX_K * VALUE_STRIDE + c * MATRIX_N / 8u;
        let values = subgroupMatrixLoad<Right, row_major>(&stage, at, VALUE_STRIDE);
        /*#unroll*/ for (var i = 0u; i < ROWS; i++) { acc[i][c] = subgroupMatrixMultiplyAccumulate(left[i], values, acc[i][c]); }
      }
    }
  }

  factors[row * LANES + part] = total;
  /*#unroll*/ for (var i = 0u; i < ROWS; i++) {
    /*#unroll*/ for (var c = 0u; c < ACROSS; c++) {
      workgroupBarrier();
      subgroupMatrixStore<row_major>(&results, subgroup * AREA, acc[i][c], MATRIX_N / 4u);
      workgroupBarrier();
      for (var at = own; at < AREA / 2u; at += SUBGROUP) {
        let owner = subgroup * OWN + i * MATRIX_M + at / (MATRIX_N / 8u);
        let piece = firstPiece + c * (MATRIX_N / 8u) + at % (MATRIX_N / 8u);
        if (firstQuery + owner >= params.queries || piece >= headPieces) { continue; }
        var sum = 0.0;
        for (var l = 0u; l < LANES; l++) { sum += factors[owner * LANES + l]; }
        let low = bitcast<vec2u>(vec4<T>(results[subgroup * AREA + at * 2u] / sum));
        let high = bitcast<vec2u>(vec4<T>(results[subgroup * AREA + at * 2u + 1u] / sum));
        y[queriesAt + (firstQuery + owner) * width + piece] = vec4u(low, high);
      }
    }
  }
}
