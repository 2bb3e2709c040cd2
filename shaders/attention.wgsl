// y = softmax(q kᵀ * scale) v for each head of each image, the score matrix never stored (online softmax, as in Dao et
// al. 2022, "FlashAttention"). q, k, v and y are [N, T, heads * D] with head h in channels h * D .. h * D + D.
// One workgroup per (32 queries, head, image) walks over the keys 32 at a time. Scores are summed over slices of 32
// channels, so any head size fits in 14 KiB of workgroup memory. Invocation = (query row lane / 8, part lane % 8): it
// keeps the running maximum and sum of its row, and the outputs of channels part * 4 .. + 4 of every slice.

alias T = f32;              // element type of q, k, v and y
const SLICES: u32 = 2;      // D / 32, rounded up
const VECTOR: u32 = 1;      // 1: D is a multiple of 4
const CAUSAL: u32 = 0;      // 1: a query sees keys up to its own position only

struct Params {
  queries: u32,
  keys: u32,
  headSize: u32,  // D
  scale: f32,
}

@group(0) @binding(0) var<storage, read> q: array<vec4<T>>;
@group(0) @binding(1) var<storage, read> k: array<vec4<T>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<T>>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;
@group(0) @binding(4) var<uniform> params: Params;

const NONE: f32 = -3.0e38;  // below every score; finite, since arithmetic on infinities is not portable

var<workgroup> left: array<vec4f, 32 * 9>;   // queries, one slice: [32][8], rows padded to 9
var<workgroup> right: array<vec4f, 32 * 9>;  // keys or values, one slice
var<workgroup> scores: array<f32, 32 * 33>;
var<workgroup> parts: array<f32, 256>;

// Channels c .. c + 4 of a head's row that starts at element `at`; zero beyond the head's size.
fn load4(which: u32, at: u32, c: u32) -> vec4f {
  var value = vec4f();
  if (VECTOR == 1) {
    if (c < params.headSize) {
      let i = (at + c) / 4u;
      switch which {
        case 0u { value = vec4f(q[i]); }
        case 1u { value = vec4f(k[i]); }
        default { value = vec4f(v[i]); }
      }
    }
    return value;
  }
  for (var j = 0u; j < 4u; j++) {
    if (c + j < params.headSize) {
      let i = at + c + j;
      switch which {
        case 0u { value[j] = f32(q[i / 4u][i % 4u]); }
        case 1u { value[j] = f32(k[i / 4u][i % 4u]); }
        default { value[j] = f32(v[i / 4u][i % 4u]); }
      }
    }
  }
  return value;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let width = groups.y * params.headSize;
  let row = lane / 8u;
  let part = lane % 8u;
  let query = group.x * 32u + row;
  let queryAt = (group.z * params.queries + query) * width + group.y * params.headSize;
  let ty = lane / 16u;  // scores: rows ty, ty + 16 and columns tx, tx + 16
  let tx = lane % 16u;

  var top = NONE;
  var total = 0.0;
  var out: array<vec4f, SLICES>;

  for (var firstKey = 0u; firstKey < params.keys; firstKey += 32u) {
    // A block whose every key lies after every query of this workgroup adds nothing.
    if (CAUSAL == 1 && firstKey > group.x * 32u + 31u) { break; }
    let key = firstKey + row;
    let keyAt = (group.z * params.keys + key) * width + group.y * params.headSize;
    var s = vec4f();
    for (var slice = 0u; slice < SLICES; slice++) {
      let c = slice * 32u + part * 4u;
      var a = vec4f();
      var b = vec4f();
      if (query < params.queries) { a = load4(0u, queryAt, c); }
      if (key < params.keys) { b = load4(1u, keyAt, c); }
      workgroupBarrier();
      left[row * 9u + part] = a;
      right[row * 9u + part] = b;
      workgroupBarrier();
      for (var i = 0u; i < 8u; i++) {
        let a0 = left[ty * 9u + i];
        let a1 = left[(ty + 16u) * 9u + i];
        let b0 = right[tx * 9u + i];
        let b1 = right[(tx + 16u) * 9u + i];
        s += vec4f(dot(a0, b0), dot(a0, b1), dot(a1, b0), dot(a1, b1));
      }
    }
    scores[ty * 33u + tx] = s.x;
    scores[ty * 33u + tx + 16u] = s.y;
    scores[(ty + 16u) * 33u + tx] = s.z;
    scores[(ty + 16u) * 33u + tx + 16u] = s.w;
    workgroupBarrier();

    // Softmax of this block: eight invocations a row, four keys each.
    var mine: array<f32, 4>;
    var highest = NONE;
    for (var j = 0u; j < 4u; j++) {
      let at = firstKey + part * 4u + j;
      let seen = at < params.keys && (CAUSAL == 0 || at <= query);
      mine[j] = select(NONE, scores[row * 33u + part * 4u + j] * params.scale, seen);
      highest = max(highest, mine[j]);
    }
    parts[lane] = highest;
    workgroupBarrier();
    var newTop = top;
    for (var j = 0u; j < 8u; j++) { newTop = max(newTop, parts[row * 8u + j]); }
    var sum = 0.0;
    for (var j = 0u; j < 4u; j++) {
      let p = select(0.0, exp(mine[j] - newTop), mine[j] > NONE);
      scores[row * 33u + part * 4u + j] = p;
      sum += p;
    }
    workgroupBarrier();
    parts[lane] = sum;
    workgroupBarrier();
    let fade = exp(top - newTop);
    total *= fade;
    for (var j = 0u; j < 8u; j++) { total += parts[row * 8u + j]; }
    top = newTop;

    // out = out * fade + scores · v, slice by slice.
    for (var slice = 0u; slice < SLICES; slice++) {
      var b = vec4f();
      if (key < params.keys) { b = load4(2u, keyAt, slice * 32u + part * 4u); }
      workgroupBarrier();
      right[row * 9u + part] = b;
      workgroupBarrier();
      var o = out[slice] * fade;
      for (var j = 0u; j < 32u; j++) { o += scores[row * 33u + j] * right[j * 9u + part]; }
      out[slice] = o;
    }
    workgroupBarrier();
  }

  if (query >= params.queries) { return; }
  for (var slice = 0u; slice < SLICES; slice++) {
    let c = slice * 32u + part * 4u;
    let o = out[slice] / total;
    for (var j = 0u; j < 4u; j++) {
      if (c + j < params.headSize) { y[queryAt + c + j] = T(o[j]); }
    }
  }
}
