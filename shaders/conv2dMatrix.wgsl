// The convolution of conv2d.wgsl, and as one with a single tap the linear map, on the matrix units: subgroups multiply
// MATRIX_M x MATRIX_K by MATRIX_K x MATRIX_N at once, f16 in, f32 sums. Rows are output pixels, columns output channels,
// the inner axis runs over (ky, kx, c) in slices of DEPTH channels of one tap.
// One workgroup per BLOCK_M x BLOCK_N block of the result and per split of the inner axis: ACROSS_M x ACROSS_N subgroups,
// each of which owns a part of the block. The next slice is on its way to registers while this one is multiplied; rows in
// workgroup memory are padded by 16 bytes, without which neighbouring rows share banks.
// Wants channels in multiples of DEPTH and outputs in multiples of 4. Splits leave their sums in y, one layer each, and
// sumSplits.wgsl finishes.
// Gated: the weight holds values and then gates, and y is their product by lib/gated4.wgsl. The part of a block that a
// subgroup owns is values in its first half and the gates of the same columns in its second.
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity); // indices of a subgroup follow from `lane`, which WGSL takes for different in each
//#import lib/gated4.wgsl

alias T = f16;              // element type of x, the weight, the channel bias and the residual
alias O = f16;              // element type of y
const BLOCK_M: u32 = 128;
const BLOCK_N: u32 = 128;
const DEPTH: u32 = 32;
const ACROSS_M: u32 = 2;
const ACROSS_N: u32 = 4;
const BUFFERS: u32 = 1;     // slices in workgroup memory: 1 or 2
const SUBGROUP: u32 = 32;   // invocations of a subgroup
const MATRIX_M: u32 = 16;
const MATRIX_N: u32 = 16;
const MATRIX_K: u32 = 16;
const RESIZE: u32 = 0;      // x is read as if resized (nearest) to gatherHeight x gatherWidth
const ACT: u32 = 0;         // activation of the result, see lib/activation.wgsl
const BIAS: u32 = 0;
const CHANNEL_BIAS: u32 = 0;
const RESIDUAL: u32 = 0;
const WIDE: u32 = 1;        // the outputs are a multiple of 4
const GATED: u32 = 0;       // 1: gated, which wants an even number of matrices across a subgroup's part, and one split

struct Params {
  rows: u32,          // output pixels of this band
  outputs: u32,       // output channels: rows of the weight, or half of them where it is gated
  inner: u32,         // KH * KW * channels
  channels: u32,
  kernelWidth: u32,
  height: u32,        // of x
  width: u32,
  gatherHeight: u32,  // of x as the convolution sees it
  gatherWidth: u32,
  outHeight: u32,
  outWidth: u32,
  stride: u32,
  padTop: i32,
  padLeft: i32,
  firstRow: u32,      // image row (n * outHeight + oy) at which this band of y starts
  firstSource: u32,   // image row (n * height + iy) at which the bound window of x starts
  slices: u32,        // slices of the inner axis that each split takes
}

@group(0) @binding(0) var<storage, read> x: array<vec4u>;       // 8 elements each
@group(0) @binding(1) var<storage, read> weight: array<vec4u>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> channelBias: array<vec4<T>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<T>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<O>>;
@group(0) @binding(6) var<uniform> params: Params;

const INVOCATIONS: u32 = ACROSS_M * ACROSS_N * SUBGROUP;
const PIECES: u32 = DEPTH / 8u;                        // of 16 bytes, in a row of a slice
const STRIDE: u32 = PIECES + 1u;                       // of a row in workgroup memory, in pieces
const STEP: u32 = INVOCATIONS / PIECES;                // rows that the invocations load at once
const LOADS_A: u32 = BLOCK_M / STEP;
const LOADS_B: u32 = BLOCK_N / STEP;
const ROWS: u32 = BLOCK_M / ACROSS_M / MATRIX_M;       // matrices of a subgroup
const COLUMNS: u32 = BLOCK_N / ACROSS_N / MATRIX_N;
const RESULTS: u32 = COLUMNS / (1u + GATED);           // matrices of y across a subgroup's part
const PART: u32 = COLUMNS * MATRIX_N;                  // rows of the weight in a subgroup's part
const WIDTH: u32 = RESULTS * MATRIX_N;                 // columns of y
const TILE_B: u32 = BUFFERS * BLOCK_M * STRIDE;         // where the slices of the weight begin
const LINE: u32 = PART / 4u + 1u;                      // of sums that a subgroup lays down, in fours, padded as slices are
const SUMS: u32 = MATRIX_M * LINE;
const QUADS: u32 = MATRIX_M * WIDTH / 4u;              // of columns of y, in a row of matrices

