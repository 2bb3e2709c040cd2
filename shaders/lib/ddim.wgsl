// The prediction of a denoiser read as noise and as the clean latent. Scalars of a step, all f32:
// 0 timestep, 1 sqrt(alpha), 2 sqrt(1 - alpha), 3 sqrt(alphaPrev), 4 direction, 5 sigma, 6 guidance scale;
// alpha is the cumulative product at the timestep. The importing file declares eps, x, scalars, params.count,
// GUIDED and PREDICTION (0 epsilon, 1 v, 2 sample).

struct Prediction { x0: f32, eps: f32 }

fn predict(i: u32) -> Prediction {
  var e = eps[i];
  if (GUIDED == 1) { e += scalars[6] * (eps[params.count + i] - e); } // [unconditional, conditional]
  let a = scalars[1];
  let b = scalars[2];
  switch PREDICTION {
    case 1u { return Prediction(a * x[i] - b * e, a * e + b * x[i]); }
    case 2u { return Prediction(e, (x[i] - a * e) / b); }
    default { return Prediction((x[i] - b * e) / a, e); }
  }
}
