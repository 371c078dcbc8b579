// Numbers that name places in tables or classes: those that are none are refused with the example that has them,
// wherever they come from.

import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/dataset.ts';
import { fisherDiagonal, weightGradients } from '../../src/features/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { causalLmNll } from '../../src/objectives/index.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import type { ScoringModel } from '../../src/store/index.ts';
import { smallModel } from '../support/models.ts';
import { FLOAT, type GraphParts, graph, INT64, modelBytes, node, tensor, value } from '../support/proto.ts';
import { randomData } from '../support/run.ts';

const V = 5;
const ints = (name: string, dims: number[], data: number[]) => tensor(name, dims, BigInt64Array.from(data.map(BigInt)));
const table = tensor('table', [V, 2], randomData('table', 2 * V));
const axes = ints('axes', [2], [1, 2]);
const total = (from: string) => node('ReduceSum', [from, 'axes'], ['y'], { keepdims: 0 });

/** Models from token ids [n, 3] to a loss [n], by what they do with them; each has a table of five rows. */
const models: Record<string, Pick<GraphParts, 'node' | 'initializer'>> = {
  Gather: { node: [node('Gather', ['table', 'x'], ['e'], { axis: 0 }), total('e')], initializer: [table, axes] },
  // Of which the loss is rewritten: what it looks up is the logarithms themselves.
  'the logarithm of a gathered softmax': {
    node: [
      node('Softmax', ['table'], ['p'], { axis: 0 }),
      node('Gather', ['p', 'x'], ['picked'], { axis: 0 }),
      node('Log', ['picked'], ['e']),
      total('e'),
    ],
    initializer: [table, axes],
  },
  'Gather of a computed index': {
    node: [
      node('Add', ['x', 'zero'], ['shifted']),
      node('Cast', ['shifted'], ['f'], { to: FLOAT }),
      node('Cast', ['f'], ['i'], { to: INT64 }),
      node('Unsqueeze', ['i', 'one'], ['u']),
      node('Gather', ['table', 'u'], ['e4'], { axis: 0 }),
      node('Squeeze', ['e4', 'one'], ['e']),
      total('e'),
    ],
    initializer: [table, axes, ints('zero', [], [0]), ints('one', [1], [1])],
  },
  GatherND: {
    node: [node('Unsqueeze', ['x', 'last'], ['i']), node('GatherND', ['table', 'i'], ['e']), total('e')],
    initializer: [table, axes, ints('last', [1], [2])],
  },
  GatherElements: {
    node: [
      node('Transpose', ['x'], ['xt'], { perm: [1, 0] }),
      node('GatherElements', ['column', 'xt'], ['et'], { axis: 0 }),
      node('Transpose', ['et'], ['e2'], { perm: [1, 0] }),
      node('Unsqueeze', ['e2', 'last'], ['e']),
      total('e'),
    ],
    initializer: [tensor('column', [V, 1], randomData('column', V)), axes, ints('last', [1], [2])],
  },
  OneHot: {
    node: [node('OneHot', ['x', 'depth', 'values'], ['hot']), node('MatMul', ['hot', 'table'], ['e']), total('e')],
    initializer: [table, axes, ints('depth', [], [V]), tensor('values', [2], Float32Array.of(0, 1))],
  },
  ScatterElements: {
    node: [
      node('ScatterElements', ['zeros', 'x', 'three'], ['p'], { axis: 1 }),
      node('MatMul', ['p', 'table'], ['q']),
      node('Mul', ['q', 'q'], ['qq']),
      node('ReduceSum', ['qq', 'second'], ['y'], { keepdims: 0 }),
    ],
    initializer: [
      table,
      ints('second', [1], [1]),
      tensor('zeros', [1, V], new Float32Array(V)),
      tensor('three', [1, 3], Float32Array.of(1, 2, 3)),
    ],
  },
  ScatterND: {
    node: [
      node('Reshape', ['x', 'rows'], ['i']),
      node('ScatterND', ['zeros', 'i', 'three'], ['p']),
      node('MatMul', ['p', 'table'], ['q']),
      node('Mul', ['q', 'q'], ['qq']),
      node('ReduceSum', ['qq', 'first'], ['y'], { keepdims: 1 }),
    ],
    initializer: [
      table,
      ints('first', [1], [0]),
      ints('rows', [2], [3, 1]),
      tensor('zeros', [V], new Float32Array(V)),
      tensor('three', [3], Float32Array.of(1, 2, 3)),
    ],
  },
  'Gather in the body of a loop': {
    node: [
      node('Loop', ['rounds', '', 'start'], ['e'], {
        body: {
          graph: graph({
            input: [value('k', INT64, []), value('going', 9, []), value('carried', FLOAT)],
            node: [
              node('Identity', ['going'], ['on']),
              node('Gather', ['table', 'x'], ['rows'], { axis: 0 }),
              node('Add', ['carried', 'rows'], ['sum']),
            ],
            output: [value('on', 9), value('sum', FLOAT)],
          }),
        },
      }),
      total('e'),
    ],
    initializer: [table, axes, ints('rounds', [], [2]), tensor('start', [1, 3, 2], new Float32Array(6))],
  },
};

