// From the chunk statistics of groupNormStats.wgsl to scale and shift of each channel of each image:
// scale = weight / sqrt(variance + eps), shift = bias - mean * scale. Chunks are joined by Chan's formula. Where modulated,
// scale and shift are multiplied by 1 + modulation[image, 0, channel] and modulation[image, 1, channel] is added to shift.
// One invocation per (image, channel). The second of three steps.

const MODULATED: u32 = 0;

struct Params {
  count: u32,       // images * channels
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
@group(0) @binding(4) var<storage, read_write> scaleShift: array<vec2f>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = group.x * 64u + lane;
  if (i >= params.count) { return; }
  let c = i % params.channels;
  let first = i / params.groupSize * params.chunks; // channels split into whole groups, so this is (image, group)
  var mean = 0.0;
  var squares = 0.0;
  var seen = 0.0;
  for (var chunk = 0u; chunk < params.chunks; chunk++) {
    let pixels = min(params.chunkPixels, params.pixels - chunk * params.chunkPixels);
    let n = f32(pixels * params.groupSize);
    let part = stats[first + chunk];
    let d = part.x - mean;
    squares += part.y + d * d * (seen * n / (seen + n));
    mean += d * (n / (seen + n));
    seen += n;
  }
  var scale = weight[c] * inverseSqrt(squares / seen + params.eps);
  var shift = bias[c] - mean * scale;
  if (MODULATED == 1u) {
    let m = i + i / params.channels * params.channels; // each image has two rows
    scale *= 1.0 + modulation[m];
    shift = shift * (1.0 + modulation[m]) + modulation[m + params.channels];
  }
  scaleShift[i] = vec2f(scale, shift);
}
