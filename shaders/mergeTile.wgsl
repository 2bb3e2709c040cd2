// Puts one tile of an overlapping grid into the picture [N, height, width, C]. Tiles come row by row. Where the tile
// overlaps the one above, and then the one on its left, the two are mixed: neighbour * (1 - k / extent) + tile * k / extent
// in the k-th row (column). A neighbour counts as it is after its own mixing, so its last rows are kept in `below` (one
// strip a column of the grid) and its last columns in `right`, each for the current and for the previous tile in turns.
// What lies beyond `step` in the tile belongs to the next tiles. One invocation per pixel of the tile.

const PACK: u32 = 0;  // 1: three channels in [-1, 1] become packed RGBA8 as in toRgba; 0: values are stored as they are

struct Params {
  pixels: u32,       // of the tile
  channels: u32,
  tileHeight: u32,
  tileWidth: u32,
  side: u32,         // of a tile that is not cut off by the picture's edge
  step: u32,         // from one tile to the next; side - step is the overlap
  height: u32,       // of the picture
  width: u32,
  columns: u32,      // tiles in a row
}

@group(0) @binding(0) var<storage, read> tile: array<f32>;
@group(0) @binding(1) var<storage, read> place: array<u32>;         // image, row and column of the tile
@group(0) @binding(2) var<storage, read_write> below: array<f32>;   // [2, columns, overlap, side, C]
@group(0) @binding(3) var<storage, read_write> right: array<f32>;   // [2, side, overlap, C]
@group(0) @binding(4) var<storage, read_write> picture: array<u32>; // bits of f32, or RGBA8
@group(0) @binding(5) var<uniform> params: Params;

fn belowAt(row: u32, y: u32, x: u32) -> u32 {
  let strip = (row % 2u) * params.columns + place[2];
  return ((strip * (params.side - params.step) + y) * params.side + x) * params.channels;
}

fn rightAt(column: u32, y: u32, x: u32) -> u32 {
  return (((column % 2u) * params.side + y) * (params.side - params.step) + x) * params.channels;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let p = (group.y * groups.x + group.x) * 64u + lane;
  if (p >= params.pixels) { return; }
  let y = p / params.tileWidth;
  let x = p % params.tileWidth;
  let row = place[1];
  let column = place[2];
  let overlap = params.side - params.step;
  let extentY = min(overlap, params.tileHeight);
  let extentX = min(overlap, params.tileWidth);
  let at = ((place[0] * params.height + row * params.step + y) * params.width + column * params.step + x);
  var packed = 0xff000000u;
  for (var c = 0u; c < params.channels; c++) {
    var value = tile[p * params.channels + c];
    if (row > 0u && y < extentY) {
      let k = f32(y) / f32(extentY);
      value = below[belowAt(row - 1u, y, x) + c] * (1.0 - k) + value * k;
    }
    if (column > 0u && x < extentX) {
      let k = f32(x) / f32(extentX);
      value = right[rightAt(column - 1u, y, x) + c] * (1.0 - k) + value * k;
    }
    if (y >= params.step) { below[belowAt(row, y - params.step, x) + c] = value; }
    if (x >= params.step) { right[rightAt(column, y, x - params.step) + c] = value; }
    if (PACK == 1u) {
      packed |= u32(round(clamp(value * 0.5 + 0.5, 0.0, 1.0) * 255.0)) << (8u * c);
    } else if (y < params.step && x < params.step) {
      picture[at * params.channels + c] = bitcast<u32>(value);
    }
  }
  if (PACK == 1u && y < params.step && x < params.step) { picture[at] = packed; }
}
