// Sums and maxima over a workgroup of WORKGROUP invocations (a power of two). Every invocation gets the result.

var<workgroup> partials: array<f32, WORKGROUP>;

fn workgroupSum(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  partials[lane] = value;
  for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (lane < width) { partials[lane] += partials[lane + width]; }
  }
  workgroupBarrier();
  return partials[0];
}

fn workgroupMax(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  partials[lane] = value;
  for (var width = WORKGROUP / 2u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (lane < width) { partials[lane] = max(partials[lane], partials[lane + width]); }
  }
  workgroupBarrier();
  return partials[0];
}
