// y[m, o] = sum over k of x[m, k] * weight[o, k], plus bias, for few rows m: the weight is read once, so this is as fast
// as memory. One workgroup per COLUMNS outputs: each invocation takes every 64th four of the inner axis, then the partial
// sums are added up in workgroup memory. In f32 whatever the types; the inner axis is a multiple of 4. Gated: the weight
// holds values and then gates, y is value * act(gate), and half of the rows that a workgroup reads are gates.
//#import lib/activation.wgsl

alias T = f32;            // element type of x
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y
const ROWS: u32 = 2;      // at most 4
const ACT_IN: u32 = 0;    // activation of x, see lib/activation.wgsl
const ACT: u32 = 0;       // activation of the result
const BIAS: u32 = 0;
const GATED: u32 = 0;

struct Params {
  outputs: u32,
  inner: u32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4<W>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<O>;
@group(0) @binding(4) var<uniform> params: Params;

const COLUMNS: u32 = 8u;                     // rows of the weight that a workgroup reads
const RESULTS: u32 = COLUMNS / (1u + GATED);  // columns of y
const SUMS: u32 = ROWS * COLUMNS;

var<workgroup> sums: array<f32, 65 * SUMS>;

// Adds up the shares of a sum, and the bias of the weight's row.
fn total(i: u32, weightRow: u32) -> f32 {
  var sum = 0.0;
  /*#unroll*/ for (var j = 0u; j < 64u; j++) { sum += sums[i * 65u + j]; }
  if (BIAS == 1) { sum += bias[weightRow]; }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * RESULTS;
  let fours = params.inner / 4u;
  var mine: array<f32, SUMS>;
  for (var k = lane; k < fours; k += 64u) {
    var values: array<vec4f, ROWS>;
    /*#unroll*/ for (var m = 0u; m < ROWS; m++) { values[m] = activate4(ACT_IN, vec4f(x[m * fours + k])); }
    /*#unroll*/ for (var o = 0u; o < COLUMNS; o++) {
      let column = min(first + o % RESULTS, params.outputs - 1u);
      let w = vec4f(weight[(column + o / RESULTS * params.outputs) * fours + k]);
      /*#unroll*/ for (var m = 0u; m < ROWS; m++) { mine[o * ROWS + m] += dot(values[m], w); }
    }
  }
  /*#unroll*/ for (var i = 0u; i < SUMS; i++) { sums[i * 65u + lane] = mine[i]; }
  workgroupBarrier();
  for (var i = lane; i < ROWS * RESULTS; i += 64u) {
    let column = first + i / ROWS;
    if (column >= params.outputs) { continue; }
    let value = total(i, column);
    let at = i % ROWS * params.outputs + column;
    if (GATED == 1) {
      y[at] = O(value * activate(ACT, total(i + ROWS * RESULTS, params.outputs + column)));
    } else {
      y[at] = O(activate(ACT, value));
    }
  }
}