// Slices of x and of the weight; at the end the sums.
var<workgroup> tiles: array<vec4u, max(BUFFERS * (BLOCK_M + BLOCK_N) * STRIDE, ACROSS_M * ACROSS_N * SUMS)>;

// Where an output pixel's patch starts: image, top row, left column (the last two before clipping).
fn patchOf(row: u32) -> vec3i {
  let pixel = params.firstRow * params.outWidth + row;
  let line = pixel / params.outWidth;
  let top = i32(line % params.outHeight * params.stride) - params.padTop;
  let left = i32(pixel % params.outWidth * params.stride) - params.padLeft;
  return vec3i(i32(line / params.outHeight), top, left);
}

// The first piece of x[image, ., ., 0] under tap (ky, kx), or -1 in the padding.
fn sourceOf(patch_: vec3i, ky: u32, kx: u32) -> i32 {
  let iy = patch_.y + i32(ky);
  let ix = patch_.z + i32(kx);
  if (patch_.x < 0 || iy < 0 || ix < 0 || iy >= i32(params.gatherHeight) || ix >= i32(params.gatherWidth)) { return -1; }
  var sy = u32(iy);
  var sx = u32(ix);
  if (RESIZE == 1) {
    sy = sy * params.height / params.gatherHeight;
    sx = sx * params.width / params.gatherWidth;
  }
  let line = u32(patch_.x) * params.height + sy - params.firstSource;
  return i32((line * params.width + sx) * (params.channels / 8u));
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstRow = group.y * BLOCK_M;
  let firstColumn = group.x * (ACROSS_N * WIDTH);
  let piece = lane % PIECES;
  let slot = lane / PIECES;
  let slicesOfTap = params.channels / DEPTH;
  let first = group.z * params.slices;
  let end = min(first + params.slices, params.inner / DEPTH);

  var patches: array<vec3i, LOADS_A>;
  /*#unroll*/ for (var i = 0u; i < LOADS_A; i++) {
    let row = firstRow + slot + i * STEP;
    patches[i] = select(vec3i(-1), patchOf(row), row < params.rows);
  }
  var columns: array<u32, LOADS_B>;  // first piece of the weight's row; one past the end where there is none
  /*#unroll*/ for (var i = 0u; i < LOADS_B; i++) {
    let inPart = (slot + i * STEP) % PART;
    let column = firstColumn + (slot + i * STEP) / PART * WIDTH + inPart % WIDTH;
    let row = column + inPart / WIDTH * params.outputs;
    columns[i] = select(0xffffffffu, row * (params.inner / 8u) + first * PIECES + piece, column < params.outputs);
  }
  let tap = first / slicesOfTap;
  var kx = tap % params.kernelWidth;
  var ky = tap / params.kernelWidth;
  var slice = first % slicesOfTap;
  var sources: array<i32, LOADS_A>;
  /*#unroll*/ for (var i = 0u; i < LOADS_A; i++) { sources[i] = sourceOf(patches[i], ky, kx); }

  var nextA: array<vec4u, LOADS_A>;
  var nextB: array<vec4u, LOADS_B>;
  var acc: array<array<subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>, COLUMNS>, ROWS>;

  let subgroup = lane / SUBGROUP;
  let rowOfSubgroup = subgroup / ACROSS_N * (ROWS * MATRIX_M);
  let columnOfSubgroup = subgroup % ACROSS_N * PART;
  let columnOfResults = subgroup % ACROSS_N * WIDTH;

  /*#unroll*/ for (var i = 0u; i < LOADS_A; i++) {
    nextA[i] = vec4u();
    if (sources[i] >= 0) { nextA[i] = x[u32(sources[i]) + slice * PIECES + piece]; }
  }
  /*#unroll*/ for (var i = 0u; i < LOADS_B; i++) {
    nextB[i] = vec4u();
    if (columns[i] != 0xffffffffu) { nextB[i] = weight[columns[i]]; }
  }

  for (var k = first; k < end; k++) {
    let bufferA = (k - first) % BUFFERS * (BLOCK_M * STRIDE);
    let bufferB = TILE_B + (k - first) % BUFFERS * (BLOCK_N * STRIDE);
    if (BUFFERS == 1) { workgroupBarrier(); }
    /*#unroll*/ for (var i = 0u; i < LOADS_A; i++) { tiles[bufferA + (slot + i * STEP) * STRIDE + piece] = nextA[i]; }
    /*#unroll*/ for (var i = 0u; i < LOADS_B; i++) { tiles[bufferB + (slot + i * STEP) * STRIDE + piece] = nextB[i]; }
    workgroupBarrier();

    if (k + 1u < end) {
      slice++;
      if (slice == slicesOfTap) {
        slice = 0u;
        kx++;
        if (kx == params.kernelWidth) { kx = 0u; ky++; }
        /*#unroll*/ for (var i = 0u; i < LOADS_A; i++) { sources[i] = sourceOf(patches[i], ky, kx); }
      }
      /*#unroll*/ for (var i = 0u; i < LOADS_A; i++) {
        nextA[i] = vec4u();
        if (sources[i] >= 0) { nextA[i] = x[u32(sources[i]) + slice * PIECES + piece]; }
      }
      /*#unroll*/ for (var i = 0u; i < LOADS_B; i++) {
        if (columns[i] != 0xffffffffu) {
          columns[i] += PIECES;
          nextB[i] = weight[columns[i]];
        }
      }
    }

    /*#unroll*/ for (var inner = 0u; inner < DEPTH; inner += MATRIX_K) {
      var left: array<subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>, ROWS>;
      /*#unroll*/ for (var i = 0u; i < ROWS; i++) {
        let at = bufferA + (rowOfSubgroup + i * MATRIX_M) * STRIDE + inner / 8u;
        left[i] = subgroupMatrixLoad<subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>, row_major>(&tiles, at, STRIDE);
      }
      /*#unroll*/ for (var j = 0u; j < COLUMNS; j++) {
        let at = bufferB + (columnOfSubgroup + j * MATRIX_N) * STRIDE + inner / 8u;
        let right = subgroupMatrixLoad<subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>, col_major>(&tiles, at, STRIDE);
        /*#unroll*/ for (var i = 0u; i < ROWS; i++) { acc[i][j] = subgroupMatrixMultiplyAccumulate(left[i], right, acc[i][j]); }
      }
    }
  }

  // Each subgroup lays its matrices down, a row of them at a time, and its invocations take four columns each.
  let mine = subgroup * SUMS;
  let own = lane % SUBGROUP;
  /*#unroll*/ for (var i = 0u; i < ROWS; i++) {
    workgroupBarrier();
    /*#unroll*/ for (var j = 0u; j < COLUMNS; j++) {
      subgroupMatrixStore<row_major>(&tiles, mine + j * MATRIX_N / 4u, acc[i][j], LINE);
    }
    workgroupBarrier();
    for (var quad = own; quad < QUADS; quad += SUBGROUP) {
      let line = quad / (WIDTH / 4u);
      let four = quad % (WIDTH / 4u);
      let row = firstRow + rowOfSubgroup + i * MATRIX_M + line;
      let column = firstColumn + columnOfResults + four * 4u;
      if (row >= params.rows || column >= params.outputs) { continue; }
      let at = mine + line * LINE + four;
      let sum = bitcast<vec4f>(tiles[at]);
      if (GATED == 1) {
        finishGated4(row, column, sum, bitcast<vec4f>(tiles[at + WIDTH / 4u]));
      } else {
        let image = (params.firstRow + row / params.outWidth) / params.outHeight;
        finish4(group.z * params.rows + row, column, image, sum); // a split has a layer of its own, and no end
      }
    }
  }
}
