// Model families as ONNX files, built node by node: values against ONNX Runtime on the same file, norms against finite
// differences, batches of any size against batches of one.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/dataset.ts';
import { feedsFor } from '../../src/engine/feeds.ts';
import { inputsOf } from '../../src/graph/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { openSession } from '../../src/node/runtime.ts';
import { encode, type OnnxModel } from '../../src/onnx/index.ts';
import type { OnnxOptions } from '../../src/store/index.ts';
import { inTemporaryFolder } from '../support/cli.ts';
import { expectClose, expectSqNorms } from '../support/compare.ts';
import { network, node } from '../support/onnx.ts';
import { finiteDifferences, randomData } from '../support/run.ts';

/** The constants a graph needs as operands, by what they are. */
const ints = (name: string, ...data: number[]) => ({
  name,
  dims: [data.length],
  dtype: 'int64' as const,
  data: BigInt64Array.from(data, BigInt),
});

const withInts = (model: OnnxModel, ...tensors: ReturnType<typeof ints>[]): OnnxModel => ({
  ...model,
  initializers: [...model.initializers, ...tensors],
});

/** Which taps of a 3×3 kernel see only pixels before the present one; type B sees the present one too. */
const causal = (type: 'A' | 'B', out: number, cIn: number) => ({
  name: `mask${type}`,
  dims: [out, cIn, 3, 3],
  dtype: 'float' as const,
  data: Float32Array.from({ length: out * cIn * 9 }, (_, k) => Number(k % 9 < (type === 'A' ? 4 : 5))),
});

function pixelCnn(): OnnxModel {
  const net = network(
    { x: [1, 4, 4] },
    { w1: [3, 1, 3, 3], b1: [3], w2: [1, 3, 3, 3] },
    [
      node('Mul', ['w1', 'maskA'], 'k1'),
      node('Conv', ['x', 'k1', 'b1'], 'h', { pads: [1, 1, 1, 1] }),
      node('Tanh', ['h'], 'a'),
      node('Mul', ['w2', 'maskB'], 'k2'),
      node('Conv', ['a', 'k2'], 'logits', { pads: [1, 1, 1, 1] }),
      node('Softplus', ['logits'], 'partition'),
      node('Mul', ['logits', 'x'], 'score'),
      node('Sub', ['partition', 'score'], 'terms'),
      node('ReduceSum', ['terms', 'axes'], 'nll', { keepdims: 0 }),
    ],
    ['nll'],
  );
  const masks = [causal('A', 3, 1), causal('B', 1, 3)];
  return withInts({ ...net, initializers: [...net.initializers, ...masks] }, ints('axes', 1, 2, 3));
}

/** As PyTorch's MultiheadAttention: [T, N·heads, width / heads], batch and heads in one axis. */
function transformer(): OnnxModel {
  const [T, D, H] = [5, 6, 2];
  const heads = (x: string, y: string) => [
    node('Transpose', [x], `${y}.t`, { perm: [1, 0, 2] }), // [T, N, D]
    node('Reshape', [`${y}.t`, 'split'], `${y}.s`), // [T, N·H, D/H]
    node('Transpose', [`${y}.s`], y, { perm: [1, 0, 2] }),
  ];
  const net = network(
    { x: [T, D] },
    { wq: [D, D], wk: [D, D], wv: [D, D], wo: [D, D], scale: [D], shift: [D], bo: [D] },
    [
      node('LayerNormalization', ['x', 'scale', 'shift'], 'n', { axis: -1 }),
      ...['q', 'k', 'v'].flatMap((p) => [node('MatMul', ['n', `w${p}`], `${p}0`), ...heads(`${p}0`, p)]),
      node('Transpose', ['k'], 'kT', { perm: [0, 2, 1] }),
      node('MatMul', ['q', 'kT'], 'logits'),
      node('Softmax', ['logits'], 'p', { axis: -1 }),
      node('MatMul', ['p', 'v'], 'o'),
      node('Transpose', ['o'], 'oT', { perm: [1, 0, 2] }),
      node('Reshape', ['oT', 'join'], 'j'), // [T, N, D]
      node('Transpose', ['j'], 'jT', { perm: [1, 0, 2] }),
      node('MatMul', ['jT', 'wo'], 'y0'),
      node('Add', ['y0', 'bo'], 'y'),
      node('Sub', ['x', 'y'], 'e'),
      node('Mul', ['e', 'e'], 'e2'),
      node('ReduceSum', ['e2', 'axes'], 'loss', { keepdims: 0 }),
    ],
    ['loss'],
  );
  return withInts(net, ints('split', T, -1, D / H), ints('join', T, -1, D), ints('axes', 1, 2));
}

/** Dilated causal convolutions with gates, as in WaveNet, predicting the next sample. */
function wavenet(): OnnxModel {
  const layer = (k: number, x: string, y: string) => [
    node('Conv', [x, `f${k}`], `${y}.f`, { dilations: [2 ** k], pads: [2 ** k, 0] }),
    node('Conv', [x, `g${k}`], `${y}.g`, { dilations: [2 ** k], pads: [2 ** k, 0] }),
    node('Tanh', [`${y}.f`], `${y}.a`),
    node('Sigmoid', [`${y}.g`], `${y}.b`),
    node('Mul', [`${y}.a`, `${y}.b`], `${y}.h`),
    node('Add', [x, `${y}.h`], y),
  ];
  const kernels = Object.fromEntries(
    [0, 1, 2].flatMap((k) => [
      [`f${k}`, [3, 3, 2]],
      [`g${k}`, [3, 3, 2]],
    ]),
  );
  const net = network(
    { x: [1, 9] },
    { first: [3, 1, 1], last: [1, 3, 1], bias: [1], ...kernels },
    [
      node('Conv', ['x', 'first'], 'h0'),
      ...layer(0, 'h0', 'h1'),
      ...layer(1, 'h1', 'h2'),
      ...layer(2, 'h2', 'h3'),
      node('Conv', ['h3', 'last', 'bias'], 'mean'),
      node('Slice', ['mean', 'zero', 'minus1', 'time'], 'guess'),
      node('Slice', ['x', 'one', 'end', 'time'], 'next'),
      node('Sub', ['next', 'guess'], 'e'),
      node('Mul', ['e', 'e'], 'e2'),
      node('ReduceSum', ['e2', 'axes'], 'nll', { keepdims: 0 }),
    ],
    ['nll'],
  );
  return withInts(
    net,
    ints('zero', 0),
    ints('minus1', -1),
    ints('time', 2),
    ints('one', 1),
    ints('end', 99),
    ints('axes', 1, 2),
  );
}

