// Attention in blocks of rows has the numbers and the gradients of attention in one piece, for every way to mask and to
// bias scores, and needs memory that grows with the length.

import { describe, expect, it } from 'vitest';
import { gradients } from '../../src/autodiff/index.ts';
import { Arena, nameOf, paramsOf, reachable, type Value } from '../../src/graph/index.ts';
import { estimateMemory } from '../../src/lower/index.ts';
import { attentionInBlocks } from '../../src/ops/attention.ts';
import * as o from '../../src/ops/index.ts';
import { expectClose } from '../support/compare.ts';
import { interpretEach, randomInputs, randomWeights, runLowered } from '../support/run.ts';
import { tolerance } from '../support/tolerances.ts';

const [LENGTH, HEADS, SIZE] = [12, 2, 3];
const ROWS = 5; // in blocks of 5, 5 and 2

interface Scene {
  readonly arena: Arena;
  readonly length: number;
  /** Queries, keys and values [heads, length, size]. */
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

/** x [length, heads · size] projected. */
function scene(length = LENGTH): Scene {
  const arena = new Arena();
  const x = arena.input('x', [length, HEADS * SIZE]);
  const [q, k, v] = ['q', 'k', 'v'].map((name) => {
    const y = o.matmul(x, arena.param(name, [HEADS * SIZE, HEADS * SIZE]));
    return o.transpose(o.reshape(y, [length, HEADS, SIZE]), [1, 0, 2]);
  }) as [Value, Value, Value];
  return { arena, length, q, k, v };
}

const scores = ({ q, k }: Scene) => o.matmul(o.mul(q, 0.6), o.transpose(k, [0, 2, 1]));
const attend = (s: Value, { v }: Scene) => o.matmul(o.softmax(s, -1), v);

/** [length, length] by row and column. */
const matrix = ({ arena, length }: Scene, at: (r: number, c: number) => number, dtype: 'float' | 'bool' = 'float') =>
  arena.constant(
    Array.from({ length: length ** 2 }, (_, i) => at(Math.floor(i / length), i % length)),
    [length, length],
    dtype,
  );
const causal = (s: Scene, low = -1e9) => matrix(s, (r, c) => (c <= r ? 0 : low));

const CAUSAL = (5 * 6 + 5 * 10 + 2 * 12) / 144;
const WINDOW = (5 * 6 + 5 * 10 + 2 * 4) / 144;

/** Each with the share of scores that is computed, in blocks of 5 rows and of columns by twos. */
const cases: Readonly<Record<string, readonly [share: number, (s: Scene) => Value]>> = {
  'all see all': [1, (s) => attend(scores(s), s)],
  'a causal mask that is added': [CAUSAL, (s) => attend(o.add(scores(s), causal(s)), s)],
  'a causal mask of -Infinity': [CAUSAL, (s) => attend(o.add(causal(s, -Infinity), scores(s)), s)],
  'a causal mask that decides': [
    CAUSAL,
    (s) =>
      attend(
        o.where(
          matrix(s, (r, c) => Number(c <= r), 'bool'),
          scores(s),
          -3.4e38,
        ),
        s,
      ),
  ],
  'a mask that decides what is hidden': [
    CAUSAL,
    (s) =>
      attend(
        o.where(
          matrix(s, (r, c) => Number(c > r), 'bool'),
          -1e9,
          scores(s),
        ),
        s,
      ),
  ],
  'a window that slides': [
    WINDOW,
    (s) =>
      attend(
        o.add(
          scores(s),
          matrix(s, (r, c) => (c <= r + 1 && c >= r - 2 ? 0 : -1e9)),
        ),
        s,
      ),
  ],
  'two masks': [
    WINDOW,
    (s) =>
      attend(
        o.add(
          o.add(
            scores(s),
            matrix(s, (r, c) => (c <= r + 1 ? 0 : -1e9)),
          ),
          matrix(s, (r, c) => (c >= r - 2 ? 0 : -1e9)),
        ),
        s,
      ),
  ],
  'a row that sees nothing': [
    (5 * 12 + 50 + 24) / 144,
    (s) =>
      attend(
        o.add(
          scores(s),
          matrix(s, (r, c) => (c <= r && r !== 2 ? 0 : -1e9)),
        ),
        s,
      ),
  ],
  'a mask that only weakens': [
    1,
    (s) =>
      attend(
        o.add(
          scores(s),
          matrix(s, (r, c) => (c <= r ? 0 : -3)),
        ),
        s,
      ),
  ],
  'a mask that is scaled': [1, (s) => attend(o.mul(o.add(scores(s), causal(s, -40)), 0.7), s)],
  'a slope for each head': [
    CAUSAL,
    (s) => {
      const slopes = s.arena.constant([0.5, 0.1], [HEADS, 1, 1]);
      const bias = o.mul(
        slopes,
        matrix(s, (r, c) => Math.min(0, c - r)),
      );
      return attend(o.add(o.add(scores(s), bias), causal(s)), s);
    },
  ],
  'a learned bias': [1, (s) => attend(o.add(scores(s), s.arena.param('bias', [HEADS, s.length, s.length])), s)],
  'a learned bias for each distance': [
    1,
    (s) => {
      const table = o.reshape(s.arena.param('bias', [HEADS, 2 * s.length]), [HEADS, 1, 2 * s.length]);
      return attend(o.add(scores(s), o.slice(table, 2, 3, 3 + s.length)), s);
    },
  ],
  "positions' scores beside the contents'": [
    1,
    (s) => {
      const places = s.arena.param('places', [HEADS, SIZE, s.length]);
      return attend(o.add(scores(s), o.matmul(o.tanh(s.q), places)), s);
    },
  ],
  'a mask that follows from the input': [
    1,
    (s) => {
      const pad = o.mul(-2, o.step(o.slice(s.arena.input('pad', [1, s.length]), 1, 0, s.length)));
      return attend(o.add(scores(s), pad), s);
    },
  ],
  'soft limits and a guard against rows of nothing': [
    CAUSAL,
    (s) => {
      const p = o.softmax(o.add(o.mul(4, o.tanh(o.div(scores(s), 4))), causal(s)), 2);
      return o.matmul(o.where(o.greater(p, -1), p, 0), s.v);
    },
  ],
  'matrices under further axes': [
    CAUSAL,
    (s) => {
      const wide = o.reshape(scores(s), [1, HEADS, s.length, s.length]);
      return o.matmul(o.softmax(o.add(wide, o.reshape(causal(s), [1, 1, s.length, s.length])), 3), s.v);
    },
  ],
  'keys that heads share': [
    CAUSAL,
    (s) => {
      const k = o.slice(s.k, 0, 0, 1);
      return attend(o.add(o.matmul(s.q, o.transpose(k, [0, 2, 1])), causal(s)), { ...s, v: o.slice(s.v, 0, 1, 2) });
    },
  ],
};

const blocksOf = (y: Value) => reachable([y]).filter(({ source }) => source.kind === 'node' && source.op.recomputes);

/** The loss with every attention in blocks of ROWS. */
function inBlocks(loss: Value, rows = ROWS): Value {
  const found = reachable([loss]).flatMap((v): [Value, Value][] => {
    const isProduct = v.source.kind === 'node' && v.source.op.name === 'MatMul';
    const other = isProduct && v.source.kind === 'node' && attentionInBlocks(v, v.source, rows);
    return other ? [[v, other]] : [];
  });
  return o.substitute([loss], new Map(found))[0]!;
}

const lossOf = (y: Value) => o.reduceSum(o.square(o.matmul(y, y.arena.param('out', [SIZE, 4]))));

describe.each(Object.entries(cases))('%s', (_, [share, write]) => {
  const s = scene();
  const written = lossOf(write(s));
  const cut = inBlocks(written);
  const params = paramsOf({ arena: s.arena, outputs: { written } });
  const weights = randomWeights({ arena: s.arena, outputs: { written } });
  const inputs = randomInputs({ arena: s.arena, outputs: { written } }, 4);
  const namesOf = (values: readonly Value[], what: (v: Value) => Value = (v) => v) =>
    Object.fromEntries(values.map((g, k) => [nameOf(params[k]!), what(g)]));
  const gradientsOf = (loss: Value) => gradients(loss, params).map((g) => g!);
  const right = interpretEach(
    { arena: s.arena, outputs: { written, ...namesOf(gradientsOf(written)) } },
    inputs,
    4,
    weights,
  );

  it('is cut in blocks, without what the masks hide', () => {
    expect(blocksOf(cut)).toHaveLength(3);
    const computed = reachable([cut]).reduce((sum, v) => {
      const softmax = v.source.kind === 'node' && v.source.op.name === 'Softmax';
      return sum + (softmax ? v.shape.at(-1)! * v.shape.at(-2)! : 0);
    }, 0);
    expect(computed / LENGTH ** 2).toBeCloseTo(share, 12);
  });

  it('has the same gradients in float64', () => {
    const outputs = { written: cut, ...namesOf(gradientsOf(cut)) };
    const found = interpretEach({ arena: s.arena, outputs }, inputs, 4, weights);
    for (const [e, numbers] of right.entries()) {
      for (const [name, values] of Object.entries(numbers)) expectClose(found[e]![name]!, values, 1e-12);
    }
  });

  it.each([1, 2])('has the same norms on the runtime, in groups of %i', async (group) => {
    const outputs = namesOf(gradientsOf(cut), (g) => o.sqNorm(g));
    const plain = namesOf(gradientsOf(written), (g) => o.sqNorm(g));
    const [found, expected] = await Promise.all(
      [outputs, plain].map((norms) =>
        runLowered({ arena: s.arena, outputs: norms }, inputs, { examples: 4, group, weights }),
      ),
    );
    for (const [name, norms] of Object.entries(expected!))
      expectClose(found![name]!.data, norms.data, tolerance.float32);
  });
});

describe('memory of the norms of attention in blocks', () => {
  const bytes = (length: number, rows?: number) => {
    const s = scene(length);
    const written = lossOf(attend(o.add(scores(s), causal(s)), s));
    const loss = rows === undefined ? written : inBlocks(written, rows);
    const outputs = Object.fromEntries(gradients(loss, [s.q, s.k, s.v]).map((g, k) => [`g${k}`, o.sqNorm(g!)]));
    return estimateMemory({ arena: s.arena, outputs }).perExample;
  };

  it('grows with the length, not with its square', () => {
    expect(bytes(512, 32) / bytes(256, 32)).toBeLessThan(2.2);
    expect(bytes(512) / bytes(256)).toBeGreaterThan(3.5);
    expect(bytes(512, 32)).toBeLessThan(bytes(512) / 8);
  });
});
