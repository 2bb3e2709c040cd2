// The same function as attention.wgsl for adapters that run on a CPU, without workgroup memory: one invocation keeps
// four queries of one head of one image, with their outputs, and walks over the keys eight at a time (online softmax).
// There a load costs each invocation by itself, and all of a subgroup need the same keys and values: each reads one of the
// eight (of subgroups of four, two) and tells the others, which makes it more than twice as fast. Subgroups are taken to be
// neighbours by index. The head size must be a multiple of 4.
enable subgroups;

alias T = f32;              // element type of q, k, v and y
const QUADS: u32 = 8;       // head size / 4
const CAUSAL: u32 = 0;      // 1: a query sees keys up to its own position only
const SUBGROUP: u32 = 4;    // 4, or 8 of a larger one: invocations that share what they read

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

// Four channels of a value for each of four queries, a column each.
fn weighted(value: vec4f, weights: vec4f) -> mat4x4f {
  return mat4x4f(value * weights.x, value * weights.y, value * weights.z, value * weights.w);
}

// Of one key with each query. Products of a vector and a matrix take longer there than what they stand for.
fn products(key: vec4f, queries: mat4x4f) -> vec4f {
  return vec4f(dot(queries[0], key), dot(queries[1], key), dot(queries[2], key), dot(queries[3], key));
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let first = id.x * 4u;
  // The same number as QUADS, but not known to the compiler: drivers on CPUs take minutes over unrolled loops.
  let quads = params.headSize / 4u;
  let width = groups.y * quads; // of a row, in vec4
  let head = id.y * quads;
  let lastKey = params.keys - 1u;
  var rows: vec4u;
  for (var r = 0u; r < 4u; r++) {
    rows[r] = (id.z * params.queries + min(first + r, params.queries - 1u)) * width + head;
  }
  var queries: array<mat4x4f, QUADS>; // a column for each query, here and below
  var sums: array<mat4x4f, QUADS>;
  for (var c = 0u; c < quads; c++) {
    queries[c] = mat4x4f(vec4f(q[rows.x + c]), vec4f(q[rows.y + c]), vec4f(q[rows.z + c]), vec4f(q[rows.w + c]));
  }
  var top = vec4f(NONE); // one component for each query, here and below
  var total = vec4f();
  for (var block = 0u; block < params.keys; block += params.block) {
    // What the invocation reads for its subgroup.
    let key = block + id.x % SUBGROUP;
    let own = (id.z * params.keys + min(key, lastKey)) * width + head;
    let next = (id.z * params.keys + min(key + 4u, lastKey)) * width + head;
    var s0 = vec4f();
    var s1 = vec4f();
    var s2 = vec4f();
    var s3 = vec4f();
    var s4 = vec4f();
    var s5 = vec4f();
    var s6 = vec4f();
    var s7 = vec4f();
    for (var c = 0u; c < quads; c++) {
      let mine = vec4f(k[own + c]);
      var more = mine;
      if (SUBGROUP == 4) { more = vec4f(k[next + c]); }
      let query = queries[c];
      s0 += products(subgroupBroadcast(mine, 0u), query);
      s1 += products(subgroupBroadcast(mine, 1u), query);
      s2 += products(subgroupBroadcast(mine, 2u), query);
      s3 += products(subgroupBroadcast(mine, 3u), query);
      s4 += products(subgroupBroadcast(more, 4u % SUBGROUP), query);
      s5 += products(subgroupBroadcast(more, 5u % SUBGROUP), query);
      s6 += products(subgroupBroadcast(more, 6u % SUBGROUP), query);
      s7 += products(subgroupBroadcast(more, 7u % SUBGROUP), query);
    }
    var scores = array<vec4f, 8>(s0, s1, s2, s3, s4, s5, s6, s7);
    var newTop = top;
    for (var j = 0u; j < params.block; j++) {
      var seen = vec4<bool>(block + j < params.keys);
      if (CAUSAL == 1) { seen = seen & (vec4u(block + j) <= vec4u(first) + vec4u(0u, 1u, 2u, 3u)); }
      scores[j] = select(vec4f(NONE), scores[j] * params.scale, seen);
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
      let mine = vec4f(v[own + c]);
      var more = mine;
      if (SUBGROUP == 4) { more = vec4f(v[next + c]); }
      let before = sums[c];
      var sum = mat4x4f(before[0] * fade.x, before[1] * fade.y, before[2] * fade.z, before[3] * fade.w);
      sum += weighted(subgroupBroadcast(mine, 0u), scores[0]);
      sum += weighted(subgroupBroadcast(mine, 1u), scores[1]);
      sum += weighted(subgroupBroadcast(mine, 2u), scores[2]);
      sum += weighted(subgroupBroadcast(mine, 3u), scores[3]);
      sum += weighted(subgroupBroadcast(more, 4u % SUBGROUP), scores[4]);
      sum += weighted(subgroupBroadcast(more, 5u % SUBGROUP), scores[5]);
      sum += weighted(subgroupBroadcast(more, 6u % SUBGROUP), scores[6]);
      sum += weighted(subgroupBroadcast(more, 7u % SUBGROUP), scores[7]);
      sums[c] = sum;
    }
  }
  for (var r = 0u; r < min(4u, params.queries - min(first, params.queries)); r++) {
    for (var c = 0u; c < quads; c++) { y[rows[r] + c] = vec4<T>(sums[c][r] / total[r]); }
  }
}