/** Embedding, LSTM, logits: −log p of every next token. */
function recurrentLm(): OnnxModel {
  const [T, V, D, H] = [6, 7, 4, 3];
  const net = network(
    { ids: [T] },
    { table: [V, D], w: [1, 4 * H, D], r: [1, 4 * H, H], b: [1, 8 * H], out: [H, V] },
    [
      node('Gather', ['table', 'ids'], 'e'), // [N, T, D]
      node('Transpose', ['e'], 'eT', { perm: [1, 0, 2] }),
      node('LSTM', ['eT', 'w', 'r', 'b'], 'y', { hidden_size: H }), // [T, 1, N, H]
      node('Squeeze', ['y', 'one'], 'h'),
      node('Transpose', ['h'], 'hT', { perm: [1, 0, 2] }),
      node('MatMul', ['hT', 'out'], 'logits'),
      node('LogSoftmax', ['logits'], 'logs', { axis: -1 }),
      node('Slice', ['logs', 'zero', 'minus1', 'one'], 'guess'),
      node('Slice', ['ids', 'one', 'end', 'one'], 'next'),
      node('Unsqueeze', ['next', 'two'], 'index'),
      node('GatherElements', ['guess', 'index'], 'picked', { axis: 2 }),
      node('ReduceSum', ['picked', 'axes'], 'sum', { keepdims: 0 }),
      node('Neg', ['sum'], 'nll'),
    ],
    ['nll'],
    ['ids'],
  );
  return withInts(
    net,
    ints('zero', 0),
    ints('one', 1),
    ints('minus1', -1),
    ints('end', 99),
    ints('two', 2),
    ints('axes', 1, 2),
  );
}

const families: Record<string, { model: OnnxModel; shape: number[]; options?: OnnxOptions }> = {
  'a masked-convolution autoregressive model': { model: pixelCnn(), shape: [1, 4, 4], options: { params: /^[wb]/ } },
  'a transformer that folds its batch into the heads axis': { model: transformer(), shape: [5, 6] },
  'a dilated causal network on sequences': { model: wavenet(), shape: [1, 9] },
  'a recurrent language model': { model: recurrentLm(), shape: [6] },
};

describe.each(Object.entries(families))('%s', (_name, { model: file, shape, options }) => {
  const n = 7;
  const size = shape.reduce((a, b) => a * b, 1);
  const tokens = file.inputs[0]!.dtype === 'int64';
  const name = file.inputs[0]!.name;
  const numbers = randomData('x', n * size);
  const data = memoryDataset('d', n, 'f', {
    [name]: {
      data: tokens ? BigInt64Array.from(numbers, (v) => BigInt(Math.floor(Math.abs(v) * 50) % 7)) : numbers,
      shape,
    },
  });

  it('has the values of ONNX Runtime, the norms of finite differences, and the same in batches of any size', async () => {
    const bytes = encode(file);
    const model = await inTemporaryFolder(async (dir) => {
      await writeFile(join(dir, 'm.onnx'), bytes);
      return loadOnnx(join(dir, 'm.onnx'), options);
    });
    const tables = [];
    for (const batch of [1, 3, 7]) {
      const extractor = await openExtractor(model, { batch, threads: 1 });
      tables.push(await extractor.table(data));
      await extractor.dispose();
    }
    const [one, ...others] = tables;
    for (const table of others) {
      expectSqNorms(table.sqNorms, one!.sqNorms, table.names);
      expectSqNorms(table.nll, one!.nll, ['nll']);
    }
    expect(one!.names.some((name) => name.startsWith('mask'))).toBe(false);

    const session = await openSession(bytes, { threads: 1 });
    const values: number[] = [];
    for (let i = 0; i < n; i++) {
      const x = (await data.gather([i])).arrays[name]!;
      const fed = { [name]: { data: x.data, shape: [1, ...shape] } };
      values.push(Object.values(await session.run(fed))[0]!.data[0]!);
    }
    await session.dispose();
    expectClose(one!.nll, values, 1e-5, 'nll');

    const loss = model.loss();
    const feeds = feedsFor(inputsOf({ arena: loss.arena, outputs: { loss } }), await data.gather([2]), [2], 0);
    const weights = Object.entries(model.weights).map(([name, w]) => [name, w.data] as const);
    const given = Float64Array.from(feeds[name]!.data as ArrayLike<number>, Number);
    const bindings = { ...Object.fromEntries(weights), [name]: given };
    const l = one!.names.length;
    const squares = one!.names.map((p) => finiteDifferences(loss, bindings, p).reduce((sum, d) => sum + d * d, 0));
    expectSqNorms(one!.sqNorms.subarray(2 * l, 3 * l), squares, one!.names);
  });
});
