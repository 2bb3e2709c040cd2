// y[n, i] = cos(t[n] * f_i), y[n, half + i] = sin(t[n] * f_i) with f_i = maxPeriod^(-i / (half - shift)) (Ho et al. 2020;
// the order cosine first is that of the released checkpoints, flipped by SINE_FIRST). An odd last column is zero.
// One invocation per (n, i).

alias O = f32;                // element type of y
const SINE_FIRST: u32 = 0;

struct Params {
  count: u32,        // images * ceil(channels / 2)
  channels: u32,
  logPeriod: f32,    // ln(maxPeriod) / (half - shift)
}

@group(0) @binding(0) var<storage, read> t: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<O>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = group.x * 64u + lane;
  if (index >= params.count) { return; }
  let half = params.channels / 2u;
  let columns = (params.channels + 1u) / 2u;
  let n = index / columns;
  let i = index % columns;
  let base = n * params.channels;
  if (i == half) { // only for an odd count of channels
    y[base + params.channels - 1u] = O(0.0);
    return;
  }
  let angle = t[n] * exp(-f32(i) * params.logPeriod);
  // Reduce the angle first: t goes up to 1000, and drivers' sines are exact only near zero.
  let turns = angle * 0.15915494309189535;
  let reduced = (angle - floor(turns) * 6.28125) - floor(turns) * 0.0019353071795864769;
  let first = select(cos(reduced), sin(reduced), SINE_FIRST == 1);
  let second = select(sin(reduced), cos(reduced), SINE_FIRST == 1);
  y[base + i] = O(first);
  y[base + half + i] = O(second);
}
