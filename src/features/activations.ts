// A loss in; what flows into the products with learned weights on the way to it out, a number for each channel.

import { ModelError } from '../errors.ts';
import { reachable, type Value } from '../graph/index.ts';
import { add, concat, groupSum, matmul, mul, neg, ops, reduceMean, reshape, toFloat } from '../ops/index.ts';
import { type ActivationBasis, basisNames } from './packed-basis.ts';

/** What a product with learned weights takes. */
export interface Flow {
  /** The parameter that the weights come from; of several the first. */
  readonly param: Value;
  /** The mean over places, [channels]. */
  mean(): Value;
}

/** What flows into the products with learned weights, each once; none where there is no such product. */
export function flowsOf(loss: Value): readonly Flow[] {
  const learned = new Map<Value, Value>();
  const found = new Map<Value, Flow>();
  for (const v of reachable([loss])) {
    const { source } = v;
    if (source.kind === 'param' && source.trainable) learned.set(v, v);
    if (source.kind !== 'node') continue;
    const { op, inputs } = source;
    const from = inputs.find((x) => learned.has(x));
    if (v.lead === 'none' && from) learned.set(v, learned.get(from)!);
    if (!op.bilinear) continue;
    const [a, b] = inputs as [Value, Value];
    for (const [x, w, side] of [
      [a, b, 'left'],
      [b, a, 'right'],
    ] as const) {
      const param = learned.get(w);
      if (x.lead !== 'example' || x.dtype !== 'float' || !param) continue;
      const places = unflattened(x);
      const mean = () => perChannel(places, op === ops.MatMul && places === x ? side : 'planes');
      if (!found.has(places)) found.set(places, { param, mean });
    }
  }
  return [...found.values()];
}

/**
 * The mean over places of what each product with learned weights takes, [channels] each; none where there is no such
 * product.
 */
export const meanActivations = (loss: Value): readonly Value[] => flowsOf(loss).map((flow) => flow.mean());

/** Planes that were laid end to end for a layer that takes everything: the channels are still those of the planes. */
function unflattened(x: Value): Value {
  if (x.source.kind !== 'node' || x.source.op !== ops.Reshape) return x;
  const [from] = x.source.inputs as [Value];
  const isFlat = x.shape.length === 2 && x.shape[0] === 1;
  return isFlat && from.shape.length === 4 && from.shape[0] === 1 ? from : x;
}

/**
 * Channels are axis 1 of planes, the last axis of what stands on the left of a matrix, the last but one of what stands
 * on the right.
 */
function perChannel(x: Value, side: 'planes' | 'left' | 'right'): Value {
  const rank = x.shape.length;
  const channel = side === 'planes' ? 1 : side === 'left' ? rank - 1 : rank - 2;
  return reduceMean(
    toFloat(x),
    [...x.shape.keys()].filter((axis) => axis !== channel),
  );
}

/**
 * What flows through the graph of a loss, all channels side by side, [C]; undefined where no value of the input meets
 * learned weights in a product.
 */
export function channelsOf(loss: Value): Value | undefined {
  const each = meanActivations(loss).map((v) => reshape(v, [-1]));
  return each.length === 0 ? undefined : concat(each, 0);
}

/** A basis of so many directions for the graph of a loss, whose numbers are not known: for counts and estimates. */
export function basisOfSize(loss: Value, count: number): ActivationBasis | undefined {
  const [width] = (channelsOf(loss)?.shape ?? []) as [number?];
  if (width === undefined) return undefined;
  const of = (shape: readonly number[]) => ({ shape, data: new Float32Array(0) });
  const { mean, scale, directions } = basisNames;
  return {
    hash: '',
    count,
    weights: { [mean]: of([width]), [scale]: of([width]), [directions]: of([width, count]) },
  };
}

/**
 * [r] what flows through a graph, [C] summed over each group, along the directions of a basis, whose numbers become
 * parameters.
 */
export function alongBasis(channels: Value, { count, weights }: Pick<ActivationBasis, 'count' | 'weights'>): Value {
  const [width] = channels.shape as [number];
  const [expected] = weights[basisNames.mean]!.shape as [number];
  if (width !== expected) {
    throw new ModelError(
      `what flows through the model has ${width} channels, the detector's basis ${expected}: inputs of another size; say the sizes with \`dims\``,
    );
  }
  const param = (name: string, shape: readonly number[]) => channels.arena.param(name, shape, { trainable: false });
  const mean = groupSum(param(basisNames.mean, [width]));
  const u = mul(add(channels, neg(mean)), param(basisNames.scale, [width]));
  return reshape(matmul(reshape(u, [1, width]), param(basisNames.directions, [width, count])), [count]);
}
