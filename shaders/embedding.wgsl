// y[r, c] = tokens[ids[r], c] + positions[r % length, c], or the tokens' row alone. The token table may be bound in bands of rows (a table of
// 49,408 x 768 in f32 exceeds one binding): a band writes the rows whose id it holds and leaves the others alone.
// One invocation per element of y.

alias W = f32;                // stored type of the tables
alias O = f32;                // element type of y
const POSITIONS: u32 = 1;     // 0: no table of positions

struct Params {
  count: u32,       // elements of y
  channels: u32,
  length: u32,      // positions
  firstId: u32,     // first row of the bound band of the table
  ids: u32,         // rows in the band
}

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> tokens: array<W>;
@group(0) @binding(2) var<storage, read> positions: array<W>;
@group(0) @binding(3) var<storage, read_write> y: array<O>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let row = i / params.channels;
  let c = i % params.channels;
  let id = ids[row];
  if (id < params.firstId || id >= params.firstId + params.ids) { return; }
  var value = f32(tokens[(id - params.firstId) * params.channels + c]);
  if (POSITIONS == 1u) { value += f32(positions[row % params.length * params.channels + c]); }
  y[i] = O(value);
}
