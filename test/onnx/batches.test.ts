// Files whose examples interact are refused with the output in which they do; one number for a batch is taken of every
// example alone, and said.

import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/dataset.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import { type OnnxOptions, parseObjective } from '../../src/store/index.ts';
import { inTemporaryFolder, runCli } from '../support/cli.ts';
import {
  BOOL,
  externalTensor,
  FLOAT,
  type GraphParts,
  INT64,
  modelBytes,
  node,
  tensor,
  value,
} from '../support/proto.ts';
import { randomData } from '../support/run.ts';

const ints = (name: string, data: number[]) => tensor(name, [data.length], BigInt64Array.from(data.map(BigInt)));
const floats = (name: string, dims: number[]) =>
  tensor(
    name,
    dims,
    randomData(
      name,
      dims.reduce((a, b) => a * b, 1),
    ),
  );

interface Parts {
  readonly node: GraphParts['node'];
  readonly initializer?: NonNullable<GraphParts['initializer']>;
  readonly opset?: number;
  readonly batch?: string | number;
  /** Sizes of the output y. */
  readonly y?: (string | number)[];
}

/** h = x w [n, 3], then the nodes, to y. */
const bytesOf = ({ node: nodes, initializer = [], opset = 17, batch = 'n', y = ['n'] }: Parts) =>
  modelBytes(
    {
      input: [value('x', FLOAT, [batch, 4])],
      node: [node('MatMul', ['x', 'w'], ['h']), ...nodes],
      initializer: [floats('w', [4, 3]), ints('zero', [0]), ints('one', [1]), ...initializer],
      output: [value('y', FLOAT, y)],
    },
    opset,
  );

const total = (from: string) => [
  node('Mul', [from, from], ['squares']),
  node('ReduceSum', ['squares', 'one'], ['y'], { keepdims: 0 }),
];

/** What loads it finds out about its batches. */
async function batchOf(bytes: Uint8Array, options: OnnxOptions = {}) {
  return inTemporaryFolder(async (dir) => {
    await writeFile(join(dir, 'm.onnx'), bytes);
    const model = await loadOnnx(join(dir, 'm.onnx'), options);
    return model.batchLoss!({ runtime: nodeRuntime() });
  });
}

const normalisation = ['scale', 'shift', 'mean', 'variance'];
const statistics = [
  ...['scale', 'shift', 'mean'].map((name) => floats(name, [3])),
  tensor('variance', [3], Float32Array.of(1, 2, 3)),
];

