// Layers with their parameters: convolution, transposed convolution and linear map, with a bias unless told otherwise;
// norms.

import type { Value } from '../graph/index.ts';
import { add, conv, convTranspose, matmul, mul, normalise, reshape } from '../ops/index.ts';
import type { Init, Scope } from './scope.ts';

/** x [1, cIn, h, w] -> [1, cOut, h / stride, w / stride], padded to keep the size at stride 1; kernel size odd. */
export function conv2d(
  scope: Scope,
  x: Value,
  cOut: number,
  kernel: number,
  options: { readonly stride?: number; readonly init?: Init; readonly bias?: Init | false } = {},
): Value {
  const cIn = x.shape[1]!;
  const init = options.init ?? fanIn(cIn * kernel * kernel);
  const weight = scope.param('weight', [cOut, cIn, kernel, kernel], init);
  const stride = options.stride ?? 1;
  const pad = (kernel - 1) / 2;
  const geometry = { strides: [stride, stride], pads: [pad, pad, pad, pad] };
  if (options.bias === false) return conv(x, weight, geometry);
  return conv(x, weight, { ...geometry, bias: scope.param('bias', [cOut], options.bias ?? { kind: 'zeros' }) });
}

/** x [1, cIn, h, w] -> [1, cOut, 2h, 2w] by a transposed 4×4 convolution of stride 2. */
export function upsample2d(scope: Scope, x: Value, cOut: number): Value {
  const cIn = x.shape[1]!;
  const weight = scope.param('weight', [cIn, cOut, 4, 4], fanIn(cIn * 4)); // 2×2 of the taps reach each output
  const bias = scope.param('bias', [cOut], { kind: 'zeros' });
  return add(convTranspose(x, weight, { strides: [2, 2], pads: [1, 1, 1, 1] }), perChannel(bias));
}

/** x [p, i] -> [p, o], the same map for every row. */
export function linear(
  scope: Scope,
  x: Value,
  o: number,
  options: { readonly init?: Init; readonly bias?: false } = {},
): Value {
  const i = x.shape[1]!;
  const weight = scope.param('weight', [i, o], options.init ?? fanIn(i));
  const y = matmul(x, weight);
  return options.bias === false ? y : add(y, scope.param('bias', [o], { kind: 'zeros' }));
}

/** Every row of x [p, i] to mean 0 and variance 1, then scaled and shifted (Ba, Kiros & Hinton 2016). */
export function layerNorm(scope: Scope, x: Value): Value {
  const size = x.shape[1]!;
  const gain = scope.param('gain', [size], { kind: 'values', data: new Array<number>(size).fill(1) });
  return add(mul(normalise(x, 1, 1, 1e-5), gain), scope.param('bias', [size], { kind: 'zeros' }));
}

/**
 * x [1, c, h, w] with mean 0 and variance 1 over each group of c / groups channels, then scaled and shifted by channel
 * (Wu & He 2018).
 */
export function groupNorm(scope: Scope, x: Value, groups: number): Value {
  const c = x.shape[1]!;
  const y = normalise(x, 1, groups, 1e-5);
  const scale = scope.param('scale', [c], { kind: 'values', data: new Array<number>(c).fill(1) });
  return add(mul(y, perChannel(scale)), perChannel(scope.param('bias', [c], { kind: 'zeros' })));
}

/** A parameter with one number per channel, [c] as [1, c, 1, 1]. */
export function perChannel(v: Value): Value {
  return reshape(v, [1, -1, 1, 1]);
}

/** U(-1/√f, 1/√f), PyTorch's default for layers with f inputs per output; or a share of it. */
export function fanIn(f: number, share = 1): Init {
  return { kind: 'uniform', bound: share / Math.sqrt(f) };
}
