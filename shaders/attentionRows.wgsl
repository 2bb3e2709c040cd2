// The same function as attention.wgsl for heads of at most 80 channels, a multiple of 4. Each invocation keeps ROWS whole
// queries and their outputs in registers and walks over the keys: a key or value that is read from workgroup memory is used
// ROWS times, all invocations of a subgroup read the same one, so that nothing conflicts, and scores never leave their
// invocation. One workgroup per (LINES * ROWS queries, head, image).
//
// On an H100, f16, 2 images, 8 heads: 4096 x 4096 of 40 channels in 1.21 ms (35 TFLOP/s; attention.wgsl 5.2), 4096 x 77 in
// 0.048 (0.131), 1024 x 1024 of 80 in 0.27 (0.51), of 64 in 0.27 (0.35); f32 takes as long. Two queries beat one up to 40
// channels (1.68 ms) and no longer fit beyond. Lost: blocks of 4 keys (1.29), of 16 (2.8), queries shared by channels among
// two invocations (5.0), keys shared among sets of invocations (15.8).

alias T = f32;              // element type of q, k, v and y
const QUADS: u32 = 10;      // vec4 that hold a head's channels
const ROWS: u32 = 2;        // queries an invocation
const LINES: u32 = 128;     // invocations
const KEYS: u32 = 32;       // keys in workgroup memory, a multiple of STEP
const STEP: u32 = 8;        // keys between two looks at the maximum
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
@group(0) @binding(3) var<storage, read_write> y: array<vec4<T>>;
@group(0) @binding(4) var<uniform> params: Params;

const NONE: f32 = -3.0e38;  // below every score; finite, since arithmetic on infinities is not portable

var<workgroup> keyTile: array<array<vec4f, QUADS>, KEYS>;
var<workgroup> valueTile: array<array<vec4f, QUADS>, KEYS>;

@compute @workgroup_size(LINES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = params.headSize / 4u;
  let width = groups.y * head;  // vec4 of a token
  let firstQuery = group.x * ROWS * LINES;
  let queryAt = (group.z * params.queries + firstQuery) * width + group.y * head;
  let keyAt = group.z * params.keys * width + group.y * head;

  var query: array<vec4f, QUADS * ROWS>;
  var out: array<vec4f, QUADS * ROWS>;
  var p: array<f32, STEP * ROWS>;  // of a block of keys: scores, then weights
  var top: array<f32, ROWS>;
  var total: array<f32, ROWS>;
  for (var r = 0u; r < ROWS; r++) {
    top[r] = NONE;
    let row = r * LINES + lane;
    for (var c = 0u; c < QUADS; c++) {
      if (firstQuery + row < params.queries && c < head) {
        // Scores come out in units of ln 2, for exp2.
        query[r * QUADS + c] = vec4f(q[queryAt + row * width + c]) * (params.scale * 1.4426950408889634);
      }
    }
  }

  for (var firstKey = 0u; firstKey < params.keys; firstKey += KEYS) {
    // Keys after every query of this workgroup add nothing.
    if (CAUSAL == 1 && firstKey >= firstQuery + ROWS * LINES) { break; }
    workgroupBarrier();
    for (var i = lane; i < KEYS * QUADS; i += LINES) {
      let key = i / QUADS;
      let c = i % QUADS;
      let at = keyAt + (firstKey + key) * width + c;
      var a = vec4f();
      var b = vec4f();
      if (firstKey + key < params.keys && c < head) {
        a = vec4f(k[at]);
        b = vec4f(v[at]);
      }
      keyTile[key][c] = a;
      valueTile[key][c] = b;
    }
    workgroupBarrier();
    for (var first = 0u; first < KEYS; first += STEP) {
      for (var j = 0u; j < STEP; j++) {
        for (var r = 0u; r < ROWS; r++) { p[j * ROWS + r] = 0.0; }
        for (var c = 0u; c < QUADS; c++) {
          let a = keyTile[first + j][c];
          for (var r = 0u; r < ROWS; r++) {
            let b = query[r * QUADS + c];
            p[j * ROWS + r] = a.w * b.w + (a.z * b.z + (a.y * b.y + (a.x * b.x + p[j * ROWS + r])));
          }
        }
      }
      if (CAUSAL == 1 || firstKey + KEYS > params.keys) {
        for (var j = 0u; j < STEP; j++) {
          let key = firstKey + first + j;
          for (var r = 0u; r < ROWS; r++) {
            let seen = key < params.keys && (CAUSAL == 0 || key <= firstQuery + r * LINES + lane);
            if (!seen) { p[j * ROWS + r] = NONE; }
          }
        }
      }
      for (var r = 0u; r < ROWS; r++) {
        var highest = p[r];
        for (var j = 1u; j < STEP; j++) { highest = max(highest, p[j * ROWS + r]); }
        if (highest > top[r]) {
          let fade = exp2(top[r] - highest);
          top[r] = highest;
          total[r] *= fade;
          for (var c = 0u; c < QUADS; c++) { out[r * QUADS + c] *= fade; }
        }
        // Before any key is seen top is NONE, and so are the scores: their weight must still be zero.
        let floor = max(top[r], 0.5 * NONE);
        for (var j = 0u; j < STEP; j++) {
          let weight = exp2(p[j * ROWS + r] - floor);
          p[j * ROWS + r] = weight;
          total[r] += weight;
        }
      }
      for (var j = 0u; j < STEP; j++) {
        for (var c = 0u; c < QUADS; c++) {
          let b = valueTile[first + j][c];
          for (var r = 0u; r < ROWS; r++) { out[r * QUADS + c] += p[j * ROWS + r] * b; }
        }
      }
    }
  }

  for (var r = 0u; r < ROWS; r++) {
    let row = r * LINES + lane;
    for (var c = 0u; c < QUADS; c++) {
      if (firstQuery + row < params.queries && c < head) {
        y[queryAt + row * width + c] = vec4<T>(out[r * QUADS + c] / total[r]);
      }
    }
  }
}