const interacting: Record<string, Parts> = {
  'the mean over the batch taken away': {
    node: [node('ReduceMean', ['h'], ['m'], { axes: [0], keepdims: 1 }), node('Sub', ['h', 'm'], ['d']), ...total('d')],
  },
  'softmax over the batch': { node: [node('Softmax', ['h'], ['s'], { axis: 0 }), ...total('s')] },
  'log-softmax over the batch': { node: [node('LogSoftmax', ['h'], ['s'], { axis: 0 }), ...total('s')] },
  'products of examples': {
    node: [
      node('Transpose', ['h'], ['t'], { perm: [1, 0] }),
      node('MatMul', ['h', 't'], ['p']),
      node('ReduceSum', ['p', 'one'], ['y'], { keepdims: 0 }),
    ],
  },
  'a loss divided by the number of examples': {
    node: [
      ...total('h').slice(0, 1),
      node('ReduceSum', ['squares', 'one'], ['l'], { keepdims: 0 }),
      node('Shape', ['x'], ['shape']),
      node('Gather', ['shape', 'zero'], ['n'], { axis: 0 }),
      node('Cast', ['n'], ['count'], { to: FLOAT }),
      node('Div', ['l', 'count'], ['y']),
    ],
  },
  'a sum over the batch': {
    node: [node('ReduceSum', ['h', 'zero'], ['m'], { keepdims: 1 }), node('Mul', ['h', 'm'], ['d']), ...total('d')],
  },
  'a maximum over the batch': {
    node: [node('ReduceMax', ['h'], ['m'], { axes: [0], keepdims: 1 }), node('Sub', ['h', 'm'], ['d']), ...total('d')],
  },
  'running sums along the batch': {
    node: [node('CumSum', ['h', 'first'], ['c']), ...total('c')],
    initializer: [tensor('first', [], BigInt64Array.of(0n))],
  },
  'the largest of the batch': {
    node: [node('TopK', ['h', 'one'], ['t', 'i'], { axis: 0 }), node('Add', ['h', 't'], ['s']), ...total('s')],
  },
  'lengths along the batch': { node: [node('LpNormalization', ['h'], ['l'], { axis: 0, p: 2 }), ...total('l')] },
  'the first example': {
    node: [node('Gather', ['h', 'zero'], ['f'], { axis: 0 }), node('Mul', ['h', 'f'], ['p']), ...total('p')],
  },
  'a batch turned round': {
    node: [node('Slice', ['h', 'last', 'end', 'zero', 'back'], ['r']), node('Mul', ['h', 'r'], ['p']), ...total('p')],
    initializer: [ints('last', [-1]), ints('end', [-1000]), ints('back', [-1])],
  },
  'a batch in one row': {
    node: [
      node('Reshape', ['h', 'row'], ['r']),
      node('ReduceSum', ['r', 'one'], ['s'], { keepdims: 1 }),
      node('Mul', ['h', 's'], ['p']),
      ...total('p'),
    ],
    initializer: [ints('row', [1, -1])],
  },
  'a batch flattened': {
    node: [
      node('Flatten', ['h'], ['r'], { axis: 0 }),
      node('ReduceSum', ['r', 'one'], ['s'], { keepdims: 1 }),
      node('Mul', ['h', 's'], ['p']),
      ...total('p'),
    ],
  },
  'the batch as channels of one example': {
    node: [
      node('Unsqueeze', ['h', 'zero'], ['u']),
      node('Transpose', ['u'], ['t'], { perm: [0, 2, 1] }),
      node('InstanceNormalization', ['t', 'ones', 'nulls'], ['i']),
      node('Transpose', ['i'], ['b'], { perm: [0, 2, 1] }),
      node('Squeeze', ['b', 'zero'], ['s']),
      node('Add', ['s', 'h'], ['a']),
      ...total('a'),
    ],
    initializer: [tensor('ones', [3], Float32Array.of(1, 1, 1)), tensor('nulls', [3], new Float32Array(3))],
  },
  'a loss that is a product over the batch': {
    node: [
      ...total('h').slice(0, 1),
      node('ReduceSum', ['squares', 'one'], ['l'], { keepdims: 0 }),
      node('ReduceProd', ['l'], ['y'], { keepdims: 0 }),
    ],
    y: [],
  },
  'the largest loss of the batch': {
    node: [
      ...total('h').slice(0, 1),
      node('ReduceSum', ['squares', 'one'], ['l'], { keepdims: 0 }),
      node('ReduceMax', ['l'], ['y'], { keepdims: 0 }),
    ],
    y: [],
  },
  'the root of the sum of losses': {
    node: [node('ReduceL2', ['h'], ['y'], { keepdims: 0 })],
    y: [],
  },
  'a little of the others': {
    node: [
      node('ReduceMean', ['h'], ['m'], { axes: [0], keepdims: 1 }),
      node('Mul', ['m', 'little'], ['lm']),
      node('Add', ['h', 'lm'], ['d']),
      ...total('d'),
    ],
    initializer: [tensor('little', [1], Float32Array.of(1e-3))],
  },
  'a fixed batch of eight': {
    node: [node('Softmax', ['h'], ['s'], { axis: 0 }), ...total('s')],
    batch: 8,
    y: [8],
  },
};

