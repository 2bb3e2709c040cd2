// y[m, o] = sum over i of x[m, i] * weight[o, i], plus what lib/epilogue.wgsl adds. x [M, I], weight [O, I], y [M, O].
// One workgroup per TILE x TILE block of y. linearReference.wgsl is the plain form.
//#import lib/epilogue.wgsl
//#import lib/tile.wgsl

alias T = f32;            // element type of x and of the residual
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y
const TILE: u32 = 32;     // 16, 32 or 64
const VECTOR: u32 = 1;    // 1: the inner size is a multiple of 4
const ACT_IN: u32 = 0;
const ACT: u32 = 0;
const BIAS: u32 = 0;
const CHANNEL_BIAS: u32 = 0;
const RESIDUAL: u32 = 0;

struct Params {
  rows: u32,       // M
  outputs: u32,    // O
  inner: u32,      // I
  imageRows: u32,  // rows that share a channelBias
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<W>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> channelBias: array<T>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> y: array<O>;
@group(0) @binding(6) var<uniform> params: Params;

fn loadA(row: u32, k: u32) -> vec4f {
  if (row >= params.rows || k >= params.inner) { return vec4f(); }
  let at = row * params.inner + k;
  var v = vec4f();
  if (VECTOR == 1) {
    v = vec4f(x[at / 4u]);
  } else {
    for (var j = 0u; j < 4u; j++) {
      if (k + j < params.inner) { v[j] = f32(x[(at + j) / 4u][(at + j) % 4u]); }
    }
  }
  if (ACT_IN == 0) { return v; }
  return vec4f(activate(ACT_IN, v.x), activate(ACT_IN, v.y), activate(ACT_IN, v.z), activate(ACT_IN, v.w));
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
  var acc: array<vec4f, 4>;
  for (var start = 0u; start < params.inner; start += 16u) {
    let k = start + lane % 4u * 4u;
    for (var i = 0u; i < LOADS; i++) {
      let slot = (lane + i * INVOCATIONS) / 4u;
      let at = slot * STRIDE + lane % 4u;
      tileA[at] = loadA(firstRow + slot, k);
      tileB[at] = loadB(firstColumn + slot, k);
    }
    workgroupBarrier();
    multiplySlice(lane, &acc);
    workgroupBarrier();
  }
  for (var i = 0u; i < 4u; i++) {
    let row = firstRow + lane / (TILE / 4u) * 4u + i;
    if (row >= params.rows) { continue; }
    for (var j = 0u; j < 4u; j++) {
      let column = firstColumn + lane % (TILE / 4u) * 4u + j;
      if (column < params.outputs) { finish(row, column, row / params.imageRows, acc[i][j]); }
    }
  }
}
