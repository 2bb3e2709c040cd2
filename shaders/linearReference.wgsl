// The same function as linear.wgsl, one invocation per output element: the simplest correct form.
//#import lib/epilogue.wgsl

alias T = f32;            // element type of x and of the residual
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y
const ACT_IN: u32 = 0;
const ACT: u32 = 0;
const BIAS: u32 = 0;
const CHANNEL_BIAS: u32 = 0;
const RESIDUAL: u32 = 0;
const GATED: u32 = 0;     // 1: the weight holds values and then gates, y is value * act(gate)

struct Params {
  rows: u32,
  outputs: u32,
  inner: u32,
  imageRows: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<W>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> channelBias: array<T>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> y: array<O>;
@group(0) @binding(6) var<uniform> params: Params;

fn product(row: u32, column: u32) -> f32 {
  var sum = 0.0;
  for (var k = 0u; k < params.inner; k++) {
    sum += activate(ACT_IN, f32(x[row * params.inner + k])) * f32(weight[column * params.inner + k]);
  }
  return sum;
}

fn biased(row: u32, column: u32) -> f32 {
  return product(row, column) + select(0.0, bias[column], BIAS == 1);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let element = (group.y * groups.x + group.x) * 64u + lane;
  if (element >= params.rows * params.outputs) { return; }
  let row = element / params.outputs;
  let column = element % params.outputs;
  if (GATED == 1) {
    y[element] = O(biased(row, column) * activate(ACT, biased(row, params.outputs + column)));
  } else {
    finish(row, column, row / params.imageRows, product(row, column));
  }
}
