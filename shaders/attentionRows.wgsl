// The same function as attention.wgsl for heads of up to 160 channels, a multiple of 4. Each invocation keeps ROWS whole
// queries and their outputs in registers, or with PARTS > 1 a part of their channels, and walks over the keys: a key or
// value that is read from workgroup memory is used ROWS times, and every invocation of a subgroup reads the same one, so
// nothing conflicts. Scores never leave their invocation, but for the sum over the parts.
// One workgroup per (LINES * ROWS queries, head, image); with SHARES > 1 each of as many sets of invocations sees every
// SHARES-th block of STEP keys, and the sets are joined at the end.

alias T = f32;              // element type of q, k, v and y
const QUADS: u32 = 10;      // vec4 of a head's channels that one invocation holds
const PARTS: u32 = 1;       // invocations that share a query: D <= 4 * QUADS * PARTS
const ROWS: u32 = 2;        // queries an invocation
const LINES: u32 = 64;      // invocations side by side, each with queries of its own
const SHARES: u32 = 1;
const KEYS: u32 = 32;       // keys in workgroup memory, a multiple of STEP * SHARES
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
const WIDTH: u32 = QUADS * PARTS;
const WORKGROUP: u32 = LINES * PARTS * SHARES;

var<workgroup> keyTile: array<array<vec4f, WIDTH>, KEYS>;
var<workgroup> valueTile: array<array<vec4f, WIDTH>, KEYS>;
var<workgroup> exchanged: array<vec4f, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = params.headSize / 4u;
  let width = groups.y * head;  // vec4 of a token
  let line = lane % LINES;
  let part = lane / LINES % PARTS;
  let share = lane / (LINES * PARTS);
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
    let row = r * LINES + line;
    for (var c = 0u; c < QUADS; c++) {
      let channel = part * QUADS + c;
      if (firstQuery + row < params.queries && channel < head) {
        // Scores come out in units of ln 2, for exp2.
        query[r * QUADS + c] = vec4f(q[queryAt + row * width + channel]) * (params.scale * 1.4426950408889634);
      }
    }
  }

  for (var firstKey = 0u; firstKey < params.keys; firstKey += KEYS) {
    // Keys after every query of this workgroup add nothing.
    if (CAUSAL == 1 && firstKey >= firstQuery + ROWS * LINES) { break; }
    workgroupBarrier();
    for (var i = lane; i < KEYS * WIDTH; i += WORKGROUP) {
      let key = i / WIDTH;
      let channel = i % WIDTH;
      let at = keyAt + (firstKey + key) * width + channel;
      var a = vec4f();
      var b = vec4f();
      if (firstKey + key < params.keys && channel < head) {
        a = vec4f(k[at]);
        b = vec4f(v[at]);
      }
      keyTile[key][channel] = a;
      valueTile[key][channel] = b;
    }
    workgroupBarrier();
    for (var block = 0u; block < KEYS; block += STEP * SHARES) {
      let first = block + share * STEP;
      for (var j = 0u; j < STEP; j++) {
        for (var r = 0u; r < ROWS; r++) { p[j * ROWS + r] = 0.0; }
        for (var c = 0u; c < QUADS; c++) {
          let a = keyTile[first + j][part * QUADS + c];
          for (var r = 0u; r < ROWS; r++) {
            let b = query[r * QUADS + c];
            p[j * ROWS + r] = a.w * b.w + (a.z * b.z + (a.y * b.y + (a.x * b.x + p[j * ROWS + r])));
          }
        }
      }
      if (PARTS > 1) {
        for (var i = 0u; i < STEP * ROWS; i += 4u) {
          workgroupBarrier();
          exchanged[lane] = vec4f(p[i], p[i + 1u], p[i + 2u], p[i + 3u]);
          workgroupBarrier();
          var sum = vec4f();
          for (var n = 0u; n < PARTS; n++) { sum += exchanged[(share * PARTS + n) * LINES + line]; }
          p[i] = sum.x;
          p[i + 1u] = sum.y;
          p[i + 2u] = sum.z;
          p[i + 3u] = sum.w;
        }
      }
      if (CAUSAL == 1 || firstKey + KEYS > params.keys) {
        for (var j = 0u; j < STEP; j++) {
          let key = firstKey + first + j;
          for (var r = 0u; r < ROWS; r++) {
            let seen = key < params.keys && (CAUSAL == 0 || key <= firstQuery + r * LINES + line);
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
          let b = valueTile[first + j][part * QUADS + c];
          for (var r = 0u; r < ROWS; r++) { out[r * QUADS + c] += p[j * ROWS + r] * b; }
        }
      }
    }
  }

  // The sets of invocations are joined in order, into the first.
  for (var s = 1u; s < SHARES; s++) {
    for (var r = 0u; r < ROWS; r++) {
      workgroupBarrier();
      if (share == s) { exchanged[lane] = vec4f(top[r], total[r], 0.0, 0.0); }
      workgroupBarrier();
      let other = exchanged[s * LINES * PARTS + lane % (LINES * PARTS)];
      let highest = max(top[r], other.x);
      let fade = exp2(top[r] - highest);
      let otherFade = exp2(other.x - highest);
      total[r] = total[r] * fade + other.y * otherFade;
      top[r] = highest;
      for (var c = 0u; c < QUADS; c++) {
        workgroupBarrier();
        if (share == s) { exchanged[lane] = out[r * QUADS + c]; }
        workgroupBarrier();
        out[r * QUADS + c] = out[r * QUADS + c] * fade + exchanged[s * LINES * PARTS + lane % (LINES * PARTS)] * otherFade;
      }
    }
  }

  if (share > 0u) { return; }
  for (var r = 0u; r < ROWS; r++) {
    let row = r * LINES + line;
    let scale = 1.0 / total[r];
    for (var c = 0u; c < QUADS; c++) {
      let channel = part * QUADS + c;
      if (firstQuery + row < params.queries && channel < head) {
        y[queryAt + row * width + channel] = vec4<T>(out[r * QUADS + c] * scale);
      }
    }
  }
}