const imported = (parts: Pick<GraphParts, 'node' | 'initializer'>): ScoringModel => {
  const bytes = modelBytes({ input: [value('x', INT64, ['n', 3])], output: [value('y', FLOAT, ['n'])], ...parts }, 17);
  const { loss, weights, data } = importModel(decode(bytes, 'm'), 'm');
  return { hash: 'h', about: 'm', weights, inputs: data, loss: () => loss };
};

const rows = (list: (number | bigint)[][], dtype: 'int' | 'float' = 'int') => {
  const data =
    dtype === 'int' ? BigInt64Array.from(list.flat(), BigInt) : Float32Array.from(list.flat(), (v) => Number(v));
  return memoryDataset('tokens', list.length, 'made here', { x: { data, shape: [list[0]!.length] } });
};

/** Features of these rows in batches of two: valid ones stand before and behind. */
async function scored(model: ScoringModel, list: (number | bigint)[][], dtype: 'int' | 'float' = 'int') {
  const extractor = await openExtractor(model, { batch: 2, threads: 1, cache: '' });
  try {
    return await extractor.table(rows(list, dtype));
  } finally {
    await extractor.dispose();
  }
}

const valid = [0, 1, 2];

describe.each(Object.entries(models))('%s', (_, parts) => {
  it('takes what is there, from the end too', async () => {
    const { nll } = await scored(imported(parts), [
      [0, 3, 4],
      [-5, -2, -1],
    ]);
    expect(nll[1]).toBe(nll[0]);
  });

  it.each([
    ['5', 5n, '5'],
    ['-6', -6n, '-6'],
    ['2^40', 2n ** 40n, '1099511627776'],
    ['-2^62', -(2n ** 62n), '-4611686018427388000'],
  ])('refuses %s and names the example', async (_name, id, shown) => {
    const list = [valid, valid, valid, [1, id, 4], valid];
    await expect(scored(imported(parts), list)).rejects.toThrow(
      new RegExp(`^tokens: example 3: 'x' gives ${shown}, where .* takes whole numbers from -5 to 4$`),
    );
  });
});

it('gradients of weights and the metric made of them are refused as well', async () => {
  const model = imported(models.Gather!);
  const data = rows([valid, [1, V, 4]]);
  const options = { runtime: nodeRuntime(), layers: 1, weights: 1, seed: 0 };
  const refused = /^tokens: example 1: 'x' gives 5, where .* takes whole numbers from -5 to 4$/;
  await expect(weightGradients(model, data, options)).rejects.toThrow(refused);
  await expect(fisherDiagonal(model, data, options)).rejects.toThrow(refused);
});

