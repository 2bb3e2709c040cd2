// Mean and sum of squared differences of one chunk of pixels of each group of one image: stats[image, group, chunk].
// The first of three steps of group normalisation on large images. One workgroup per (chunk, block of groups, image).
// Neighbouring invocations read neighbouring channels, a column each, of several pixels at once, and each takes sums and
// squares about a number of its own column, one from the middle: the first ones are often those of a border. Where that is
// k standard deviations from their mean, 1 + k^2 parts of the squares cancel. Columns, and then channels, are joined by
// Chan's formula.
// A group of more channels than `moments` holds is worked on in segments.

alias T = f32;                // element type of x
const WORKGROUP: u32 = 256;
const VECTOR: u32 = 1;        // 1: a column is four channels, and the channels of x, a block and a segment are multiples of 4

struct Params {
  pixels: u32,      // pixels of each image in the bound window of x
  channels: u32,
  groupSize: u32,   // channels per group
  blockGroups: u32, // groups per workgroup; the last block may hold fewer
  chunkPixels: u32, // pixels per chunk; the last chunk of an image may hold fewer
  chunks: u32,      // chunks per image
  firstChunk: u32,  // chunk at which the window starts
  image: u32,       // first image of the window
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;
@group(0) @binding(1) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(2) var<uniform> params: Params;

const MOST: u32 = 512;        // channels of a segment
const AT_ONCE: u32 = 4;       // pixels whose loads do not wait for one another
const WIDTH: u32 = select(1u, 4u, VECTOR == 1);

var<workgroup> means: array<vec4f, WORKGROUP>;
var<workgroup> squares: array<vec4f, WORKGROUP>;
var<workgroup> moments: array<vec2f, MOST>;  // of each channel of the segment: mean, sum of squared differences

fn load(at: u32) -> vec4f {
  if (VECTOR == 1) { return vec4f(x[at / 4u]); }
  return vec4f(f32(x[at / 4u][at % 4u]), 0.0, 0.0, 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let firstPixel = group.x * params.chunkPixels;
  let pixels = min(params.chunkPixels, params.pixels - firstPixel);
  let firstGroup = group.y * params.blockGroups;
  let firstChannel = firstGroup * params.groupSize;
  let blockChannels = min(params.blockGroups * params.groupSize, params.channels - firstChannel);
  let image = (group.z * params.pixels + firstPixel) * params.channels;

  var seen = 0.0;   // of the invocation's group
  var mean = 0.0;
  var total = 0.0;
  for (var start = 0u; start < blockChannels; start += MOST) {
    let size = min(MOST, blockChannels - start);
    let columns = size / WIDTH;
    let across = min(columns, WORKGROUP);
    let strips = WORKGROUP / across;  // pixels at once; with more than one, every column has its invocations
    let strip = lane / across;
    workgroupBarrier();
    for (var column = lane % across; column < columns; column += across) {
      if (strip >= strips) { break; }
      let at = image + firstChannel + start + column * WIDTH;
      let count = (pixels + strips - 1u - strip) / strips;
      let origin = load(at + min(strip + count / 2u * strips, pixels - 1u) * params.channels);
      var first = vec4f();
      var sum = vec4f();
      for (var p = strip; p < pixels; p += AT_ONCE * strips) {
        /*#unroll*/ for (var u = 0u; u < AT_ONCE; u++) {
          let here = p + u * strips;
          let d = select(vec4f(), load(at + min(here, pixels - 1u) * params.channels) - origin, here < pixels);
          first += d;
          sum += d * d;
        }
      }
      let own = origin + first / f32(max(1u, count));
      sum = max(vec4f(), sum - first * (first / f32(max(1u, count))));
      if (strips > 1u) {
        means[lane] = own;
        squares[lane] = sum;
      } else {
        for (var j = 0u; j < WIDTH; j++) { moments[column * WIDTH + j] = vec2f(own[j], sum[j]); }
      }
    }
    workgroupBarrier();
    if (strips > 1u && lane < columns) {
      var whole = vec4f();
      for (var s = 0u; s < strips; s++) { whole += means[s * across + lane] * f32((pixels + strips - 1u - s) / strips); }
      whole /= f32(pixels);
      var sum = vec4f();
      for (var s = 0u; s < strips; s++) {
        let d = means[s * across + lane] - whole;
        sum += squares[s * across + lane] + d * d * f32((pixels + strips - 1u - s) / strips);
      }
      for (var j = 0u; j < WIDTH; j++) { moments[lane * WIDTH + j] = vec2f(whole[j], sum[j]); }
    }
    workgroupBarrier();
    // Each group's channels are joined by one invocation (more than one segment means a single group).
    let groups = blockChannels / params.groupSize;
    for (var g = lane; g < groups; g += WORKGROUP) {
      let count = min(params.groupSize, size);
      var whole = 0.0;
      for (var c = 0u; c < count; c++) { whole += moments[g * count + c].x; }
      whole /= f32(count);
      var sum = 0.0;
      for (var c = 0u; c < count; c++) {
        let d = moments[g * count + c].x - whole;
        sum += moments[g * count + c].y + d * d * f32(pixels);
      }
      if (start == 0u) { // a group that begins here; the invocation may have had another before
        seen = 0.0;
        mean = 0.0;
        total = 0.0;
      }
      let n = f32(count * pixels);
      let d = whole - mean;
      total += sum + d * d * (seen * n / (seen + n));
      mean += d * (n / (seen + n));
      seen += n;
      if (start + size == blockChannels) {
        let at = (params.image + group.z) * (params.channels / params.groupSize) + firstGroup + g;
        stats[at * params.chunks + params.firstChunk + group.x] = vec2f(mean, total);
      }
    }
  }
}
