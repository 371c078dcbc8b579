// log x is the logarithm of x however x is made: of positive and negative factors, terms, weights and bounds.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Arena, interpret, print, type Value } from '../../src/graph/index.ts';
import * as o from '../../src/ops/index.ts';

/** A way to make a value of four elements from leaves, small enough that float64 has all of it. */
type Make = (leaves: readonly Value[]) => Value;

const full = (x: Value): Value => (x.shape[1] === 4 ? x : o.concat([x, x, x, x], 1));

const leaf = fc.nat(5).map(
  (k): Make =>
    (leaves) =>
      leaves[k]!,
);
const { expression } = fc.letrec<{ expression: Make }>((tie) => {
  const a = tie('expression');
  const unary = (f: (x: Value) => Value) =>
    a.map(
      (make): Make =>
        (l) =>
          f(make(l)),
    );
  const binary = (f: (x: Value, y: Value) => Value) =>
    fc.tuple(a, a).map(
      ([p, q]): Make =>
        (l) =>
          f(p(l), q(l)),
    );
  return {
    expression: fc.oneof(
      { maxDepth: 5, depthSize: 'large' },
      leaf,
      ...[o.exp, o.sigmoid, o.tanh, o.softplus, o.neg, o.square].map(unary),
      unary((x) => o.add(1, o.neg(o.sigmoid(x)))),
      unary((x) => o.softmax(x, 1)),
      unary((x) => o.expand(o.reduceSum(x, [1], true), x.shape)),
      unary((x) => o.expand(o.reduceMax(x, [1], true), x.shape)),
      unary((x) => o.clamp(x, 0.1, 0.7)),
      unary((x) => o.clamp(x, -0.5, 0.7)),
      unary((x) => o.power(x, 2)),
      unary((x) => o.add(o.mul(0.5, x), 0.25)),
      unary((x) => o.sub(1.5, x)),
      unary((x) => o.sub(1.001, x)),
      ...[o.add, o.sub, o.mul, o.mul, o.maximum, o.minimum].map(binary),
      binary((x, y) => o.div(x, o.where(o.greater(o.abs(y), 0.1), y, 0.1))),
      binary((x, y) => o.where(o.greater(x, 0.2), x, y)),
      binary((x, y) => o.matmul(o.reshape(full(x), [2, 2]), o.reshape(full(y), [2, 2]))).map(
        (make): Make =>
          (l) =>
            o.reshape(make(l), [1, 4]),
      ),
    ),
  };
});

it('log x is the logarithm of x, wherever that is a number', () => {
  const numbers = fc.array(fc.double({ min: -2, max: 2, noNaN: true }), { minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(expression, fc.array(numbers, { minLength: 5, maxLength: 5 }), (make, given) => {
      const arena = new Arena();
      const params = [0, 1, 2].map((k) => arena.param(`p${k}`, [1, 4]));
      const inputs = [3, 4].map((k) => arena.input(`x${k}`, [1, 4]));
      const leaves = [...params, ...inputs, arena.constant([0.3, -0.4, 0, 1.2], [1, 4])];
      const x = full(make(leaves));
      const bindings = Object.fromEntries(given.map((v, k) => [`${k < 3 ? 'p' : 'x'}${k}`, Float64Array.from(v)]));
      const found = interpret({ arena, outputs: { x, y: o.rewrite(o.log(x)) } }, bindings);
      for (const [i, value] of found.x!.data.entries()) {
        // Near 0 all digits of a difference may be lost.
        if (!(value > 1e-6 && value < 1e100)) continue;
        const error = Math.abs(found.y!.data[i]! - Math.log(value));
        expect(error, `log ${value}, found ${found.y!.data[i]}: ${print({ arena, outputs: { x } })}`).toBeLessThan(
          1e-6,
        );
      }
    }),
    { numRuns: 3000, seed: 1 },
  );
});
