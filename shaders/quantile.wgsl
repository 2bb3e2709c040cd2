// The q-quantile of |x| of each image, linearly interpolated between order statistics (torch.quantile). The pattern of
// a non-negative float orders as its value, so the order statistic is found bit by bit from the top: 31 counts.
// One workgroup per image.
//#import lib/reduce.wgsl

const WORKGROUP: u32 = 256;

struct Params {
  size: u32,      // elements per image
  rank: u32,      // floor(q * (size - 1))
  fraction: f32,  // the rest
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

fn bitsOf(base: u32, i: u32) -> u32 {
  return bitcast<u32>(abs(x[base + i]));
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let base = group.x * params.size;
  var prefix = 0u;
  var rank = params.rank;
  for (var bit = 31u; bit > 0u; bit--) {
    let shift = bit - 1u;
    var mine = 0.0;
    for (var i = lane; i < params.size; i += WORKGROUP) {
      if (bitsOf(base, i) >> shift == prefix << 1u) { mine += 1.0; }
    }
    let zeros = u32(workgroupSum(lane, mine)); // exact below 2^24 elements
    prefix = prefix << 1u;
    if (rank >= zeros) {
      rank -= zeros;
      prefix |= 1u;
    }
  }
  // The next order statistic: the same value if it occurs again, else the smallest larger one.
  var above = 3.4e38;
  var upTo = 0.0;
  for (var i = lane; i < params.size; i += WORKGROUP) {
    let b = bitsOf(base, i);
    if (b <= prefix) { upTo += 1.0; } else { above = min(above, bitcast<f32>(b)); }
  }
  let count = u32(workgroupSum(lane, upTo));
  let next = -workgroupMax(lane, -above);
  let low = bitcast<f32>(prefix);
  let high = select(next, low, count > params.rank + 1u);
  if (lane == 0u) { y[group.x] = select(low, mix(low, high, params.fraction), params.fraction > 0.0); }
}
