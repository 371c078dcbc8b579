// Attention in blocks of rows has the numbers and the gradients of attention in one piece, for every way to mask and to
// bias scores, and needs memory that grows with the length.

import { describe, expect, it } from 'vitest';
import { gradients } from '../../src/autodiff/index.ts';
import { Arena, nameOf, paramsOf, reachable, type Value } from '../../src/graph/index.ts';
import { estimateMemory } from '../../src/lower/index.ts';
import { oneHot } from '../../src/objectives/index.ts';
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

const bools = (s: Scene, shape: readonly number[], at: (i: number) => boolean) =>
  s.arena.constant(
    Float64Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Number(at(i))),
    shape,
    'bool',
  );
const masked = (s: Scene) => o.softmax(o.add(scores(s), causal(s)), 2);
const local = (s: Scene) =>
  o.softmax(
    o.add(
      scores(s),
      matrix(s, (r, c) => (Math.abs(c - r) < 2 ? 0 : -1e9)),
    ),
    2,
  );
/** What cannot be cut as above, or not at all. */
const odd: Readonly<Record<string, (s: Scene) => Value>> = {
  'half local, half global': (s) => o.matmul(o.add(o.mul(0.5, masked(s)), o.mul(0.5, o.softmax(scores(s), 2))), s.v),
  'two windows': (s) => o.matmul(o.sub(local(s), o.mul(0.3, masked(s))), s.v),
  'weights with something added': (s) => o.matmul(o.add(masked(s), 1e-3), s.v),
  'weights with something learned added': (s) =>
    o.matmul(o.add(masked(s), s.arena.param('more', [s.length, s.length])), s.v),
  'what weights are short of 1': (s) => o.matmul(o.sub(1, masked(s)), s.v),
  'weights that are at least something': (s) => o.matmul(o.maximum(masked(s), 0.01), s.v),
  'a logarithm and back': (s) => o.matmul(o.exp(o.log(o.add(masked(s), 1e-6))), s.v),
  'weights of both axes': (s) => o.matmul(o.mul(o.softmax(scores(s), 2), o.softmax(scores(s), 1)), s.v),
  'softmax of a softmax of columns': (s) => o.matmul(o.softmax(o.mul(3, o.softmax(scores(s), 1)), 2), s.v),
  'softmax of a softmax': (s) => attend(o.add(o.mul(3, o.softmax(scores(s), 2)), causal(s)), s),
  'softmax over heads': (s) => o.matmul(o.softmax(o.mul(3, o.softmax(scores(s), 0)), 2), s.v),
  'normalised once more': (s) => {
    const p = masked(s);
    return o.matmul(o.div(p, o.add(o.reduceSum(p, [2], true), 0.1)), s.v);
  },
  'a mask for some columns only': (s) => {
    const first = bools(s, [1, s.length], (i) => i < 9);
    return attend(o.where(first, o.add(scores(s), causal(s)), scores(s)), s);
  },
  'scores of 0 beside a mask': (s) => {
    const first = bools(s, [1, s.length], (i) => i < 9);
    return attend(o.where(first, o.add(scores(s), causal(s)), 0), s);
  },
  'a mask where a condition does not hold': (s) => {
    const last = bools(s, [1, s.length], (i) => i >= 9);
    return attend(o.where(last, 0, o.add(scores(s), causal(s))), s);
  },
  'a head whose row sees nothing': (s) => {
    const seen = bools(s, [HEADS, s.length, s.length], (i) => {
      const [h, r, c] = [Math.floor(i / s.length ** 2), Math.floor(i / s.length) % s.length, i % s.length];
      return c <= r && !(h === 0 && r === 2);
    });
    return attend(o.where(seen, scores(s), -1e9), s);
  },
  'a mask under another': (s) => {
    const inner = o.add(
      scores(s),
      matrix(s, (r) => (r === 3 ? -1e9 : 0)),
    );
    return attend(
      o.where(
        matrix(s, (r, c) => Number(c <= r), 'bool'),
        inner,
        -1e9,
      ),
      s,
    );
  },
  'masks that hide all together': (s) => {
    const one = matrix(s, (r, c) => (c === r % 3 ? 0 : -1e9));
    return attend(
      o.add(
        o.add(scores(s), one),
        matrix(s, (_, c) => (c === 7 ? 0 : -1e9)),
      ),
      s,
    );
  },
  'masks that hide half each': (s) => {
    const one = matrix(s, (_, c) => (c === 1 ? -1e8 : c === 0 ? -0.9e8 : 0));
    return attend(
      o.add(
        o.add(scores(s), one),
        matrix(s, (_, c) => (c === 0 ? -0.9e8 : c === 1 ? 0 : -1e8)),
      ),
      s,
    );
  },
  'padding on the left': (s) => {
    const pad = o.mul(-1e9, o.step(s.arena.input('pad', [1, s.length])));
    return attend(o.add(o.add(scores(s), causal(s)), pad), s);
  },
  'padding told by whole numbers': (s) => {
    const ids = o.toInt(o.mul(2, s.arena.input('pad', [1, s.length])));
    return attend(o.where(o.not(o.equal(ids, o.toInt(s.arena.constant(0)))), o.add(scores(s), causal(s)), -5), s);
  },
  'segments told by whole numbers': (s) => {
    const ids = o.toInt(o.mul(2, s.arena.input('pad', [s.length])));
    return attend(o.where(o.equal(o.reshape(ids, [s.length, 1]), ids), scores(s), -4), s);
  },
  'a temperature for each row': (s) =>
    attend(o.add(o.mul(scores(s), o.exp(s.arena.input('heat', [s.length, 1]))), causal(s)), s),
  'masks on both sides of a reshape': (s) => {
    const { length: l } = s;
    const first = (shape: readonly number[], free: (lead: number) => boolean) =>
      s.arena.constant(
        Float64Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) =>
          i % l === 0 || free(Math.floor(i / l ** 2)) ? 0 : -1e9,
        ),
        shape,
      );
    const wide = o.mul(o.reshape(scores(s), [1, HEADS, 1, l, l]), s.arena.constant([1, 0.5], [2, 1, 1, 1, 1]));
    const one = o.add(
      wide,
      first([2, 2, 1, l, l], (k) => k === 1),
    );
    const two = o.add(
      o.reshape(one, [2, 2, l, l]),
      first([2, 2, l, l], (k) => k === 1),
    );
    return o.slice(o.matmul(o.softmax(two, 3), o.reshape(s.v, [1, HEADS, l, SIZE])), 0, 0, 1);
  },
  'scores over something tiny': (s) => attend(o.add(o.div(scores(s), 1e-9), causal(s)), s),
  'scores times something large': (s) => attend(o.add(o.mul(o.mul(scores(s), 9e4), 9e4), causal(s)), s),
  'logarithms of scores': (s) => attend(o.add(o.log(o.add(o.relu(scores(s)), 1e-30)), causal(s)), s),
  'less their largest': (s) => attend(o.sub(scores(s), o.reduceMax(scores(s), [2], true)), s),
  'a learned temperature and bias': (s) => {
    const heat = o.div(scores(s), o.exp(s.arena.param('heat', [HEADS, 1, 1])));
    return attend(o.add(o.add(heat, s.arena.param('bias', [HEADS, 1, s.length])), causal(s)), s);
  },
  'one softmax, two products': (s) => {
    const p = masked(s);
    return o.add(o.matmul(p, s.v), o.mul(0.5, o.matmul(p, o.tanh(s.v))));
  },
  'attention of attention': (s) => {
    const pad = o.mul(-2, o.step(s.arena.input('pad', [1, s.length])));
    let q = s.q;
    for (let k = 0; k < 3; k++) q = attend(o.add(o.add(scores({ ...s, q }), causal(s)), pad), s);
    return q;
  },
};

