// Mean and sum of squared differences of one chunk of pixels of one group of one image: stats[image, group, chunk].
// The first of three steps of group normalisation on large images. One workgroup per (chunk, group, image); it reads
// its chunk twice, so that the squares are taken about the chunk's own mean and nothing cancels.
//#import lib/reduce.wgsl

alias T = f32;                // element type of x
const WORKGROUP: u32 = 256;

struct Params {
  pixels: u32,      // pixels of each image in the bound window of x
  channels: u32,
  groupSize: u32,
  chunkPixels: u32, // pixels per chunk; the last chunk of an image may hold fewer
  chunks: u32,      // chunks per image
  firstChunk: u32,  // chunk at which the window starts
  image: u32,       // first image of the window
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstPixel = group.x * params.chunkPixels;
  let pixels = min(params.chunkPixels, params.pixels - firstPixel);
  let base = (group.z * params.pixels + firstPixel) * params.channels + group.y * params.groupSize;
  let count = pixels * params.groupSize;

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
  let total = workgroupSum(lane, squares);
  if (lane == 0u) {
    stats[((params.image + group.z) * groups.y + group.y) * params.chunks + params.firstChunk + group.x] = vec2f(mean, total);
  }
}
