// Pointwise functions in f32. Codes: 0 none, 1 silu, 2 gelu (exact), 3 quick gelu, 4 gelu (tanh form), 5 relu,
// 6 tanh.

fn sigmoid(x: f32) -> f32 {
  return 1.0 / (1.0 + exp(-clamp(x, -80.0, 80.0)));
}

// Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7. WGSL has no erf.
fn erf(x: f32) -> f32 {
  let a = abs(x);
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sign(x) * (1.0 - poly * exp(-min(a * a, 80.0)));
}

fn gelu(x: f32) -> f32 {
  return 0.5 * x * (1.0 + erf(x * 0.70710678118654752));
}

// Some drivers' tanh overflows for large arguments, so they are clamped where the result is 1 in f32 anyway.
fn geluTanh(x: f32) -> f32 {
  let u = clamp(0.7978845608028654 * (x + 0.044715 * x * x * x), -15.0, 15.0);
  return 0.5 * x * (1.0 + tanh(u));
}

fn activate(kind: u32, x: f32) -> f32 {
  switch kind {
    case 1u { return x * sigmoid(x); }
    case 2u { return gelu(x); }
    case 3u { return x * sigmoid(1.702 * x); }
    case 4u { return geluTanh(x); }
    case 5u { return max(x, 0.0); }
    case 6u { return tanh(clamp(x, -15.0, 15.0)); }
    default { return x; }
  }
}

fn activate4(kind: u32, v: vec4f) -> vec4f {
  if (kind == 0u) { return v; }
  return vec4f(activate(kind, v.x), activate(kind, v.y), activate(kind, v.z), activate(kind, v.w));
}
