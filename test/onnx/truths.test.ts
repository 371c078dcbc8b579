// The larger and the smaller of truth values, which TorchScript writes and ONNX Runtime has no kernel for: as PyTorch
// takes them.

import { describe, expect, it } from 'vitest';
import { normGraph } from '../../src/features/index.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';
import { runLowered } from '../support/run.ts';

/** loss = Σ w · x · [x > 0 or/and x < 2]; its gradient in w is x where the truth holds. */
const model = (op: 'Max' | 'Min') =>
  modelBytes(
    {
      input: [value('x', FLOAT, ['n', 4])],
      node: [
        node('Mul', ['x', 'layer.weight'], ['y']),
        node('Greater', ['x', 'zero'], ['above']),
        node('Less', ['x', 'two'], ['below']),
        node(op, ['above', 'below'], ['truth']),
        node('Cast', ['truth'], ['mask'], { to: FLOAT }),
        node('Mul', ['y', 'mask'], ['masked']),
        node('ReduceSum', ['masked', 'axes'], ['loss'], { keepdims: 0 }),
      ],
      initializer: [
        tensor('layer.weight', [4], Float32Array.of(0.3, -1.7, 2.9, 0.4)),
        tensor('zero', [], Float32Array.of(0)),
        tensor('two', [], Float32Array.of(2)),
        tensor('axes', [1], BigInt64Array.of(1n)),
      ],
      output: [value('loss', FLOAT, ['n'])],
    },
    17,
  );

describe.each([
  ['Max', (x: number) => x > 0 || x < 2],
  ['Min', (x: number) => x > 0 && x < 2],
] as const)('%s of truth values', (op, holds) => {
  it('is what PyTorch takes it for, lowered as well', async () => {
    const x = [-1, 0.5, 1.5, 3];
    const { loss, weights } = importModel(decode(model(op), 'm'), 'm');
    const { graph } = normGraph(loss);
    const found = await runLowered(graph, { x: Float32Array.from(x) }, { examples: 1, weights });
    const expected = x.filter(holds).reduce((sum, v) => sum + v * v, 0);
    expect(found.sqnorm!.data[0]).toBeCloseTo(expected, 5);
  });
});
