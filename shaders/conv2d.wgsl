// y[n, oy, ox, o] = sum over (ky, kx, c) of x[n, oy * stride + ky - padTop, ox * stride + kx - padLeft, c] * weight[o, ky, kx, c],
// plus what lib/epilogue.wgsl adds. Layout NHWC, weights [O, KH, KW, I]. An implicit matrix product: rows are output
// pixels, columns output channels, the inner axis runs over (ky, kx, c), so that a patch is gathered while it is staged
// and never stored. With RESIZE the convolution reads x as if it had been resized (nearest) to gatherHeight x gatherWidth.
// One workgroup per TILE x TILE block. Good on GPUs; conv2dReference.wgsl is the plain form.
//#import lib/epilogue.wgsl
//#import lib/tile.wgsl

alias T = f32;            // element type of x and of the residual
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y
const TILE: u32 = 32;     // 16, 32 or 64
const VECTOR: u32 = 1;    // 1: the channel count is a multiple of 4
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
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<W>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> channelBias: array<T>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> y: array<O>;
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

// Index of x[image, ., ., c] under tap (ky, kx), or -1 in the padding.
fn sourceOf(origin: vec3i, p: Position) -> i32 {
  let iy = origin.y + i32(p.ky);
  let ix = origin.z + i32(p.kx);
  if (iy < 0 || ix < 0 || iy >= i32(params.gatherHeight) || ix >= i32(params.gatherWidth)) { return -1; }
  var sy = u32(iy);
  var sx = u32(ix);
  if (RESIZE == 1) {
    sy = sy * params.height / params.gatherHeight;
    sx = sx * params.width / params.gatherWidth;
  }
  let line = u32(origin.x) * params.height + sy - params.firstSource;
  return i32((line * params.width + sx) * params.channels + p.c);
}

fn activateInput(v: vec4f) -> vec4f {
  if (ACT_IN == 0) { return v; }
  return vec4f(activate(ACT_IN, v.x), activate(ACT_IN, v.y), activate(ACT_IN, v.z), activate(ACT_IN, v.w));
}

fn loadA(origin: vec3i, p: Position) -> vec4f {
  if (origin.x < 0 || p.k >= params.inner) { return vec4f(); }
  if (VECTOR == 1) {
    let at = sourceOf(origin, p);
    if (at < 0) { return vec4f(); }
    return activateInput(vec4f(x[u32(at) / 4u]));
  }
  var v = vec4f();
  for (var j = 0u; j < 4u; j++) {
    if (p.k + j < params.inner) {
      let at = sourceOf(origin, positionOf(p.k + j));
      if (at >= 0) { v[j] = f32(x[u32(at) / 4u][u32(at) % 4u]); }
    }
  }
  return activateInput(v);
}

fn loadB(column: u32, k: u32) -> vec4f {
  if (column >= params.outputs || k >= params.inner) { return vec4f(); }
  let at = column * params.inner + k;
  if (VECTOR == 1) { return vec4f(weight[at / 4u]); }
  var v = vec4f();
  for (var j = 0u; j < 4u; j++) {
    if (k + j < params.inner) { v[j] = f32(weight[(at + j) / 4u][(at + j) % 4u]); }
  }
  return v;
}

@compute @workgroup_size(TILE * TILE / 16)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstRow = group.y * TILE;
  let firstColumn = group.x * TILE;
  var patches: array<vec3i, LOADS>;
  for (var i = 0u; i < LOADS; i++) {
    let row = firstRow + (lane + i * INVOCATIONS) / 4u;
    patches[i] = select(vec3i(-1), patchOf(row), row < params.rows);
  }
  var p = positionOf(lane % 4u * 4u);
  var acc: array<vec4f, 4>;
  for (var start = 0u; start < params.inner; start += 16u) {
    for (var i = 0u; i < LOADS; i++) {
      let slot = (lane + i * INVOCATIONS) / 4u;
      let at = slot * STRIDE + lane % 4u;
      tileA[at] = loadA(patches[i], p);
      tileB[at] = loadB(firstColumn + slot, p.k);
    }
    workgroupBarrier();
    multiplySlice(lane, &acc);
    workgroupBarrier();
    p.k += 16u;
    p.c += 16u;
    while (p.c >= params.channels) { // no division in the loop
      p.c -= params.channels;
      p.kx++;
      if (p.kx == params.kernelWidth) { p.kx = 0u; p.ky++; }
    }
  }
  for (var i = 0u; i < 4u; i++) {
    let row = firstRow + lane / (TILE / 4u) * 4u + i;
    if (row >= params.rows) { continue; }
    let image = (params.firstRow + row / params.outWidth) / params.outHeight;
    for (var j = 0u; j < 4u; j++) {
      let column = firstColumn + lane % (TILE / 4u) * 4u + j;
      if (column < params.outputs) { finish(row, column, image, acc[i][j]); }
    }
  }
}
