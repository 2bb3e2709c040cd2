// y = standard normal noise from a seed: Philox 4x32-10 with the seed as key and (element / 4, stream) as counter, then
// Box-Muller. The same seed, stream and element give the same variate whatever the size. Each image has a seed of its own.
// Four elements an invocation.
//#import lib/philox.wgsl

struct Params {
  images: u32,
  size: u32, // elements of an image
}

@group(0) @binding(0) var<storage, read> seed: array<u32>; // for each image: seed (low, high word), stream, unused
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let blocks = (params.size + 3u) / 4u;
  let i = (group.y * groups.x + group.x) * 64u + lane;
  let image = i / blocks;
  if (image >= params.images) { return; }
  let block = i - image * blocks;
  let words = image * 4u;
  let bits = philox(vec4u(block, 0u, seed[words + 2u], 0u), vec2u(seed[words], seed[words + 1u]));
  let v = vec4f(normalPair(bits.x, bits.y), normalPair(bits.z, bits.w));
  for (var j = 0u; j < 4u; j++) {
    if (block * 4u + j < params.size) { y[image * params.size + block * 4u + j] = v[j]; }
  }
}
