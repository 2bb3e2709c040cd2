// Guidance rescale (Lin et al. 2023, section 3.4): the factor that brings the deviation of the guided output, over an
// image, to that of the conditional output, mixed with 1 by the share in scalars[4]: y = share * std(c) / std(g) + 1 - share.
// Two passes, since deviations from the mean sum exactly enough in f32. One workgroup per image.
//#import lib/reduce.wgsl

const WORKGROUP: u32 = 256;

struct Params {
  count: u32,  // elements of one half: output holds [unconditional, conditional]
  size: u32,   // elements per image
}

@group(0) @binding(0) var<storage, read> output: array<f32>;
@group(0) @binding(1) var<storage, read> scalars: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

fn conditional(i: u32) -> f32 {
  return output[params.count + i];
}

fn guided(i: u32) -> f32 {
  return output[i] + scalars[3] * (output[params.count + i] - output[i]);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * params.size;
  let end = first + params.size;
  var sums = vec2f();
  for (var i = first + lane; i < end; i += WORKGROUP) { sums += vec2f(conditional(i), guided(i)); }
  let means = vec2f(workgroupSum(lane, sums.x), workgroupSum(lane, sums.y)) / f32(params.size);
  var squares = vec2f();
  for (var i = first + lane; i < end; i += WORKGROUP) {
    let d = vec2f(conditional(i), guided(i)) - means;
    squares += d * d;
  }
  let wanted = workgroupSum(lane, squares.x);
  let found = workgroupSum(lane, squares.y);
  // A guided output without any deviation stays as it is.
  let ratio = select(1.0, sqrt(wanted / found), found > 0.0);
  if (lane == 0u) { y[group.x] = mix(1.0, ratio, scalars[4]); }
}
