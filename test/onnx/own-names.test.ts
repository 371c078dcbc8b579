// Parameters, inputs and outputs that are called what our own graphs could call their values.

import { expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/index.ts';
import { normGraph } from '../../src/features/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { onnxModel } from '../../src/store/index.ts';
import { FLOAT, INT64, modelBytes, node, tensor, value } from '../support/proto.ts';
import { runLowered } from '../support/run.ts';

it.each(['c0', 'v1', '~c0', '~v1', '~~c0', 'nll'])('a parameter called %s keeps its numbers', async (name) => {
  const bytes = modelBytes(
    {
      input: [value('x', FLOAT, ['n', 3])],
      node: [
        node('Mul', ['x', name], ['a']),
        node('Tanh', ['a'], ['b']),
        node('ReduceSum', ['b', 'axes'], ['loss'], { keepdims: 0 }),
      ],
      initializer: [tensor(name, [3], Float32Array.of(1, -2, 0.5)), tensor('axes', [1], BigInt64Array.of(1n))],
      output: [value('loss', FLOAT, ['n'])],
    },
    17,
  );
  const { loss, weights } = importModel(decode(bytes, 'm'), 'm', { params: /./u });
  const { graph, names } = normGraph(loss);
  expect(names).toEqual([name]);
  const x = [0.3, -0.2, 0.7];
  const { sqnorm } = await runLowered(graph, { x: Float32Array.from(x) }, { examples: 1, weights });
  const expected = x.reduce((sum, v, i) => sum + (v * (1 - Math.tanh(v * [1, -2, 0.5][i]!) ** 2)) ** 2, 0);
  expect(sqnorm!.data[0]).toBeCloseTo(expected, 5);
});

const names = [
  'nll',
  'sqnorm',
  'ranges',
  '~v0',
  '~v1',
  '~c0',
  '~~v1',
  '~w weight',
  'fisher-ood: scale of the loss',
  '~nll',
  'loss',
];

it.each(names)('an input called %s is fed, beside a table of the same norms', async (name) => {
  const rows = async (input: string, output: string) => {
    const bytes = modelBytes({
      input: [value(input, FLOAT, ['n', 3]), value('k', INT64, ['n', 1])],
      node: [
        node('Mul', [input, 'weight'], ['a']),
        node('GatherElements', ['a', 'k'], ['picked'], { axis: 1 }),
        node('Exp', ['picked'], ['b']),
        node('ReduceSum', ['b', 'axes'], [output], { keepdims: 0 }),
      ],
      initializer: [tensor('weight', [3], Float32Array.of(1, -2, 0.5)), tensor('axes', [1], BigInt64Array.of(1n))],
      output: [value(output, FLOAT, ['n'])],
    });
    const model = await onnxModel(bytes, 'm', { params: /./u });
    const extractor = await openExtractor(model, { threads: 1 });
    try {
      // The last norm is below what float32 holds: it is computed again, with the loss scaled.
      const x = { data: Float32Array.of(0.3, 1, 2, -1, 0.5, 1e-22, 3, 2, 1), shape: [3] };
      const data = memoryDataset('d', 3, 'd', { [input]: x, k: { data: BigInt64Array.of(0n, 2n, 1n), shape: [1] } });
      const { nll, sqNorms } = await extractor.table(data);
      return [...nll, ...sqNorms];
    } finally {
      await extractor.dispose();
    }
  };
  expect(await rows(name, name === 'loss' ? 'sqnorm' : 'loss')).toEqual(await rows('x', 'y'));
});
