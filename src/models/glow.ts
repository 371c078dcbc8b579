// Glow: an invertible network from images to gaussian noise, with an exact likelihood.
// Kingma & Dhariwal, "Glow: Generative flow with invertible 1×1 convolutions", NeurIPS 2018.

import * as z from 'zod';
import { ModelError } from '../errors.ts';
import type { Arena, Value } from '../graph/index.ts';
import {
  dequantise,
  gaussianLogDensity,
  gaussianParts,
  partOf,
  quantisationNats,
  toPixels,
} from '../objectives/index.ts';
import {
  add,
  concat,
  conv,
  div,
  exp,
  groupSum,
  log,
  matmul,
  mul,
  neg,
  reduceMean,
  reduceSum,
  relu,
  reshape,
  sigmoid,
  softplus,
  split,
  sqrt,
  square,
  sub,
  transpose,
} from '../ops/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import type { Architecture } from './architecture.ts';
import { depth, parseConfig, positive, requireDivisible } from './configure.ts';
import { conv2d, perChannel } from './layers.ts';
import { diagonal, identity, inverse, matrix, multiply, plu, randomRotation } from './linalg.ts';
import type { Init, Scope } from './scope.ts';

const schema = z.strictObject({ levels: depth(3), steps: depth(8), hidden: positive(64) });

/** L levels of K steps; `hidden` channels in the coupling nets. */
export type GlowConfig = z.output<typeof schema>;

/**
 * A flow with an exact likelihood, of images [c, h, w]; h and w must be divisible by 2^levels. (Kingma & Dhariwal,
 * "Glow", NeurIPS 2018)
 */
export const glow: Architecture<GlowConfig> = {
  name: 'glow',
  takes: 'images',

  configure(input, data) {
    const config = parseConfig('glow', schema, input);
    requireDivisible(`glow with ${config.levels} levels`, data, 2 ** config.levels);
    return config;
  },

  loss(config, data, scope) {
    const x = scope.arena.input('x', [1, ...data]);
    const u = scope.arena.input('u', [1, ...data], 'uniform');
    const { latents, logDet, couplings } = glowForward(config, scope, dequantise(x, u));
    const prior = sum(latents.map((l) => gaussianLogDensity(l.z, l.mean, l.logStd)));
    // log p(y) = log p(z) + log |det ∂z/∂y|
    const nll = sub(quantisationNats(sizeOf(data)), add(prior, logDet));
    // The log-determinants of actnorms and 1×1 convolutions are the same for every image.
    const parts = () => [
      ...latents.flatMap((l, level) => gaussianParts(`level${level}.prior`, l.z, l.mean, l.logStd)),
      ...couplings.map((c) => partOf(c.name, neg(c.logDet))),
    ];
    return { nll, parts };
  },

  sample(config, data, scope, weights, { temperature }) {
    const [c, h, w] = data as readonly [number, number, number];
    const noise = Array.from({ length: config.levels }, (_, level) => {
      const last = level === config.levels - 1;
      const shape = [1, c * 2 ** (level + (last ? 2 : 1)), h / 2 ** (level + 1), w / 2 ** (level + 1)];
      return mul(scope.arena.input(`z${level}`, shape, 'normal'), temperature);
    });
    return toPixels(glowInverse(config, scope, weights, noise));
  },
};

/** A part of the latents [1, c, h, w] and its gaussian prior given the parts after it. */
export interface Latent {
  readonly z: Value;
  readonly mean: Value | 0;
  readonly logStd: Value | 0;
}

/** From images y [1, c, h, w] to the latents, one part per level, and log |det ∂z/∂y|; what each coupling has of it. */
export function glowForward(
  config: GlowConfig,
  scope: Scope,
  y: Value,
): { latents: Latent[]; logDet: Value; couplings: { name: string; logDet: Value }[] } {
  const latents: Latent[] = [];
  const couplings: { name: string; logDet: Value }[] = [];
  const logDets: Value[] = [];
  let x = y;
  for (let level = 0; level < config.levels; level++) {
    const at = scope.in(`level${level}`);
    x = squeeze(x);
    for (let k = 0; k < config.steps; k++) {
      const place = `level${level}.step${k}`;
      const step = at.in(`step${k}`);
      const normalised = actnorm(step.in('actnorm'), x);
      const mixed = invertibleConv(step.in('invconv'), `${place}.invconv`, normalised.y);
      const coupled = coupling(step.in('coupling'), mixed.y, config.hidden);
      logDets.push(normalised.logDet, mixed.logDet, coupled.logDet);
      couplings.push({ name: `${place}.coupling`, logDet: coupled.logDet });
      x = coupled.y;
    }
    if (level === config.levels - 1) {
      latents.push({ z: x, mean: 0, logStd: 0 });
    } else {
      const [kept, z] = split(x, 2, 1) as [Value, Value];
      latents.push({ z, ...learnedPrior(at.in('prior'), kept) });
      x = kept;
    }
  }
  // Parameters' terms first: their sum stays free of the example.
  const ofParams = logDets.filter((d) => d.lead === 'none');
  return { latents, logDet: sum([...ofParams, ...logDets.filter((d) => d.lead !== 'none')]), couplings };
}

