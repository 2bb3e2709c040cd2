// y[n, oy, ox, o] = sum over (ky, kx, c) of x[n, oy * stride + ky - padTop, ox * stride + kx - padLeft, c] * weight[o, ky, kx, c],
// plus what lib/epilogue.wgsl adds. Layout NHWC, weights [O, KH, KW, I]. An implicit matrix product: rows are output
// pixels, columns output channels, the inner axis runs over (ky, kx, c), so that a patch is gathered while it is staged
// and never stored. With RESIZE the convolution reads x as if it had been resized (nearest) to gatherHeight x gatherWidth.
// One workgroup per TILE_M x TILE_N block and share of the inner axis: with several shares (the grid's z) y holds the
// sums of each, without epilogue, one after the other; sumSplits.wgsl adds them. conv2dReference.wgsl is the plain form.
//#import lib/epilogue4.wgsl
//#import lib/tile.wgsl

alias T = f32;            // element type of x and of the residual
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y
const TILE_M: u32 = 64;   // output pixels a workgroup
const TILE_N: u32 = 64;   // output channels a workgroup
const QM: u32 = 2;        // quads of pixels an invocation
const QN: u32 = 2;        // quads of channels an invocation
const VECTOR: u32 = 1;    // the channel count is 0: any number, 1: a multiple of 4, 2: a multiple of DEPTH
const WIDE: u32 = 1;      // 1: the number of output channels is a multiple of 4
const RESIZE: u32 = 0;
const ACT_IN: u32 = 0;    // activation of x, see lib/activation.wgsl
const ACT: u32 = 0;       // activation of the result
const BIAS: u32 = 0;
const CHANNEL_BIAS: u32 = 0;
const RESIDUAL: u32 = 0;

struct Params {
  rows: u32,          // output pixels of this band
  outputs: u32,       // output channels
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
  share: u32,         // slices of the inner axis that one workgroup multiplies
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<W>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> channelBias: array<vec4<T>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<T>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<O>>;
@group(0) @binding(6) var<uniform> params: Params;

// The inner position of the next slice: k = (ky * kernelWidth + kx) * channels + c.
struct Position { k: u32, c: u32, kx: u32, ky: u32 }

fn positionOf(k: u32) -> Position {
  let tap = k / params.channels;
  return Position(k, k % params.channels, tap % params.kernelWidth, tap / params.kernelWidth);
}

// Where an output pixel's patch starts: image, top row, left column (the last two before clipping).
fn patchOf(row: u32) -> vec3i {
  let pixel = params.firstRow * params.outWidth + row;
  let line = pixel / params.outWidth;
  let top = i32(line % params.outHeight * params.stride) - params.padTop;
  let left = i32(pixel % params.outWidth * params.stride) - params.padLeft;
  return vec3i(i32(line / params.outHeight), top, left);
}

// Index of x[image, ., ., 0] under tap (ky, kx), or -1 in the padding and for rows beyond the last.
fn sourceOf(origin: vec3i, p: Position) -> i32 {
  let iy = origin.y + i32(p.ky);
  let ix = origin.z + i32(p.kx);
  let outside = iy < 0 || ix < 0 || iy >= i32(params.gatherHeight) || ix >= i32(params.gatherWidth);
  if (outside || origin.x < 0) { return -1; }
  var sy = u32(iy);
  var sx = u32(ix);
  if (RESIZE == 1) {
    sy = sy * params.height / params.gatherHeight;
    sx = sx * params.width / params.gatherWidth;
  }
  let line = u32(origin.x) * params.height + sy - params.firstSource;
  return i32((line * params.width + sx) * params.channels);
}

// Four values of x one by one, which may lie under different taps.
fn gather(origin: vec3i, k: u32) -> vec4<T> {
  var v = vec4<T>();
  for (var j = 0u; j < 4u; j++) {
    if (k + j < params.inner) {
      let p = positionOf(k + j);
      let at = sourceOf(origin, p);
      if (at >= 0) { v[j] = x[(u32(at) + p.c) / 4u][(u32(at) + p.c) % 4u]; }
    }
  }
  return v;
}

fn loadWeight(column: u32, k: u32) -> vec4<W> {
  var v = vec4<W>();
  if (column >= params.outputs) { return v; }
  let at = column * params.inner + k;
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
  let firstColumn = group.x * TILE_N;
  let place = placeOf(lane);
  let four = lane % FOURS;
  let slices = (params.inner + DEPTH - 1u) / DEPTH;
  let first = group.z * params.share;
  let last = min(first + params.share, slices);

  var p = positionOf(first * DEPTH + four * 4u);
  var patches: array<vec3i, LOADS_A>;
  var sources: array<i32, LOADS_A>;
  for (var i = 0u; i < LOADS_A; i++) {
    let row = firstRow + (lane + i * INVOCATIONS) / FOURS;
    patches[i] = select(vec3i(-1), patchOf(row), row < params.rows);
    sources[i] = sourceOf(patches[i], p);
  }
  var a: array<vec4<T>, LOADS_A>;
  var b: array<vec4<W>, LOADS_B>;
  var sums: array<vec4f, OWN>;
  var buffer = 0u;

  // Each round fetches slice s, multiplies slice s - 1 meanwhile, and stages slice s.
  for (var s = first; s <= last; s++) {
    if (s < last) {
      for (var i = 0u; i < LOADS_A; i++) {
        a[i] = vec4<T>();
        if (VECTOR == 0) {
          a[i] = gather(patches[i], p.k);
        } else if (sources[i] >= 0 && (VECTOR == 2 || p.k < params.inner)) {
          a[i] = x[(u32(sources[i]) + p.c) / 4u];
        }
      }
      for (var i = 0u; i < LOADS_B; i++) {
        b[i] = loadWeight(firstColumn + (lane + i * INVOCATIONS) / FOURS, p.k);
      }
      p.k += DEPTH;
      p.c += DEPTH;
      if (VECTOR != 0 && p.c >= params.channels) { // no division in the loop
        while (p.c >= params.channels) {
          p.c -= params.channels;
          p.kx++;
          if (p.kx == params.kernelWidth) { p.kx = 0u; p.ky++; }
        }
        for (var i = 0u; i < LOADS_A; i++) { sources[i] = sourceOf(patches[i], p); }
      }
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
    var image = 0u;
    if (CHANNEL_BIAS == 1) { image = (params.firstRow + row / params.outWidth) / params.outHeight; }
    for (var n = 0u; n < QN; n++) {
      let column = firstColumn + (n * PARTS_N + place.y) * 4u;
      if (column < params.outputs) { finish4(group.z * params.rows + row, column, image, sums[i * QN + n]); }
    }
  }
}
