// An image and what depends on the step of a diffusion in; a U-Net's prediction of the noise in the image out. Ho, Jain
// & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, appendix B, smaller.

import type { Value } from '../graph/index.ts';
import { add, concat, matmul, mul, repeatEach, reshape, silu, softmax, split, transpose } from '../ops/index.ts';
import { conv2d, groupNorm, linear } from './layers.ts';
import type { Scope } from './scope.ts';

/** Widths and groups of a U-Net. */
interface UnetConfig {
  /** Of the first resolution. */
  readonly channels: number;
  /** Groups of the group normalisations. */
  readonly groups: number;
  /** What every resolution's channels are of the first one's. */
  readonly multipliers: readonly number[];
}

/** The noise in the image `state` [1, c, h, w], as the network sees it. */
export function unet(config: UnetConfig, scope: Scope, state: Value, embedding: Value): Value {
  const { channels, groups, multipliers } = config;
  const widths = multipliers.map((m) => m * channels);
  const last = widths.length - 1;
  const hidden = silu(linear(scope.in('time1'), embedding, 2 * channels));
  const time = silu(linear(scope.in('time2'), hidden, 2 * channels));
  const block = (name: string, x: Value, width: number) => residual(scope.in(name), x, width, groups, time);

  let y = conv2d(scope.in('in'), state, channels, 3);
  const skips: Value[] = [];
  widths.forEach((width, i) => {
    y = block(`down${i}`, y, width);
    if (i === last) y = attention(scope.in('attention'), y, groups);
    skips.push(y);
    if (i < last) y = conv2d(scope.in(`shrink${i}`), y, width, 3, { stride: 2 });
  });
  y = block('middle', y, widths[last]!);
  for (let i = last; i >= 0; i--) {
    const width = widths[Math.max(0, i - 1)]!;
    y = block(`up${i}`, concat([y, skips[i]!], 1), width);
    if (i > 0) y = conv2d(scope.in(`grow${i}`), repeatEach(y, [1, 1, 2, 2]), width, 3);
  }
  const normed = silu(groupNorm(scope.in('norm'), y, groups));
  return conv2d(scope.in('out'), normed, state.shape[1]!, 3, { init: { kind: 'zeros' } });
}

/**
 * x [1, c, h, w] -> [1, width, h, w]: two convolutions after norm and SiLU, the time added between them, past which x
 * goes too.
 */
function residual(scope: Scope, x: Value, width: number, groups: number, time: Value): Value {
  const first = conv2d(scope.in('conv1'), silu(groupNorm(scope.in('norm1'), x, groups)), width, 3);
  const shift = reshape(linear(scope.in('time'), time, width), [1, width, 1, 1]);
  const second = silu(groupNorm(scope.in('norm2'), add(first, shift), groups));
  const past = x.shape[1] === width ? x : conv2d(scope.in('past'), x, width, 1);
  return add(past, conv2d(scope.in('conv2'), second, width, 3));
}

/** x + what every position [c] takes from all positions, by softmax(Qᵀ K / √c). */
function attention(scope: Scope, x: Value, groups: number): Value {
  const [, c, h, w] = x.shape as [number, number, number, number];
  const projected = conv2d(scope.in('qkv'), groupNorm(scope.in('norm'), x, groups), 3 * c, 1);
  const [q, k, v] = split(projected, 3, 1).map((part) => reshape(part, [c, h * w])) as [Value, Value, Value];
  const weights = softmax(mul(matmul(transpose(q), k), 1 / Math.sqrt(c)), 1); // [from, to]
  const taken = matmul(v, transpose(weights)); // [c, from]
  return add(x, conv2d(scope.in('out'), reshape(taken, x.shape), c, 1));
}