/** From standard normal noise, one part per level, to images: what glowForward sends to (noise · std + mean). */
function glowInverse(config: GlowConfig, scope: Scope, weights: Weights, noise: readonly Value[]): Value {
  let x = noise[config.levels - 1]!;
  for (let level = config.levels - 1; level >= 0; level--) {
    const at = scope.in(`level${level}`);
    if (level < config.levels - 1) {
      const { mean, logStd } = learnedPrior(at.in('prior'), x);
      x = concat([x, add(mean, mul(exp(logStd), noise[level]!))], 1);
    }
    for (let k = config.steps - 1; k >= 0; k--) {
      const step = at.in(`step${k}`);
      x = couplingInverse(step.in('coupling'), x, config.hidden);
      x = conv(x, inverseKernel(scope.arena, weights, `level${level}.step${k}.invconv`));
      x = actnormInverse(step.in('actnorm'), x);
    }
    x = unsqueeze(x);
  }
  return x;
}

/** [1, c, h, w] -> [1, 4c, h / 2, w / 2]: each 2×2 block becomes channels. */
function squeeze(x: Value): Value {
  const [, c, h, w] = x.shape as [number, number, number, number];
  const blocks = reshape(x, [1, c, h / 2, 2, w / 2, 2]);
  return reshape(transpose(blocks, [0, 1, 3, 5, 2, 4]), [1, 4 * c, h / 2, w / 2]);
}

function unsqueeze(x: Value): Value {
  const [, c, h, w] = x.shape as [number, number, number, number];
  const blocks = reshape(x, [1, c / 4, 2, 2, h, w]);
  return reshape(transpose(blocks, [0, 1, 4, 2, 5, 3]), [1, c / 4, 2 * h, 2 * w]);
}

interface Flow {
  readonly y: Value;
  readonly logDet: Value;
}

/** y = (x + b) exp(logs) per channel (section 3.1); on the first batch y gets mean 0 and variance 1. */
function actnorm(scope: Scope, x: Value): Flow {
  const [, , h, w] = x.shape as [number, number, number, number];
  const { bias, logs } = actnormParams(scope, x);
  const y = mul(add(x, perChannel(bias)), exp(perChannel(logs)));
  return { y, logDet: mul(reduceSum(logs), h * w) };
}

function actnormParams(scope: Scope, x: Value): { bias: Value; logs: Value } {
  const first = scope.dataInit;
  if (!first) {
    const c = x.shape[1]!;
    return { bias: scope.param('bias', [c], { kind: 'zeros' }), logs: scope.param('logs', [c], { kind: 'zeros' }) };
  }
  const batchMean = (v: Value) => div(groupSum(reduceMean(v, [0, 2, 3])), first.examples); // [c]
  const bias = first.found('bias', neg(batchMean(x)));
  const std = sqrt(batchMean(square(add(x, perChannel(bias)))));
  const logs = first.found('logs', neg(log(add(std, 1e-6))));
  return { bias, logs };
}

function actnormInverse(scope: Scope, y: Value): Value {
  const { bias, logs } = actnormParams(scope, y);
  return sub(mul(y, exp(neg(perChannel(logs)))), perChannel(bias));
}

