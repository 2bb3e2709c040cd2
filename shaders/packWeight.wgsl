// Brings one piece of a stored tensor into the layout and type that kernels read: element e of the file goes to
// LAYOUT 0: e; LAYOUT 1: convolution [O, I, K] to [O, K, I] with K = KH * KW. The bytes arrive as 32-bit words.
// One invocation per element.

alias W = f32;                // type on the device
const SOURCE: u32 = 0;        // type in the file: 0 f32, 1 f16, 2 bf16
const LAYOUT: u32 = 0;

struct Params {
  count: u32,     // elements in this piece
  first: u32,     // the piece's first element, in the tensor
  origin: u32,    // the tensor's element at which the bound window of y starts
  inner: u32,     // I
  taps: u32,      // K
}

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<W>;
@group(0) @binding(2) var<uniform> params: Params;

fn decode(i: u32) -> f32 {
  if (SOURCE == 0) { return bitcast<f32>(words[i]); }
  let word = words[i / 2u];
  if (SOURCE == 1) { return unpack2x16float(word)[i % 2u]; }
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, i % 2u == 1u));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let e = params.first + i;
  var at = e;
  if (LAYOUT == 1) {
    let row = params.inner * params.taps;
    let rest = e % row;
    at = e - rest + rest % params.taps * params.inner + rest / params.taps;
  }
  y[at - params.origin] = W(decode(i));
}
