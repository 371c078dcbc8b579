// Layers with their parameters: convolution, transposed convolution and linear map, each with a bias, group norm; upsampling; SiLU.

import type { Value } from '../graph/index.ts';
import {
  add,
  conv,
  convTranspose,
  div,
  expand,
  matmul,
  mul,
  reduceMean,
  reshape,
  sigmoid,
  sqrt,
  square,
  sub,
} from '../ops/index.ts';
import type { Init, Scope } from './scope.ts';

/** x [1, cIn, h, w] -> [1, cOut, h / stride, w / stride], padded to keep the size at stride 1; kernel size odd. */
export function conv2d(
  scope: Scope,
  x: Value,
  cOut: number,
  kernel: number,
  options: { readonly stride?: number; readonly init?: Init } = {},
): Value {
  const cIn = x.shape[1]!;
  const init = options.init ?? fanIn(cIn * kernel * kernel);
  const weight = scope.param('weight', [cOut, cIn, kernel, kernel], init);
  const stride = options.stride ?? 1;
  const pad = (kernel - 1) / 2;
  const bias = scope.param('bias', [cOut], { kind: 'zeros' });
  return conv(x, weight, { strides: [stride, stride], pads: [pad, pad, pad, pad], bias });
}

/** x [1, cIn, h, w] -> [1, cOut, 2h, 2w] by a transposed 4×4 convolution of stride 2. */
export function upsample2d(scope: Scope, x: Value, cOut: number): Value {
  const cIn = x.shape[1]!;
  const weight = scope.param('weight', [cIn, cOut, 4, 4], fanIn(cIn * 4)); // 2×2 of the taps reach each output
  const bias = scope.param('bias', [cOut], { kind: 'zeros' });
  return add(convTranspose(x, weight, { strides: [2, 2], pads: [1, 1, 1, 1] }), perChannel(bias));
}

/** x [1, i] -> [1, o]. */
export function linear(scope: Scope, x: Value, o: number): Value {
  const i = x.shape[1]!;
  const weight = scope.param('weight', [i, o], fanIn(i));
  return add(matmul(x, weight), scope.param('bias', [o], { kind: 'zeros' }));
}

/** x [1, c, h, w] with mean 0 and variance 1 over each group of c / groups channels, then scaled and shifted by channel (Wu & He 2018). */
export function groupNorm(scope: Scope, x: Value, groups: number): Value {
  const c = x.shape[1]!;
  const grouped = reshape(x, [1, groups, -1]); // [1, groups, c / groups · h · w]
  const centred = sub(grouped, reduceMean(grouped, [2], true));
  const std = sqrt(add(reduceMean(square(centred), [2], true), 1e-5));
  const y = reshape(div(centred, std), x.shape);
  const scale = scope.param('scale', [c], { kind: 'values', data: new Array<number>(c).fill(1) });
  return add(mul(y, perChannel(scale)), perChannel(scope.param('bias', [c], { kind: 'zeros' })));
}

/** x [1, c, h, w] -> [1, c, 2h, 2w], every pixel four times. */
export function nearest2d(x: Value): Value {
  const [, c, h, w] = x.shape as [number, number, number, number];
  return reshape(expand(reshape(x, [1, c, h, 1, w, 1]), [1, c, h, 2, w, 2]), [1, c, 2 * h, 2 * w]);
}

/** x σ(x). */
export function silu(x: Value): Value {
  return mul(x, sigmoid(x));
}

/** A parameter with one number per channel, [c] as [1, c, 1, 1]. */
export function perChannel(v: Value): Value {
  return reshape(v, [1, -1, 1, 1]);
}

/** U(-1/√f, 1/√f), PyTorch's default for layers with f inputs per output. */
function fanIn(f: number): Init {
  return { kind: 'uniform', bound: 1 / Math.sqrt(f) };
}