describe('examples that interact', () => {
  it.each(Object.entries(interacting))('through %s are refused', async (_, parts) => {
    await expect(batchOf(bytesOf(parts))).rejects.toThrow(
      /m\.onnx: output 'y'.*(depends on the others in its batch|examples of a batch interact).*export the model in evaluation mode/,
    );
  });

  it.each<[string, Parts]>([
    [
      'batch normalisation of opset 15',
      {
        node: [
          node('BatchNormalization', ['h', ...normalisation], ['b', 'm1', 'v1'], { training_mode: 1 }),
          ...total('b'),
        ],
        initializer: statistics,
        opset: 15,
      },
    ],
    [
      'batch normalisation of opset 12',
      {
        node: [node('BatchNormalization', ['h', ...normalisation], ['b', 'm1', 'v1', 'm2', 'v2']), ...total('b')].map(
          (n) => (n.opType === 'ReduceSum' ? node('ReduceSum', ['squares'], ['y'], { axes: [1], keepdims: 0 }) : n),
        ),
        initializer: statistics,
        opset: 12,
      },
    ],
    [
      'dropout',
      {
        node: [node('Dropout', ['h', 'ratio', 'on'], ['b']), ...total('b')],
        initializer: [tensor('ratio', [], Float32Array.of(0.5)), tensor('on', [], Uint8Array.of(1))],
      },
    ],
    [
      'dropout of a ratio that is not said',
      {
        node: [node('Dropout', ['h', '', 'on'], ['b']), ...total('b')],
        initializer: [tensor('on', [], Uint8Array.of(1))],
      },
    ],
  ])('in training mode are refused by name: %s', async (_, parts) => {
    await expect(batchOf(bytesOf(parts))).rejects.toThrow(
      /(BatchNormalization|Dropout) '.*': training mode, in which .*; export the model in evaluation mode/,
    );
  });

  it('are refused by whatever computes norms', async () => {
    await inTemporaryFolder(async (dir) => {
      await writeFile(join(dir, 'm.onnx'), bytesOf(interacting['softmax over the batch']!));
      await writeFile(join(dir, 'x.npy'), writeNpy({ dtype: 'float32', shape: [10, 4], data: randomData('x', 40) }));
      const model = await loadOnnx(join(dir, 'm.onnx'));
      await expect(openExtractor(model, { threads: 1, cache: dir })).rejects.toThrow(
        /output 'y' of an example depends/,
      );
      for (const args of [
        ['inspect', join(dir, 'm.onnx')],
        ['fit', join(dir, 'm.onnx'), '--data', join(dir, 'x.npy'), '--out', join(dir, 'd.json')],
      ]) {
        const { code, stderr } = await runCli(...args);
        expect(code).toBe(1);
        expect(stderr).toMatch(/output 'y' of an example depends on the others in its batch/);
      }
    });
  });
});

const perExample: Record<string, Parts> = {
  'one number each': { node: total('h') },
  'one number each, as a column': { node: [node('ReduceSum', ['h', 'one'], ['y'], { keepdims: 1 })], y: ['n', 1] },
  'a batch folded into another axis and back': {
    node: [
      node('Unsqueeze', ['h', 'one'], ['u']),
      node('Transpose', ['u'], ['t'], { perm: [1, 0, 2] }),
      node('Softmax', ['t'], ['s'], { axis: 2 }),
      node('Squeeze', ['s', 'zero'], ['q']),
      ...total('q'),
    ],
  },
  'the number of examples for a shape': {
    node: [node('Shape', ['h'], ['shape']), node('Reshape', ['h', 'shape'], ['r']), ...total('r')],
  },
  'dropout in evaluation': { node: [node('Dropout', ['h'], ['b']), ...total('b')] },
  'dropout of nothing': {
    node: [node('Dropout', ['h', 'ratio', 'on'], ['b']), ...total('b')],
    initializer: [tensor('ratio', [], Float32Array.of(0)), tensor('on', [], Uint8Array.of(1))],
  },
  'a fixed batch of eight': { node: total('h'), batch: 8, y: [8] },
};

describe('a loss for every example', () => {
  it.each(Object.entries(perExample))('is taken as it is: %s', async (_, parts) => {
    expect(await batchOf(bytesOf(parts))).toEqual({ loss: 'each' });
  });

  it('is what a file is taken to have that takes one example at a time', async () => {
    const parts: Parts = {
      node: [node('Reshape', ['h', 'row'], ['r']), ...total('r')],
      initializer: [ints('row', [1, 3])],
      batch: 1,
      y: [1],
    };
    expect(await batchOf(bytesOf(parts))).toEqual({ loss: 'each', note: 'the file takes one example at a time' });
  });
});

const losses = (reduce: string): Parts => ({
  node: [
    node('Mul', ['h', 'h'], ['squares']),
    node('ReduceSum', ['squares', 'one'], ['l'], { keepdims: 0 }),
    node(reduce, ['l'], ['y'], { keepdims: 0 }),
  ],
  y: [],
});

