// The same function as attention.wgsl for adapters that run on a CPU, without workgroup memory: one invocation keeps
// four queries of one head of one image, with their outputs, and walks over the keys eight at a time (online softmax).
// The head size must be a multiple of 4.

alias T = f32;              // element type of q, k, v and y
const QUADS: u32 = 8;       // head size / 4
const CAUSAL: u32 = 0;      // 1: a query sees keys up to its own position only

struct Params {
  queries: u32,
  keys: u32,
  headSize: u32,
  scale: f32,
  block: u32,     // 8: see quads
}

@group(0) @binding(0) var<storage, read> q: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<T>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<T>>;
@group(0) @binding(4) var<uniform> params: Params;

const NONE: f32 = -3.0e38;  // below every score; finite, since arithmetic on infinities is not portable

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let first = id.x * 4u;
  if (first >= params.queries) { return; }
  // The same number as QUADS, but not known to the compiler: drivers on CPUs take minutes over unrolled loops.
  let quads = params.headSize / 4u;
  let width = groups.y * quads; // of a row, in vec4
  let head = id.y * quads;
  let last = params.queries - 1u;
  var rows: array<u32, 4>;
  var queries: array<vec4f, 4 * QUADS>;
  var sums: array<vec4f, 4 * QUADS>;
  for (var r = 0u; r < 4u; r++) {
    rows[r] = (id.z * params.queries + min(first + r, last)) * width + head;
    for (var c = 0u; c < quads; c++) { queries[r * QUADS + c] = vec4f(q[rows[r] + c]); }
  }
  var top = vec4f(NONE); // one component per query, here and below
  var total = vec4f();
  for (var block = 0u; block < params.keys; block += params.block) {
    var scores: array<vec4f, 8>;
    var newTop = top;
    for (var j = 0u; j < params.block; j++) {
      let key = block + j;
      let at = (id.z * params.keys + min(key, params.keys - 1u)) * width + head;
      var s = vec4f();
      for (var c = 0u; c < quads; c++) {
        let b = vec4f(k[at + c]);
        s += vec4f(
          dot(queries[c], b),
          dot(queries[QUADS + c], b),
          dot(queries[2u * QUADS + c], b),
          dot(queries[3u * QUADS + c], b));
      }
      var seen = vec4<bool>(key < params.keys);
      if (CAUSAL == 1) { seen = seen & (vec4u(key) <= vec4u(first) + vec4u(0u, 1u, 2u, 3u)); }
      scores[j] = select(vec4f(NONE), s * params.scale, seen);
      newTop = max(newTop, scores[j]);
    }
    let fade = exp(top - newTop);
    total *= fade;
    for (var j = 0u; j < params.block; j++) {
      scores[j] = select(vec4f(), exp(scores[j] - newTop), scores[j] > vec4f(NONE));
      total += scores[j];
    }
    top = newTop;
    for (var c = 0u; c < quads; c++) {
      var s0 = sums[c] * fade.x;
      var s1 = sums[QUADS + c] * fade.y;
      var s2 = sums[2u * QUADS + c] * fade.z;
      var s3 = sums[3u * QUADS + c] * fade.w;
      for (var j = 0u; j < params.block; j++) {
        let b = vec4f(v[(id.z * params.keys + min(block + j, params.keys - 1u)) * width + head + c]);
        s0 += scores[j].x * b;
        s1 += scores[j].y * b;
        s2 += scores[j].z * b;
        s3 += scores[j].w * b;
      }
      sums[c] = s0;
      sums[QUADS + c] = s1;
      sums[2u * QUADS + c] = s2;
      sums[3u * QUADS + c] = s3;
    }
  }
  for (var r = 0u; r < 4u; r++) {
    if (first + r >= params.queries) { return; }
    for (var c = 0u; c < quads; c++) { y[rows[r] + c] = vec4<T>(sums[r * QUADS + c] / total[r]); }
  }
}