const blocksOf = (y: Value) => reachable([y]).filter(({ source }) => source.kind === 'node' && source.op.recomputes);

/** The loss with every attention in blocks of so many rows, one after the other. */
function inBlocks(loss: Value, rows = ROWS): Value {
  for (const v of reachable([loss])) {
    const { source } = v;
    const other = source.kind === 'node' && source.op.name === 'MatMul' && attentionInBlocks(v, source, rows);
    if (other) return inBlocks(o.substitute([loss], new Map([[v, other]]))[0]!, rows);
  }
  return loss;
}

const lossOf = (y: Value) => o.reduceSum(o.square(o.matmul(y, y.arena.param('out', [SIZE, 4]))));

/** What is written and cut in blocks, with numbers for its parameters and so many examples. */
function subject(write: (s: Scene) => Value, examples: number) {
  const s = scene();
  const written = lossOf(write(s));
  const graph = { arena: s.arena, outputs: { written } };
  return {
    s,
    written,
    cut: inBlocks(written),
    params: paramsOf(graph),
    weights: randomWeights(graph),
    inputs: randomInputs(graph, examples),
  };
}

describe.each(Object.entries(cases))('%s', (_, [share, write]) => {
  const { s, written, cut, params, weights, inputs } = subject(write, 4);
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

describe.each(Object.entries(odd))('%s', (_, write) => {
  const { s, written, cut, params, weights, inputs } = subject(write, 2);
  const all = (loss: Value) => {
    const found = gradients(loss, params).map((g) => g!);
    const [dQ] = gradients(loss, [s.q]);
    const twice = gradients(o.reduceSum(o.square(dQ!)), params).map((g) => g!);
    return Object.fromEntries([loss, ...found, ...twice].map((v, k) => [`v${k}`, v]));
  };

  it('has the same numbers, gradients and second derivatives', () => {
    const [right, found] = [written, cut].map((loss) =>
      interpretEach({ arena: s.arena, outputs: all(loss) }, inputs, 2, weights),
    );
    for (const [e, numbers] of right!.entries()) {
      for (const [name, values] of Object.entries(numbers)) expectClose(found![e]![name]!, values, 1e-11);
    }
  });

  it('has the same norms on the runtime', async () => {
    const norms = (loss: Value) => Object.fromEntries(gradients(loss, params).map((g, k) => [`g${k}`, o.sqNorm(g!)]));
    const [expected, found] = await Promise.all(
      [written, cut].map((loss) =>
        runLowered({ arena: s.arena, outputs: norms(loss) }, inputs, { examples: 2, weights }),
      ),
    );
    for (const [name, { data }] of Object.entries(expected!)) expectClose(found![name]!.data, data, tolerance.float32);
  });
});

describe('what is not attention', () => {
  it('stays as it is, in time', () => {
    const arena = new Arena();
    let x = arena.input('x', [2100, 1000]);
    for (let k = 0; k < 5000; k++) x = o.mul(x, o.tanh(x));
    const y = o.matmul(x, arena.param('w', [1000, 1]));
    expect(attentionInBlocks(y, y.source as never)).toBeUndefined();
    const empty = o.matmul(o.softmax(arena.input('none', [2, 0, 5]), 2), arena.param('v', [5, 1]));
    expect(attentionInBlocks(empty, empty.source as never)).toBeUndefined();
  });

  it('is probabilities of which a logarithm is taken', () => {
    const arena = new Arena();
    const p = o.softmax(o.matmul(arena.input('x', [1100, 2]), arena.param('w', [2, 3000])), 1);
    const picks = oneHot(arena.input('t', [1, 1]), 3000, 1);
    expect(blocksOf(o.rewrite(o.neg(o.reduceSum(o.log(o.matmul(p, o.transpose(picks)))))))).toHaveLength(0);
  });

  it('leaves numbers that are not learned and may hide scores what they hide', () => {
    const s = scene();
    const buffer = s.arena.param('buffer', [s.length, s.length], { trainable: false });
    const cut = inBlocks(lossOf(attend(o.add(o.sub(scores(s), buffer), causal(s)), s)));
    const widths = reachable([cut]).flatMap(({ source, shape }) =>
      source.kind === 'node' && source.op.name === 'Softmax' ? [shape.at(-1)] : [],
    );
    expect(widths).toEqual([LENGTH, LENGTH, LENGTH]);
  });

  it('may have many rows', () => {
    const arena = new Arena();
    const q = o.matmul(arena.input('x', [600_000, 1]), arena.param('w', [1, 2]));
    const y = o.matmul(o.softmax(o.add(o.matmul(q, arena.param('k', [2, 4])), 0.5), 1), arena.param('v', [4, 1]));
    expect(blocksOf(attentionInBlocks(y, y.source as never)!)).toHaveLength(2);
  });
});

describe('memory of the norms of attention in blocks', () => {
  const bytes = (length: number, rows?: number, write = (s: Scene) => attend(o.add(scores(s), causal(s)), s)) => {
    const s = scene(length);
    const written = lossOf(write(s));
    const loss = rows === undefined ? written : inBlocks(written, rows);
    const params = paramsOf({ arena: s.arena, outputs: { loss } });
    const outputs = Object.fromEntries(gradients(loss, params).map((g, k) => [`g${k}`, o.sqNorm(g!)]));
    return estimateMemory({ arena: s.arena, outputs }).perExample;
  };

  it.each(['one softmax, two products', 'attention of attention', 'a learned temperature and bias'])(
    'grows with the length: %s',
    (name) => {
      expect(bytes(512, 32, odd[name]!) / bytes(256, 32, odd[name]!)).toBeLessThan(2.4);
    },
  );

  it('grows with the length, not with its square', () => {
    expect(bytes(512, 32) / bytes(256, 32)).toBeLessThan(2.2);
    expect(bytes(512) / bytes(256)).toBeGreaterThan(3.5);
    expect(bytes(512, 32)).toBeLessThan(bytes(512) / 8);
  });
});
