// One training step as a graph: the loss of a batch, its gradient, clipping and Adam, over one flat vector of weights.

import { differentiate } from '../autodiff/index.ts';
import { Arena, type Graph, type Value } from '../graph/index.ts';
import { countMultiplications } from '../lower/index.ts';
import type { Architecture, ParamSpec } from '../models/index.ts';
import { collectSpecs, scopeFrom } from '../models/index.ts';
import {
  add,
  concat,
  div,
  groupSum,
  minimum,
  mul,
  reduceSum,
  reshape,
  rewrite,
  simplifyGraph,
  slice,
  sqrt,
  square,
  sub,
  substitute,
} from '../ops/index.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';
import type { Weights, WeightTensor } from '../tensor/weights.ts';

export interface AdamOptions {
  /** Decay of the mean and of the uncentred variance of the gradient. */
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The gradient of the loss in nats per dimension is scaled down to this norm where it is larger. */
  readonly clip: number;
  /** Whether to keep a moving average of the weights. */
  readonly average?: boolean;
}

export const adamDefaults: AdamOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, clip: 1 };

/** Where each learned parameter lies in the flat vector. */
export interface Layout {
  readonly specs: readonly ParamSpec[];
  readonly size: number;
}

function layoutOf(specs: readonly ParamSpec[]): Layout {
  const learned = specs.filter((s) => s.trainable);
  return { specs: learned, size: learned.reduce((n, s) => n + sizeOf(s.shape), 0) };
}

/** All learned weights behind one another. */
export function flatten(layout: Layout, weights: Weights): Float32Array {
  const flat = new Float32Array(layout.size);
  let at = 0;
  for (const { name } of layout.specs) {
    const { data } = weights[name]!;
    flat.set(data, at);
    at += data.length;
  }
  return flat;
}

/** The weights with the learned ones taken from the flat vector. */
export function unflatten(layout: Layout, flat: Float32Array, weights: Weights): Weights {
  const learned: Record<string, WeightTensor> = {};
  let at = 0;
  for (const { name, shape } of layout.specs) {
    learned[name] = { shape, data: flat.slice(at, at + sizeOf(shape)) };
    at += sizeOf(shape);
  }
  return { ...weights, ...learned };
}

/** One step of training, in two graphs. */
export interface TrainingStep {
  /**
   * What a part of the batch adds: `gradient` [P], the sum of its examples' gradients of the loss in nats, and `loss`,
   * the sum of their losses. Parameters, fed at each run: `theta` [P] and the model's buffers. To be lowered with as
   * many examples to a group as there are in a part.
   */
  readonly gradient: Graph;
  /**
   * Adam, given what all parts add: `gradients` [parts, P] and `losses` [parts], with `theta`, `m`, `v` [P], the
   * scalars `lr`, `correction1` = 1 - β1^t, `correction2` = 1 - β2^t. Outputs: `nextTheta`, `nextM`, `nextV` [P] after
   * the step, `loss` (mean nats per example) and `gradientNorm`. With `average` also `mean` [P] and the scalar `keep`,
   * and `nextMean` = keep · mean + (1 − keep) · nextTheta.
   */
  readonly update: Graph;
  readonly parts: number;
  readonly layout: Layout;
  readonly specs: readonly ParamSpec[];
}

/** Multiplications that a part makes for each weight: with fewer, adding up its gradient takes longer than it gains. */
const LEAST_FOR_PART = 3000;

/**
 * Adam (Kingma & Ba, "Adam: A method for stochastic optimization", ICLR 2015) on the mean loss per dimension of a batch
 * of `parts` parts that hold `examples` examples together. Parts go to several cores, and what one reads stays nearer
 * to them: left out, they are a quarter or half of the batch where that is whole and enough to do, by nothing that
 * depends on the machine, so that every one makes the same numbers.
 */
export function trainingStep(
  arch: Architecture<unknown>,
  config: unknown,
  data: Shape,
  { examples, parts: given }: { readonly examples: number; readonly parts?: number },
  options: AdamOptions = adamDefaults,
): TrainingStep {
  const specs = collectSpecs((scope) => void arch.loss(config, data, scope));
  const layout = layoutOf(specs);
  const gradient = gradientGraph(arch, config, data, layout);
  const parts = given ?? partsWorthwhile(gradient, layout.size, examples);
  const update = updateGraph(layout.size, { examples, parts, dims: sizeOf(data) }, options);
  return { gradient, update, parts, layout, specs };
}

function partsWorthwhile(gradient: Graph, weights: number, examples: number): number {
  const work = examples * countMultiplications(gradient, examples);
  return [4, 2].find((parts) => examples % parts === 0 && work / parts >= LEAST_FOR_PART * weights) ?? 1;
}

function gradientGraph(arch: Architecture<unknown>, config: unknown, data: Shape, layout: Layout): Graph {
  const arena = new Arena();
  const theta = arena.param('theta', [layout.size]);
  const pieces = new Map<string, Value>();
  let at = 0;
  for (const { name, shape } of layout.specs) {
    pieces.set(name, reshape(slice(theta, 0, at, at + sizeOf(shape)), shape));
    at += sizeOf(shape);
  }
  // The loss is of parameters of their own, so that it can be rewritten and differentiated as any; then the pieces of
  // theta take their places.
  const learned = new Map<string, Value>();
  const param = ({ name, shape }: ParamSpec) => {
    if (!pieces.has(name)) return arena.param(name, shape, { trainable: false });
    const found = learned.get(name) ?? arena.param(arena.free(name), shape);
    learned.set(name, found);
    return found;
  };
  const { nll: written } = arch.loss(config, data, scopeFrom(arena, param));
  const leaves = layout.specs.map(({ name }) => learned.get(name)!);
  const loss = rewrite(written);
  const [nll, ...gradients] = substitute(
    [loss, ...differentiate(loss, leaves)],
    new Map(leaves.map((leaf, k) => [leaf, pieces.get(layout.specs[k]!.name)!])),
  ) as [Value, ...Value[]];
  const gradient = concat(
    gradients.map((g) => reshape(g, [-1])),
    0,
  );
  return simplifyGraph({ arena, outputs: { gradient, loss: groupSum(nll) } });
}

function updateGraph(
  size: number,
  { examples, parts, dims }: { readonly examples: number; readonly parts: number; readonly dims: number },
  options: AdamOptions,
): Graph {
  const arena = new Arena();
  const sum = reduceSum(arena.param('gradients', [parts, size]), [0]);
  const raw = mul(sum, 1 / (examples * dims)); // gradient of the mean loss per dimension
  const norm = sqrt(reduceSum(square(raw)));
  const g = mul(raw, minimum(1, div(options.clip, add(norm, 1e-12))));

  const scalar = (name: string) => arena.param(name, []);
  const m = add(mul(options.beta1, arena.param('m', [size])), mul(1 - options.beta1, g));
  const v = add(mul(options.beta2, arena.param('v', [size])), mul(1 - options.beta2, square(g)));
  const update = div(div(m, scalar('correction1')), add(sqrt(div(v, scalar('correction2'))), options.epsilon));
  const next = sub(arena.param('theta', [size]), mul(scalar('lr'), update));
  const mean = div(reduceSum(arena.param('losses', [parts])), examples);
  const outputs: Record<string, Value> = { nextTheta: next, nextM: m, nextV: v, loss: mean, gradientNorm: norm };
  if (options.average) {
    const keep = scalar('keep');
    outputs.nextMean = add(mul(keep, arena.param('mean', [size])), mul(sub(1, keep), next));
  }
  return simplifyGraph({ arena, outputs });
}
