// The 4 x 4 outputs of a tile, Aᵀ M A, plus what lib/epilogue4.wgsl adds: the end of convolutions by Winograd's
// F(4 x 4, 3 x 3), see winogradWeight.wgsl. M [36][tiles][columns]. One invocation per tile and four output channels.
//#import lib/epilogue4.wgsl

alias T = f32;            // element type of the residual
alias O = f32;            // element type of y
const ACT: u32 = 0;
const BIAS: u32 = 0;
const CHANNEL_BIAS: u32 = 0;
const RESIDUAL: u32 = 0;
const WIDE: u32 = 1;

struct Params {
  tiles: u32,        // of this band
  firstTile: u32,    // at which it starts
  tilesDown: u32,    // of an image
  tilesAcross: u32,
  outHeight: u32,
  outWidth: u32,
  outputs: u32,      // output channels
  columns: u32,      // of them in M, a multiple of 4
  firstOutput: u32,  // at which these start
}

@group(0) @binding(0) var<storage, read> m: array<vec4f>;
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;
@group(0) @binding(2) var<storage, read> channelBias: array<vec4<T>>;
@group(0) @binding(3) var<storage, read> residual: array<vec4<T>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<O>>;
@group(0) @binding(5) var<uniform> params: Params;

// Aᵀ times a column of six.
fn join(m: array<vec4f, 6>) -> array<vec4f, 4> {
  let a = m[1] + m[2];
  let b = m[1] - m[2];
  let c = m[3] + m[4];
  let d = m[3] - m[4];
  return array<vec4f, 4>(m[0] + a + c, b + 2.0 * d, a + 4.0 * c, b + 8.0 * d + m[5]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let fours = params.columns / 4u;
  if (i >= params.tiles * fours) { return; }
  let tile = params.firstTile + i / fours;
  let line = tile / params.tilesAcross;
  let image = line / params.tilesDown;
  let top = line % params.tilesDown * 4u;
  let left = tile % params.tilesAcross * 4u;
  let column = params.firstOutput + i % fours * 4u;

  var columns: array<array<vec4f, 4>, 6>;
  /*#unroll*/ for (var c = 0u; c < 6u; c++) {
    var six: array<vec4f, 6>;
    /*#unroll*/ for (var r = 0u; r < 6u; r++) { six[r] = m[(r * 6u + c) * params.tiles * fours + i]; }
    columns[c] = join(six);
  }
  /*#unroll*/ for (var r = 0u; r < 4u; r++) {
    let row = join(array<vec4f, 6>(columns[0][r], columns[1][r], columns[2][r], columns[3][r], columns[4][r], columns[5][r]));
    /*#unroll*/ for (var c = 0u; c < 4u; c++) {
      if (top + r < params.outHeight && left + c < params.outWidth) {
        let pixel = (image * params.outHeight + top + r) * params.outWidth + left + c;
        finish4(pixel, column, image, row[c]);
      }
    }
  }
}
