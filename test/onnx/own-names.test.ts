// Parameters that are called what our own graphs could call their values.

import { expect, it } from 'vitest';
import { normGraph } from '../../src/features/index.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';
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
