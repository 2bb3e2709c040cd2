// y[m, o] = sum over s of sums[s, m, o], plus what lib/epilogue4.wgsl adds: the second half of a product whose inner axis
// several workgroups shared, in the order of the shares whatever the order in which they ran. sums [S, M, O], y [M, O].
// One invocation per four neighbouring columns.
//#import lib/epilogue4.wgsl

alias T = f32;            // element type of the residual
alias O = f32;            // element type of y
const WIDE: u32 = 1;      // 1: the number of outputs is a multiple of 4
const ACT: u32 = 0;
const BIAS: u32 = 0;
const CHANNEL_BIAS: u32 = 0;
const RESIDUAL: u32 = 0;

struct Params {
  rows: u32,       // M
  outputs: u32,    // O
  splits: u32,     // S
  firstRow: u32,   // of all rows, at which this band starts
  imageRows: u32,  // rows that share a channelBias
}

@group(0) @binding(0) var<storage, read> sums: array<vec4f>;
@group(0) @binding(1) var<storage, read> bias: array<vec4f>;
@group(0) @binding(2) var<storage, read> channelBias: array<vec4<T>>;
@group(0) @binding(3) var<storage, read> residual: array<vec4<T>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<O>>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  let fours = (params.outputs + 3u) / 4u;
  if (i >= params.rows * fours) { return; }
  let row = i / fours;
  let column = i % fours * 4u;
  let size = params.rows * params.outputs;
  let at = row * params.outputs + column;
  var total = vec4f();
  if (WIDE == 1) {
    for (var s = 0u; s < params.splits; s++) { total += sums[(s * size + at) / 4u]; }
  } else {
    for (var s = 0u; s < params.splits; s++) {
      for (var j = 0u; j < min(4u, params.outputs - column); j++) {
        let source = s * size + at + j;
        total[j] += sums[source / 4u][source % 4u];
      }
    }
  }
  finish4(row, column, (params.firstRow + row) / params.imageRows, total);
}