/** W = P (L + I) (U + diag(sign · exp(logDiag))), so log |det W| = Σ logDiag (section 3.2); starts as a rotation. */
function invertibleConv(scope: Scope, place: string, x: Value): Flow {
  const [, c, h, w] = x.shape as [number, number, number, number];
  const { arena } = scope;
  const factor = rotationFactors(c, place);
  const p = scope.param('permutation', [c, c], factor('p'), { trainable: false });
  const sign = scope.param('sign', [c], factor('sign'), { trainable: false });
  const lower = scope.param('lower', [c, c], factor('lower'));
  const upper = scope.param('upper', [c, c], factor('upper'));
  const logDiag = scope.param('logDiag', [c], factor('logDiag'));
  const eye = arena.constant(identity(c), [c, c]);
  const below = arena.constant(
    matrix(c, (i, j) => (i > j ? 1 : 0)),
    [c, c],
  );
  const l = add(mul(lower, below), eye);
  const u = add(mul(upper, transpose(below)), mul(eye, mul(sign, exp(logDiag))));
  const kernel = reshape(matmul(p, matmul(l, u)), [c, c, 1, 1]);
  return { y: conv(x, kernel), logDet: mul(reduceSum(logDiag), h * w) };
}

/** Initial values of the five factors of one random rotation: `factor(name)` for each. */
function rotationFactors(c: number, place: string): (name: 'p' | 'sign' | 'lower' | 'upper' | 'logDiag') => Init {
  const factors = (seed: number) => {
    const { p, l, u } = plu(randomRotation(c, new RandomStream(seed, `init:${place}`)), c);
    const diag = diagonal(u, c);
    return {
      p,
      sign: diag.map(Math.sign),
      lower: matrix(c, (i, j) => (i > j ? l[i * c + j]! : 0)),
      upper: matrix(c, (i, j) => (i < j ? u[i * c + j]! : 0)),
      logDiag: diag.map((d) => Math.log(Math.abs(d))),
    };
  };
  return (name) => ({ kind: 'computed', values: (seed) => factors(seed)[name] });
}

/** W⁻¹ [c, c, 1, 1] in float64 from the saved factors. */
function inverseKernel(arena: Arena, weights: Weights, place: string): Value {
  const factor = (name: string) => {
    const saved = weights[`${place}.${name}`];
    if (!saved) throw new ModelError(`the weights have no '${place}.${name}'`);
    return saved.data;
  };
  const [lower, upper, sign, logDiag] = ['lower', 'upper', 'sign', 'logDiag'].map(factor) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const c = sign.length;
  const l = matrix(c, (i, j) => (i > j ? lower[i * c + j]! : i === j ? 1 : 0));
  const u = matrix(c, (i, j) => (i < j ? upper[i * c + j]! : i === j ? sign[i]! * Math.exp(logDiag[i]!) : 0));
  const w = multiply(Float64Array.from(factor('permutation')), multiply(l, u, c), c);
  return arena.constant(inverse(w, c), [c, c, 1, 1]);
}

/** The first half decides how the second is shifted and scaled: y = [a, (b + t(a)) σ(s(a) + 2)] (section 3.3). */
function coupling(scope: Scope, x: Value, hidden: number): Flow {
  const [a, b] = split(x, 2, 1) as [Value, Value];
  const { shift, logit } = couplingNet(scope, a, hidden);
  const y = concat([a, mul(add(b, shift), sigmoid(logit))], 1);
  return { y, logDet: neg(reduceSum(softplus(neg(logit)))) }; // log σ(v) = -softplus(-v)
}

function couplingInverse(scope: Scope, y: Value, hidden: number): Value {
  const [a, b] = split(y, 2, 1) as [Value, Value];
  const { shift, logit } = couplingNet(scope, a, hidden);
  return concat([a, sub(div(b, sigmoid(logit)), shift)], 1);
}

/** a [1, c / 2, h, w] -> shift and logit of the scale, each of a's shape; the scale starts as σ(2). */
function couplingNet(scope: Scope, a: Value, hidden: number): { shift: Value; logit: Value } {
  const init: Init = { kind: 'normal', std: 0.05 };
  const h1 = relu(conv2d(scope.in('conv1'), a, hidden, 3, { init }));
  const h2 = relu(conv2d(scope.in('conv2'), h1, hidden, 1, { init }));
  const out = conv2d(scope.in('conv3'), h2, 2 * a.shape[1]!, 3, { init: { kind: 'zeros' } });
  const [shift, s] = split(out, 2, 1) as [Value, Value];
  return { shift, logit: add(s, 2) };
}

/** Mean and log standard deviation of the half that leaves the flow, from the half that stays (section 3.4). */
function learnedPrior(scope: Scope, kept: Value): { mean: Value; logStd: Value } {
  const out = conv2d(scope, kept, 2 * kept.shape[1]!, 3, { init: { kind: 'zeros' } });
  const [mean, logStd] = split(out, 2, 1) as [Value, Value];
  return { mean, logStd };
}

function sum(terms: readonly Value[]): Value {
  return terms.reduce((a, b) => add(a, b));
}