describe('a file with sizes of its batch for constants', () => {
  it('of one example is one that takes one at a time', async () => {
    const parts: Parts = {
      node: [node('GatherElements', ['h', 'places'], ['g'], { axis: 1 }), ...total('g')],
      initializer: [tensor('places', [1, 2], BigInt64Array.of(2n, 0n))],
    };
    expect(await batchOf(bytesOf(parts))).toEqual({
      loss: 'each',
      note: 'the file takes one example at a time: of a batch it takes the first',
    });
  });

  it('of three is taken at three', async () => {
    const parts: Parts = {
      node: [
        node('Mul', ['h', 'h'], ['squares']),
        node('ReduceSum', ['squares', 'one'], ['l'], { keepdims: 0 }),
        node('Sub', ['zeros', 'l'], ['m']),
        node('ReduceSum', ['m'], ['y'], { keepdims: 0 }),
      ],
      initializer: [tensor('zeros', [3], new Float32Array(3))],
      batch: 3,
      y: [],
    };
    expect(await batchOf(bytesOf(parts))).toEqual({
      loss: 'sum',
      note: expect.stringMatching(
        /^the file is made for batches of 3 and is taken at 3: every example beside 2 of itself/,
      ),
    });
  });
});

describe('one number for a batch', () => {
  it.each([
    ['mean', 'ReduceMean'],
    ['sum', 'ReduceSum'],
  ])('that is the %s of its losses is taken of every example alone, and said', async (kind, reduce) => {
    await inTemporaryFolder(async (dir) => {
      const at = (name: string) => join(dir, name);
      await writeFile(at('m.onnx'), bytesOf(losses(reduce)));
      await writeFile(at('each.onnx'), bytesOf({ node: total('h') }));
      const note = `output 'y' is the ${kind} of a batch; it is taken of every example alone`;
      const model = await loadOnnx(at('m.onnx'));
      expect(await model.batchLoss!({ runtime: nodeRuntime() })).toEqual({ loss: kind, note });
      const data = memoryDataset('x', 5, 'made here', { x: { data: randomData('x', 20), shape: [4] } });
      const tables = [];
      for (const file of ['m.onnx', 'each.onnx']) {
        const extractor = await openExtractor(await loadOnnx(at(file)), { batch: 2, threads: 1, cache: dir });
        tables.push(await extractor.table(data).finally(() => extractor.dispose()));
      }
      expect(tables[0]!.nll).toEqual(tables[1]!.nll);
      expect(tables[0]!.sqNorms).toEqual(tables[1]!.sqNorms);

      await writeFile(at('x.npy'), writeNpy({ dtype: 'float32', shape: [10, 4], data: randomData('x', 40) }));
      expect((await runCli('inspect', at('m.onnx'))).stdout).toContain(note);
      expect(JSON.parse((await runCli('inspect', at('m.onnx'), '--json')).stdout)).toMatchObject({
        batchLoss: { loss: kind, note },
      });
      const fit = ['fit', at('m.onnx'), '--data', at('x.npy'), '--group', '1', '--out', at('d.json')];
      expect((await runCli(...fit)).stdout).toContain(note);
      expect(JSON.parse((await runCli(...fit, '--json')).stdout)).toMatchObject({ batchLoss: { loss: kind, note } });
    });
  });
});

describe('inputs that are made up', () => {
  it('are tokens that the tables have, and draws for each example', async () => {
    const bytes = modelBytes({
      input: [
        value('x', INT64, ['n', 3]),
        value('eps', FLOAT, ['n', 3, 2]),
        value('t', FLOAT, ['n', 1, 1]),
        value('shared', FLOAT, [1, 3, 2]),
        value('on', BOOL, ['n', 1, 1]),
      ],
      node: [
        node('Gather', ['table', 'x'], ['e'], { axis: 0 }),
        node('Add', ['e', 'eps'], ['a']),
        node('Mul', ['a', 't'], ['b']),
        node('Add', ['b', 'shared'], ['c']),
        node('Where', ['on', 'c', 'a'], ['d']),
        node('Mul', ['d', 'd'], ['squares']),
        node('ReduceSum', ['squares', 'axes'], ['y'], { keepdims: 0 }),
      ],
      initializer: [floats('table', [2, 2]), ints('axes', [1, 2])],
      output: [value('y', FLOAT, ['n'])],
    });
    expect(await batchOf(bytes, { normal: ['eps'], uniform: ['shared'], constants: { t: 3 } })).toEqual({
      loss: 'each',
    });
  });

  it('are of a kind for which the loss is a number', async () => {
    const parts: Parts = {
      node: [
        node('Log', ['x'], ['logs']),
        node('Softmax', ['logs'], ['s'], { axis: 0 }),
        node('Add', ['h', 'k'], ['hk']),
        node('ReduceSum', ['s', 'one'], ['k'], { keepdims: 1 }),
        ...total('hk'),
      ],
    };
    const [log, softmax, add, sum, ...rest] = parts.node;
    await expect(batchOf(bytesOf({ node: [log!, softmax!, sum!, add!, ...rest] }))).rejects.toThrow(
      /depends on the others/,
    );
  });

  it('tell where none is', async () => {
    const parts: Parts = { node: [node('Sub', ['h', 'h'], ['z']), node('Log', ['z'], ['l']), ...total('l')] };
    expect(await batchOf(bytesOf(parts))).toEqual({
      loss: 'unknown',
      note: 'whether examples of a batch interact was not found out: inputs made at random give no finite numbers',
    });
  });
});

