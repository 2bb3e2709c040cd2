// What a denoiser's output says about the noise and about the clean latent, with guidance applied (Ho and Salimans 2022).
// The importing file declares output, x, factor, scalars (core/stepScalars.ts), params.count, params.size (of an image),
// GUIDED (1: output holds [unconditional, conditional]), RESCALE (1: the guided output is scaled by factor of its image)
// and PREDICTION (0 epsilon, 1 v, 2 sample; Salimans and Ho 2022 for v).

struct Prediction { x0: f32, eps: f32 }

fn predict(i: u32) -> Prediction {
  var e = output[i];
  if (GUIDED == 1) { e += scalars[3] * (output[params.count + i] - e); }
  if (RESCALE == 1) { e *= factor[i / params.size]; }
  let a = scalars[1];
  let b = scalars[2];
  switch PREDICTION {
    case 1u { return Prediction(a * x[i] - b * e, a * e + b * x[i]); }
    case 2u { return Prediction(e, (x[i] - a * e) / b); }
    default { return Prediction((x[i] - b * e) / a, e); }
  }
}
