// The same function as conv2d.wgsl, one invocation per output element: the simplest correct form.
//#import lib/epilogue.wgsl

alias T = f32;            // element type of x and of the residual
alias W = f32;            // stored type of the weight
alias O = f32;            // element type of y
const RESIZE: u32 = 0;
const ACT_IN: u32 = 0;
const ACT: u32 = 0;
const BIAS: u32 = 0;
const CHANNEL_BIAS: u32 = 0;
const RESIDUAL: u32 = 0;

struct Params {
  rows: u32,
  outputs: u32,
  inner: u32,
  channels: u32,
  kernelWidth: u32,
  height: u32,
  width: u32,
  gatherHeight: u32,
  gatherWidth: u32,
  outHeight: u32,
  outWidth: u32,
  stride: u32,
  padTop: i32,
  padLeft: i32,
  firstRow: u32,
  firstSource: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<W>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> channelBias: array<T>;
@group(0) @binding(4) var<storage, read> residual: array<T>;
@group(0) @binding(5) var<storage, read_write> y: array<O>;
@group(0) @binding(6) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let element = (group.y * groups.x + group.x) * 64u + lane;
  if (element >= params.rows * params.outputs) { return; }
  let row = element / params.outputs;
  let column = element % params.outputs;
  let line = params.firstRow + row / params.outWidth;
  let image = line / params.outHeight;
  var sum = 0.0;
  for (var k = 0u; k < params.inner; k++) {
    let c = k % params.channels;
    let tap = k / params.channels;
    let iy = i32(line % params.outHeight * params.stride + tap / params.kernelWidth) - params.padTop;
    let ix = i32(row % params.outWidth * params.stride + tap % params.kernelWidth) - params.padLeft;
    if (iy < 0 || ix < 0 || iy >= i32(params.gatherHeight) || ix >= i32(params.gatherWidth)) { continue; }
    var sy = u32(iy);
    var sx = u32(ix);
    if (RESIZE == 1) {
      sy = sy * params.height / params.gatherHeight;
      sx = sx * params.width / params.gatherWidth;
    }
    let at = ((image * params.height + sy - params.firstSource) * params.width + sx) * params.channels + c;
    sum += activate(ACT_IN, f32(x[at])) * f32(weight[column * params.inner + k]);
  }
  finish(row, column, image, sum);
}
