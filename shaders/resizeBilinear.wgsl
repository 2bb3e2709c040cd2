// Bilinear resize with half-pixel centres (PyTorch's align_corners = false, no antialiasing): the output pixel oy samples
// the input at (oy + 0.5) * stepY - 0.5, clamped to the picture. One invocation per element of y.

alias T = f32;                // element type of x and y

struct Params {
  count: u32,     // elements of the bound window of y
  channels: u32,
  height: u32,
  width: u32,
  outHeight: u32,
  outWidth: u32,
  stepY: f32,     // input pixels per output pixel
  stepX: f32,
  firstRow: u32,    // rows of y (of all images) before the bound window
  firstSource: u32, // rows of x before the bound window
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.count) { return; }
  let pixel = i / params.channels;
  let line = pixel / params.outWidth + params.firstRow;
  let fy = max((f32(line % params.outHeight) + 0.5) * params.stepY - 0.5, 0.0);
  let fx = max((f32(pixel % params.outWidth) + 0.5) * params.stepX - 0.5, 0.0);
  let y0 = min(u32(fy), params.height - 1u);
  let x0 = min(u32(fx), params.width - 1u);
  let y1 = min(y0 + 1u, params.height - 1u);
  let x1 = min(x0 + 1u, params.width - 1u);
  let c = i % params.channels;
  let image = line / params.outHeight * params.height - params.firstSource; // may wrap; the sums below are right again
  let a = f32(x[((image + y0) * params.width + x0) * params.channels + c]);
  let b = f32(x[((image + y0) * params.width + x1) * params.channels + c]);
  let d = f32(x[((image + y1) * params.width + x0) * params.channels + c]);
  let e = f32(x[((image + y1) * params.width + x1) * params.channels + c]);
  let wx = fx - f32(x0);
  y[i] = T(mix(mix(a, b, wx), mix(d, e, wx), fy - f32(y0)));
}
