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

struct Params {
  pixels: u32,     // H * W
  channels: u32,
  groupSize: u32,  // channels per group
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> modulation: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<T>;
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstChannel = group.x * params.groupSize;
  let base = group.y * params.pixels * params.channels + firstChannel;
  let count = params.pixels * params.groupSize;

  var sum = 0.0;
  for (var i = lane; i < count; i += WORKGROUP) {
    sum += f32(x[base + i / params.groupSize * params.channels + i % params.groupSize]);
  }
  let mean = workgroupSum(lane, sum) / f32(count);

  var squares = 0.0;
  for (var i = lane; i < count; i += WORKGROUP) {
    let d = f32(x[base + i / params.groupSize * params.channels + i % params.groupSize]) - mean;
    squares += d * d;
  }
  let scale = inverseSqrt(workgroupSum(lane, squares) / f32(count) + params.eps);

  for (var i = lane; i < count; i += WORKGROUP) {
    let c = i % params.groupSize;
    let at = base + i / params.groupSize * params.channels + c;
    var value = (f32(x[at]) - mean) * scale * weight[firstChannel + c] + bias[firstChannel + c];
    if (MODULATED == 1u) {
      let m = group.y * 2u * params.channels + firstChannel + c;
      value = value * (1.0 + modulation[m]) + modulation[m + params.channels];
    }
    y[at] = T(activate(ACT, value));
  }
}
