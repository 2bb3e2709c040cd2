// y = standard normal noise from a seed: Philox 4x32-10 with the seed as key and (element / 4, stream) as counter, then
// Box-Muller. The same seed, stream and element give the same variate whatever the size. Four elements an invocation.
//#import lib/philox.wgsl

struct Params {
  count: u32,
}

@group(0) @binding(0) var<storage, read> seed: array<u32>; // seed (low, high word), stream
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let block = (group.y * groups.x + group.x) * 64u + lane;
  let bits = philox(vec4u(block, 0u, seed[2], 0u), vec2u(seed[0], seed[1]));
  let v = vec4f(normalPair(bits.x, bits.y), normalPair(bits.z, bits.w));
  for (var j = 0u; j < 4u; j++) {
    if (block * 4u + j < params.count) { y[block * 4u + j] = v[j]; }
  }
}
