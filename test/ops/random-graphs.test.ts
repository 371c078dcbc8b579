// Random networks: the batched pass's group norms against the float64 interpreter, for every plan, group and batch
// size.

import fc from 'fast-check';
import { describe, it } from 'vitest';
import { Arena, type Value } from '../../src/graph/index.ts';
import * as o from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { expectBatchedNorms, expectDifferenceNorms } from '../support/norms.ts';

/** A layer takes a value [1, c, h, w] to another, with parameters of its own, some used in ways that are not linear. */
type Layer = (x: Value, name: string, arena: Arena) => Value;

const layers = {
  conv: (x, name, arena) => {
    const w = arena.param(`${name}.w`, [3, x.shape[1]!, 3, 3]);
    return o.add(o.conv(x, w, { pads: [1, 1, 1, 1] }), arena.param(`${name}.b`, [3, 1, 1]));
  },
  narrow: (x, name, arena) => o.conv(x, arena.param(`${name}.w`, [1, x.shape[1]!, 3, 3]), { pads: [1, 1, 1, 1] }),
  pointwise: (x, name, arena) => o.conv(x, arena.param(`${name}.w`, [4, x.shape[1]!, 1, 1])),
  // A weight that is a product of masked parameters, as in Glow's 1×1 convolutions.
  product: (x, name, arena) => {
    const c = x.shape[1]!;
    const mask = arena.constant(
      Array.from({ length: c * c }, (_, i) => Number(Math.floor(i / c) > i % c)),
      [c, c],
    );
    const eye = arena.constant(
      Array.from({ length: c * c }, (_, i) => Number(i % (c + 1) === 0)),
      [c, c],
    );
    const lower = o.add(o.mul(arena.param(`${name}.lower`, [c, c]), mask), eye);
    const upper = o.mul(arena.param(`${name}.upper`, [c, c]), o.exp(arena.param(`${name}.scale`, [c])));
    return o.conv(x, o.reshape(o.matmul(lower, upper), [c, c, 1, 1]));
  },
  actnorm: (x, name, arena) => {
    const c = x.shape[1]!;
    const logs = arena.param(`${name}.logs`, [1, c, 1, 1]);
    return o.mul(o.add(x, arena.param(`${name}.bias`, [1, c, 1, 1])), o.exp(logs));
  },
  relu: (x) => o.relu(x),
  tanh: (x) => o.tanh(x),
  strided: (x, name, arena) =>
    o.conv(x, arena.param(`${name}.w`, [2, x.shape[1]!, 3, 3]), { strides: [2, 2], pads: [1, 1, 1, 1] }),
  transposed: (x, name, arena) =>
    o.convTranspose(x, arena.param(`${name}.w`, [x.shape[1]!, 2, 2, 2]), { strides: [2, 2] }),
  dense: (x, name, arena) => {
    const size = sizeOf(x.shape);
    const w = arena.param(`${name}.w`, [size, 6]);
    const y = o.add(o.matmul(o.reshape(x, [1, size]), w), arena.param(`${name}.b`, [6]));
    return o.reshape(y, [1, 6, 1, 1]);
  },
  // One weight used twice: no single product makes its gradient.
  shared: (x, name, arena) => {
    const c = x.shape[1]!;
    const w = arena.param(`${name}.w`, [c, c, 1, 1]);
    return o.conv(o.tanh(o.conv(x, w)), w);
  },
  // Attention over positions.
  mix: (x, name, arena) => {
    const [, c, h, w] = x.shape as [number, number, number, number];
    const rows = o.transpose(o.reshape(x, [c, h * w]));
    const q = o.matmul(rows, arena.param(`${name}.q`, [c, c]));
    const scores = o.sigmoid(o.matmul(q, o.transpose(rows)));
    return o.reshape(o.transpose(o.matmul(scores, rows)), x.shape);
  },
  halves: (x) => (x.shape[1]! % 2 === 0 ? o.concat(o.split(x, 2, 1).reverse(), 1) : x),
} satisfies Record<string, Layer>;

const networks = fc.array(fc.constantFrom(...(Object.keys(layers) as (keyof typeof layers)[])), {
  minLength: 1,
  maxLength: 5,
});

function network(names: readonly (keyof typeof layers)[]): Value {
  const arena = new Arena();
  let x = arena.input('x', [1, 2, 4, 4]);
  names.forEach((name, i) => {
    const layer: Layer = layers[name];
    if (sizeOf(x.shape) <= 256) x = layer(x, `${i}.${name}`, arena);
  });
  const scale = arena.param('scale', []);
  const square = o.reduceSum(o.square(o.mul(x, o.exp(scale))));
  return o.sub(square, o.mul(3, scale)); // the scale's own term does not vary with the example
}

describe('random networks', () => {
  it('have the norms that finite differences find', () => {
    fc.assert(
      fc.property(networks, (names) => {
        expectDifferenceNorms(network(names), names.join(' '));
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  it('have the same norms in one batched pass, for every plan, group size and batch size', async () => {
    await fc.assert(
      fc.asyncProperty(
        networks,
        fc.constantFrom('auto', 'direct', 'gram'),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        async (names, plan, group, groups) => {
          await expectBatchedNorms(network(names), { plan, group, groups }, names.join(' '));
        },
      ),
      { numRuns: 60, seed: 8 },
    );
  });
});
