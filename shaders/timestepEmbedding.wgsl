// y[n, i] = cos(t[n] * f_i), y[n, half + i] = sin(t[n] * f_i) with f_i = maxPeriod^(-i / (half - shift)) (Ho et al. 2020;
// the order cosine first is that of the released checkpoints, flipped by SINE_FIRST). An odd last column is zero.
// One invocation per (n, i).
//#import lib/trig.wgsl

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
  // Whole turns are taken off in two parts, so that an angle of 1000 loses nothing by it.
  let whole = floor(angle * 0.15915494309189535);
  let reduced = (angle - whole * 6.28125) - whole * 0.0019353071795864769;
  let v = cosSin(reduced * 0.15915494309189535);
  y[base + i] = O(select(v.x, v.y, SINE_FIRST == 1));
  y[base + half + i] = O(select(v.y, v.x, SINE_FIRST == 1));
}
