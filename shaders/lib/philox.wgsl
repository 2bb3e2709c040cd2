// Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): counter in, 128 random bits out.
//#import lib/trig.wgsl

fn mulWide(a: u32, b: u32) -> vec2u { // (low, high) words of a * b
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let mid = ah * bl + ((al * bl) >> 16u);
  let cross = al * bh + (mid & 0xffffu);
  return vec2u(a * b, ah * bh + (mid >> 16u) + (cross >> 16u));
}

fn philox(counter: vec4u, key: vec2u) -> vec4u {
  var c = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let p = mulWide(0xD2511F53u, c.x);
    let q = mulWide(0xCD9E8D57u, c.z);
    c = vec4u(q.y ^ c.y ^ k.x, q.x, p.y ^ c.w ^ k.y, p.x);
    k += vec2u(0x9E3779B9u, 0xBB67AE85u);
  }
  return c;
}

// Two normal variates from two words (Box-Muller); the first uniform is in (0, 1], so its logarithm is finite.
fn normalPair(a: u32, b: u32) -> vec2f {
  let u = (f32(a >> 8u) + 1.0) * 5.9604644775390625e-8;
  return sqrt(-2.0 * log(u)) * cosSin(f32(b >> 8u) * 5.9604644775390625e-8);
}
