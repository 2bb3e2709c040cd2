// y = act((x - mean) / sqrt(variance + eps) * weight + bias), mean and biased variance over one group of channels of one
// image. Layout NHWC. One workgroup per (group, image) reads its part three times: mean, variance about the mean, result.
// Where modulated, the normed value is multiplied by 1 + modulation[image, 0, channel] and modulation[image, 1, channel]
// is added to it before the activation.
// For images of many pixels groupNormStats.wgsl and groupNormApply.wgsl spread the same work over more workgroups.
//#import lib/reduce.wgsl
//#import lib/activation.wgsl

alias T = f32;                // element type of x and y
const WORKGROUP: u32 = 256;
const ACT: u32 = 0;
const MODULATED: u32 = 0;
const VECTOR: u32 = 1;        // 1: channels and groupSize are multiples of 4

struct Params {
  pixels: u32,     // H * W
  channels: u32,
  groupSize: u32,  // channels per group
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<vec4f>;
@group(0) @binding(3) var<storage, read> modulation: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<T>>;
@group(0) @binding(5) var<uniform> params: Params;

const WIDTH: u32 = select(1u, 4u, VECTOR == 1);  // channels that an invocation reads at a time

fn load(at: u32, minus: f32) -> vec4f {
  if (VECTOR == 1) { return vec4f(x[at / 4u]) - minus; }
  return vec4f(f32(x[at / 4u][at % 4u]) - minus, 0.0, 0.0, 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstChannel = group.x * params.groupSize;
  let base = group.y * params.pixels * params.channels + firstChannel;
  let count = f32(params.pixels * params.groupSize);
  // Neighbouring invocations read neighbouring channels, of several pixels at once; those left over only reduce.
  let across = min(params.groupSize / WIDTH, WORKGROUP);
  let strips = WORKGROUP / across;
  let firstPixel = select(params.pixels, lane / across, lane < across * strips);

  var sum = vec4f();
  for (var p = firstPixel; p < params.pixels; p += strips) {
    for (var c = lane % across * WIDTH; c < params.groupSize; c += across * WIDTH) {
      sum += load(base + p * params.channels + c, 0.0);
    }
  }
  let mean = workgroupSum(lane, sum.x + sum.y + sum.z + sum.w) / count;

  sum = vec4f();
  for (var p = firstPixel; p < params.pixels; p += strips) {
    for (var c = lane % across * WIDTH; c < params.groupSize; c += across * WIDTH) {
      let d = load(base + p * params.channels + c, mean);
      sum += d * d;
    }
  }
  let scale = inverseSqrt(workgroupSum(lane, sum.x + sum.y + sum.z + sum.w) / count + params.eps);

  for (var p = firstPixel; p < params.pixels; p += strips) {
    for (var c = lane % across * WIDTH; c < params.groupSize; c += across * WIDTH) {
      let at = base + p * params.channels + c;
      let v = load(at, mean) * scale;
      let channel = firstChannel + c;
      let m = group.y * 2u * params.channels + channel;
      if (VECTOR == 1) {
        var value = v * weight[channel / 4u] + bias[channel / 4u];
        if (MODULATED == 1u) { value = value * (1.0 + modulation[m / 4u]) + modulation[(m + params.channels) / 4u]; }
        y[at / 4u] = vec4<T>(activate4(ACT, value));
      } else {
        var value = v.x * weight[channel / 4u][channel % 4u] + bias[channel / 4u][channel % 4u];
        if (MODULATED == 1u) {
          let shift = m + params.channels;
          value = value * (1.0 + modulation[m / 4u][m % 4u]) + modulation[shift / 4u][shift % 4u];
        }
        y[at / 4u][at % 4u] = T(activate(ACT, value));
      }
    }
  }
}