describe('classes', () => {
  const loss = (attrs: Record<string, number>) =>
    imported({
      node: [
        node('Gather', ['logits', 'zero'], ['l'], { axis: 0 }),
        node('SoftmaxCrossEntropyLoss', ['l', 'x'], ['each'], { reduction: 'none', ...attrs }),
        node('ReduceSum', ['each', 'one'], ['y'], { keepdims: 0 }),
      ],
      initializer: [
        tensor('logits', [1, V, 3], randomData('logits', 3 * V)),
        ints('zero', [1], [0]),
        ints('one', [1], [1]),
      ],
    });

  it.each([5, -1, -100])('of a cross-entropy are not %d', async (id) => {
    await expect(scored(loss({}), [valid, [0, id, 1]])).rejects.toThrow(
      `tokens: example 1: 'x' gives ${id}, where SoftmaxCrossEntropyLoss 'SoftmaxCrossEntropyLoss each' takes whole numbers from 0 to 4`,
    );
  });

  it('that are to be left out are, and no others', async () => {
    const { nll } = await scored(loss({ ignore_index: -100 }), [valid, [0, -100, 2]]);
    expect(nll[1]).toBeLessThan(nll[0]!);
    await expect(scored(loss({ ignore_index: -100 }), [valid, [0, -100, 5]])).rejects.toThrow(/example 1: 'x' gives 5/);
  });

  it.each([5, -1])('that a language model predicts are not %d', async (id) => {
    const bytes = modelBytes({
      input: [value('x', INT64, ['n', 3])],
      node: [node('Gather', ['square', 'x'], ['logits'], { axis: 0 })],
      initializer: [tensor('square', [V, V], randomData('square', V * V))],
      output: [value('logits', FLOAT, ['n', 3, V])],
    });
    const { loss, weights, data } = importModel(decode(bytes, 'm'), 'm', {
      objective: (network) => causalLmNll(network.output(0), network.input()),
    });
    const model = { hash: 'h', about: 'm', weights, inputs: data, loss: () => loss };
    await expect(scored(model, [valid, [0, 1, id]])).rejects.toThrow(
      /^tokens: example 1: 'x' gives -?\d, where .* takes whole numbers from (0|-5) to 4$/,
    );
  });
});

describe('the transformer', () => {
  const first = [0, 1, 2, 3, 255];

  it.each([
    [256, 'holds 256, expected pixels 0..255'],
    [-1, 'holds -1, expected pixels 0..255'],
    [2 ** 40, 'holds 1099511627776, expected pixels 0..255'],
    [1.5, "'x' gives a number that is not whole, where the transformer takes whole numbers from 0 to 255"],
  ])('takes bytes, not %d', async (v, shown) => {
    const list = [first, first, [0, v, 2, 3, 4]];
    const error = await scored(smallModel('transformer'), list, 'float').catch((e: Error) => e);
    expect(String(error)).toMatch(/tokens: example 2/);
    expect(String(error)).toContain(shown);
  });
});

describe('numbers that are known', () => {
  it('are refused when the model is read', () => {
    const parts = {
      node: [
        node('Gather', ['table', 'known'], ['e'], { axis: 0 }),
        node('Mul', ['e', 'f'], ['g']),
        node('Cast', ['x'], ['f'], { to: FLOAT }),
        node('ReduceSum', ['g', 'one'], ['y'], { keepdims: 0 }),
      ],
      initializer: [tensor('table', [V], randomData('table', V)), ints('known', [3], [0, 5, 1]), ints('one', [1], [1])],
    };
    const ordered = { ...parts, node: [parts.node[2]!, parts.node[0]!, parts.node[1]!, parts.node[3]!] };
    expect(() => imported(ordered)).toThrow(/Gather 'Gather e': .*(outside the 5 of axis 0|given 5)/);
  });
});

describe('numbers of 64 bits', () => {
  it('do not come out as others where the data have larger ones', async () => {
    const list = [valid, [0, 2 ** 64 + 2 ** 12, 1]];
    await expect(scored(imported(models.Gather!), list, 'float')).rejects.toThrow(
      /example 1: the model takes whole numbers of 64 bits as 'x', the data have 184467440737095\d+/,
    );
  });
});