describe('outputs that an objective makes a loss of', () => {
  const network = (logits: (string | number)[], ...nodes: GraphParts['node']) =>
    modelBytes({
      input: [value('x', INT64, ['n', 3])],
      node: [node('Gather', ['table', 'x'], ['e'], { axis: 0 }), ...nodes],
      initializer: [floats('table', [4, 4])],
      output: [value('logits', FLOAT, logits)],
    });
  const options = { objective: parseObjective('causal-lm') };

  it('are compared themselves', async () => {
    const fine = network(['n', 3, 4], node('Tanh', ['e'], ['logits']));
    expect(await batchOf(fine, options)).toEqual({ loss: 'each' });
    const mixed = network(
      ['n', 3, 4],
      node('ReduceMax', ['e'], ['m'], { axes: [0], keepdims: 1 }),
      node('Sub', ['e', 'm'], ['logits']),
    );
    await expect(batchOf(mixed, options)).rejects.toThrow(
      /output 'logits' of an example depends on the others in its batch/,
    );
  });
});

describe('a file with data beside it', () => {
  it('is run from where it lies, also through a link', async () => {
    await inTemporaryFolder(async (dir) => {
      await mkdir(join(dir, 'home'));
      await writeFile(join(dir, 'home', 'w.bin'), randomData('w', 12));
      await symlink(join(dir, 'home', 'm.onnx'), join(dir, 'link.onnx'));
      const bytes = (...nodes: GraphParts['node']) =>
        modelBytes({
          input: [value('x', FLOAT, ['n', 4])],
          node: [node('MatMul', ['x', 'w'], ['h']), ...nodes],
          initializer: [externalTensor('w', [4, 3], 'w.bin'), ints('one', [1])],
          output: [value('y', FLOAT, ['n'])],
        });
      for (const path of [join(dir, 'home', 'm.onnx'), join(dir, 'link.onnx')]) {
        await writeFile(join(dir, 'home', 'm.onnx'), bytes(...total('h')));
        expect(await (await loadOnnx(path)).batchLoss!({ runtime: nodeRuntime() })).toEqual({ loss: 'each' });
        await writeFile(join(dir, 'home', 'm.onnx'), bytes(node('Softmax', ['h'], ['s'], { axis: 0 }), ...total('s')));
        await expect((await loadOnnx(path)).batchLoss!({ runtime: nodeRuntime() })).rejects.toThrow(
          /depends on the others in its batch/,
        );
      }
    });
  });
});

describe('what was found out', () => {
  it('is kept, and a refusal is not', async () => {
    await inTemporaryFolder(async (dir) => {
      const [path, cache] = [join(dir, 'm.onnx'), join(dir, 'cache')];
      await writeFile(path, bytesOf(losses('ReduceMean')));
      const began = performance.now();
      const first = await (await loadOnnx(path)).batchLoss!({ runtime: nodeRuntime({ cache }) });
      const middle = performance.now();
      expect(await (await loadOnnx(path)).batchLoss!({ runtime: nodeRuntime({ cache }) })).toEqual(first);
      expect(performance.now() - middle).toBeLessThan(middle - began + 1000);
      await writeFile(path, bytesOf(interacting['softmax over the batch']!));
      for (let k = 0; k < 2; k++)
        await expect((await loadOnnx(path)).batchLoss!({ runtime: nodeRuntime({ cache }) })).rejects.toThrow(
          /interact|depends/,
        );
    });
  });
});
