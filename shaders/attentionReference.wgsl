// The same function as attention.wgsl, one invocation per output element, which computes its row's scores twice:
// the simplest correct form.

alias T = f32;              // element type of q, k, v and y
const CAUSAL: u32 = 0;

struct Params {
  queries: u32,
  keys: u32,
  headSize: u32,
  scale: f32,
  heads: u32,
  count: u32,     // elements of y
}

@group(0) @binding(0) var<storage, read> q: array<T>;
@group(0) @binding(1) var<storage, read> k: array<T>;
@group(0) @binding(2) var<storage, read> v: array<T>;
@group(0) @binding(3) var<storage, read_write> y: array<T>;
@group(0) @binding(4) var<uniform> params: Params;

fn score(queryAt: u32, keyAt: u32) -> f32 {
  var sum = 0.0;
  for (var c = 0u; c < params.headSize; c++) { sum += f32(q[queryAt + c]) * f32(k[keyAt + c]); }
  return sum * params.scale;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 64u + lane;
  if (i >= params.count) { return; }
  let width = params.heads * params.headSize;
  let channel = i % width;
  let head = channel / params.headSize * params.headSize;
  let query = i / width % params.queries;
  let image = i / width / params.queries;
  let queryAt = i / width * width + head;
  let keys = select(params.keys, min(params.keys, query + 1u), CAUSAL == 1);
  var top = -3.0e38;
  for (var j = 0u; j < keys; j++) { top = max(top, score(queryAt, (image * params.keys + j) * width + head)); }
  var total = 0.0;
  var sum = 0.0;
  for (var j = 0u; j < keys; j++) {
    let keyAt = (image * params.keys + j) * width + head;
    let p = exp(score(queryAt, keyAt) - top);
    total += p;
    sum += p * f32(v[keyAt + channel - head]);
  }
  y[i] = T(sum / total);
}
