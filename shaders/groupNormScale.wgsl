// From the chunk statistics of groupNormStats.wgsl to scale and shift of each channel of each image:
// scale = weight / sqrt(variance + eps), shift = bias - mean * scale. Chunks are joined by Chan's formula. Where modulated,
// scale and shift are multiplied by 1 + modulation[image, 0, channel] and modulation[image, 1, channel] is added to shift.
// One workgroup per (group, image). The second of three steps.
//#import lib/reduce.wgsl

const WORKGROUP: u32 = 64;
const MODULATED: u32 = 0;

struct Params {
  channels: u32,
  groupSize: u32,
  pixels: u32,      // per image
  chunkPixels: u32,
  chunks: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> stats: array<vec2f>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> modulation: array<f32>;
@group(0) @binding(4) var<storage, read_write> scaleShift: array<f32>;  // of each image the scales, then the shifts
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = (group.y * groups.x + group.x) * params.chunks;
  let count = f32(params.pixels * params.groupSize);
  var sum = 0.0;
  for (var chunk = lane; chunk < params.chunks; chunk += WORKGROUP) {
    let pixels = min(params.chunkPixels, params.pixels - chunk * params.chunkPixels);
    sum += stats[first + chunk].x * (f32(pixels * params.groupSize) / count);
  }
  let mean = workgroupSum(lane, sum);
  sum = 0.0;
  for (var chunk = lane; chunk < params.chunks; chunk += WORKGROUP) {
    let pixels = min(params.chunkPixels, params.pixels - chunk * params.chunkPixels);
    let part = stats[first + chunk];
    let d = part.x - mean;
    sum += part.y + d * d * f32(pixels * params.groupSize);
  }
  let spread = inverseSqrt(workgroupSum(lane, sum) / count + params.eps);
  for (var j = lane; j < params.groupSize; j += WORKGROUP) {
    let c = group.x * params.groupSize + j;
    var scale = weight[c] * spread;
    var shift = bias[c] - mean * scale;
    let m = group.y * 2u * params.channels + c;  // each image has two rows, here and in the modulation
    if (MODULATED == 1u) {
      scale *= 1.0 + modulation[m];
      shift = shift * (1.0 + modulation[m]) + modulation[m + params.channels];
    }
    scaleShift[m] = scale;
    scaleShift[m + params.channels] = shift;
  }
}
