// V[p][t][c] = (Bᵀ d B)[p] of the 6 x 6 patch d of x that the 4 x 4 outputs of tile t see, p over 6 x 6 places: the input's
// part in convolutions by Winograd's F(4 x 4, 3 x 3), see winogradWeight.wgsl. With RESIZE the patch is read as if x had
// been resized (nearest) to gatherHeight x gatherWidth. One invocation per tile and four channels.
//#import lib/activation.wgsl

alias T = f32;          // element type of x
const RESIZE: u32 = 0;
const ACT_IN: u32 = 0;  // activation of x, see lib/activation.wgsl

struct Params {
  tiles: u32,         // of this band
  firstTile: u32,     // at which it starts
  tilesDown: u32,     // of an image
  tilesAcross: u32,
  channels: u32,      // a multiple of 4
  height: u32,        // of x
  width: u32,
  gatherHeight: u32,  // of x as the convolution sees it
  gatherWidth: u32,
  padTop: i32,
  padLeft: i32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read_write> v: array<vec4f>;
@group(0) @binding(2) var<uniform> params: Params;

// Bᵀ times a column of six.
fn spread(d: array<vec4f, 6>) -> array<vec4f, 6> {
  let a = d[4] - 4.0 * d[2];
  let b = d[3] - 4.0 * d[1];
  let c = d[4] - d[2];
  let e = 2.0 * (d[3] - d[1]);
  return array<vec4f, 6>(
    4.0 * d[0] - 5.0 * d[2] + d[4],
    a + b,
    a - b,
    c + e,
    c - e,
    4.0 * d[1] - 5.0 * d[3] + d[5],
  );
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let fours = params.channels / 4u;
  if (i >= params.tiles * fours) { return; }
  let tile = params.firstTile + i / fours;
  let line = tile / params.tilesAcross;
  let image = line / params.tilesDown;
  let top = i32(line % params.tilesDown * 4u) - params.padTop;
  let left = i32(tile % params.tilesAcross * 4u) - params.padLeft;

  var columns: array<array<vec4f, 6>, 6>;
  /*#unroll*/ for (var c = 0u; c < 6u; c++) {
    var column: array<vec4f, 6>;
    let ix = left + i32(c);
    var sx = u32(max(ix, 0));
    if (RESIZE == 1) { sx = sx * params.width / params.gatherWidth; }
    /*#unroll*/ for (var r = 0u; r < 6u; r++) {
      let iy = top + i32(r);
      if (ix >= 0 && iy >= 0 && ix < i32(params.gatherWidth) && iy < i32(params.gatherHeight)) {
        var sy = u32(iy);
        if (RESIZE == 1) { sy = sy * params.height / params.gatherHeight; }
        let at = ((image * params.height + sy) * params.width + sx) * fours + i % fours;
        column[r] = activate4(ACT_IN, vec4f(x[at]));
      }
    }
    columns[c] = spread(column);
  }
  /*#unroll*/ for (var r = 0u; r < 6u; r++) {
    let row = spread(array<vec4f, 6>(columns[0][r], columns[1][r], columns[2][r], columns[3][r], columns[4][r], columns[5][r]));
    /*#unroll*/ for (var c = 0u; c < 6u; c++) { v[(r * 6u + c) * params.tiles * fours + i] = row[c]; }
  }
}
