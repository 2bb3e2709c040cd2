// y = (x - mean) / sqrt(variance + eps) * weight + bias, mean and biased variance over the last axis.
// LINE invocations work on a row, and ROWS rows share a workgroup, so that short rows do not leave cores idle. With a line
// of one there is nothing to wait for: adapters on a CPU are several times as fast without barriers.

alias T = f32;                // element type of x and y
const LINE: u32 = 32;         // a power of two
const ROWS: u32 = 8;
const VECTOR: u32 = 1;        // 1: the channel count is a multiple of 4

struct Params {
  rows: u32,
  channels: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<T>>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> partials: array<f32, LINE * ROWS>;

fn lineSum(lane: u32, value: f32) -> f32 {
  if (LINE == 1) { return value; }
  workgroupBarrier();
  partials[lane] = value;
  for (var width = LINE / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (lane % LINE < width) { partials[lane] += partials[lane + width]; }
  }
  workgroupBarrier();
  return partials[lane / LINE * LINE];
}

// Channels c .. c + 4 of the row that starts at `base`; zero beyond the last, whatever is subtracted.
fn load(base: u32, c: u32, minus: f32) -> vec4f {
  if (VECTOR == 1) { return vec4f(x[(base + c) / 4u]) - minus; }
  var v = vec4f();
  for (var j = 0u; j < min(4u, params.channels - c); j++) { v[j] = f32(x[(base + c + j) / 4u][(base + c + j) % 4u]) - minus; }
  return v;
}

@compute @workgroup_size(LINE * ROWS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = (group.y * groups.x + group.x) * ROWS + lane / LINE;
  let first = lane % LINE * 4u;
  let base = min(row, params.rows - 1u) * params.channels;
  var sum = vec4f();
  for (var c = first; c < params.channels; c += LINE * 4u) { sum += load(base, c, 0.0); }
  let mean = lineSum(lane, sum.x + sum.y + sum.z + sum.w) / f32(params.channels);
  sum = vec4f();
  for (var c = first; c < params.channels; c += LINE * 4u) {
    let d = load(base, c, mean);
    sum += d * d;
  }
  let scale = inverseSqrt(lineSum(lane, sum.x + sum.y + sum.z + sum.w) / f32(params.channels) + params.eps);
  if (row >= params.rows) { return; }
  for (var c = first; c < params.channels; c += LINE * 4u) {
    let value = load(base, c, mean) * scale * weight[c / 4u] + bias[c / 4u];
    if (VECTOR == 1) {
      y[(base + c) / 4u] = vec4<T>(value);
    } else {
      for (var j = 0u; j < min(4u, params.channels - c); j++) { y[(base + c + j) / 4u][(base + c + j) % 4u] = T(value[j]); }
    }
  }
}
