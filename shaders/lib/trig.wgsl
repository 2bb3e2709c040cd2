// Sine and cosine from Taylor series. WGSL lets the built-in ones be wrong by 2^-11, and drivers make use of that.

// (cos, sin) of an angle given in turns; exact to about 1e-7 for fractions of a turn.
fn cosSin(turns: f32) -> vec2f {
  let quarter = round(turns * 4.0);
  let r = (turns - quarter * 0.25) * 6.283185307179586; // within +-pi/4
  let z = r * r;
  let c = 1.0 + z * (-1.0 / 2.0 + z * (1.0 / 24.0 + z * (-1.0 / 720.0 + z * (1.0 / 40320.0))));
  let s = r * (1.0 + z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5040.0 + z * (1.0 / 362880.0)))));
  switch i32(quarter) & 3 {
    case 1 { return vec2f(-s, c); }
    case 2 { return vec2f(-c, -s); }
    case 3 { return vec2f(s, -c); }
    default { return vec2f(c, s); }
  }
}
