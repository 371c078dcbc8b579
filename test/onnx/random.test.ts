// Operators that draw: every example has its own numbers, the same in every run and batch, of the distribution that the
// node asks for.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../../src/data/index.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { inputsOf, nameOf } from '../../src/graph/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';
import { FLOAT, graph, INT64, modelBytes, node, tensor, value } from '../support/proto.ts';

/** loss = Σ w·r + 0·x for what `nodes` draw as r, [1, 4]; so the squared norm of w is Σ r². */
function model(nodes: ReturnType<typeof node>[], more: ReturnType<typeof tensor>[] = []): Uint8Array {
  return modelBytes(
    {
      input: [value('x', FLOAT, ['n', 4])],
      node: [
        ...nodes,
        node('Mul', ['r', 'w'], ['m']),
        node('Mul', ['x', 'zero'], ['z']),
        node('Add', ['m', 'z'], ['s']),
        node('ReduceSum', ['s', 'axes'], ['loss'], { keepdims: 0 }),
      ],
      initializer: [
        tensor('w', [4], Float32Array.of(1, -2, 3, 0.5)),
        tensor('zero', [], Float32Array.of(0)),
        tensor('axes', [1], BigInt64Array.of(1n)),
        ...more,
      ],
      output: [value('loss', FLOAT, ['n'])],
    },
    17,
  );
}

const N = 400;

async function squares(bytes: Uint8Array, options: { seed: number; batch: number }): Promise<Float64Array> {
  const read = () => importModel(decode(bytes, 'm'), 'm');
  const first = read();
  const scoring = { hash: 'm', weights: first.weights, loss: () => read().loss, inputs: first.data, about: 'm' };
  const x = { data: new Float32Array(4 * N).map((_, i) => i), shape: [4] };
  const extractor = await openExtractor(scoring, { ...options, threads: 1 });
  try {
    const table = await extractor.table(memoryDataset('x', N, 'x', { x }));
    return table.sqNorms;
  } finally {
    await extractor.dispose();
  }
}

const mean = (values: Float64Array) => values.reduce((sum, v) => sum + v, 0) / values.length;

const like = (op: string, attrs: Parameters<typeof node>[3]) => model([node(op, ['x'], ['r'], attrs)]);

/** What Σ r² of four draws is on average, and how far the mean of 400 may be from it. */
const cases: Record<string, [Uint8Array, number, number]> = {
  'RandomNormalLike of a mean and a scale': [
    like('RandomNormalLike', { mean: { float: 1 }, scale: { float: 0.5 } }),
    4 * 1.25,
    0.4,
  ],
  'RandomUniformLike of a range': [like('RandomUniformLike', { low: { float: -1 }, high: { float: 2 } }), 4, 0.4],
  'RandomNormal of a shape': [model([node('RandomNormal', [], ['r'], { shape: [1, 4] })]), 4, 0.5],
  'RandomUniform of a shape': [model([node('RandomUniform', [], ['r'], { shape: [1, 4] })]), 4 / 3, 0.15],
  Bernoulli: [
    model(
      [node('Expand', ['p', 'four'], ['all']), node('Bernoulli', ['all'], ['r'])],
      [tensor('p', [], Float32Array.of(0.25)), tensor('four', [2], BigInt64Array.of(1n, 4n))],
    ),
    1,
    0.2,
  ],
};

describe.each(Object.entries(cases))('%s', (_name, [bytes, expected, tolerance]) => {
  it('has its moments, and the same numbers whatever the batch, others under another seed', async () => {
    const once = await squares(bytes, { seed: 1, batch: 400 });
    expect(Math.abs(mean(once) - expected)).toBeLessThan(tolerance);
    expect(new Set(once).size).toBeGreaterThan(4);
    expect(await squares(bytes, { seed: 1, batch: 7 })).toEqual(once);
    expect(await squares(bytes, { seed: 2, batch: 400 })).not.toEqual(once);
  });
});

describe('nodes that draw', () => {
  it('make a file that is read from disk, where running it twice would show nothing', async () => {
    const folder = temporaryFolder();
    mkdirSync(folder.path, { recursive: true });
    const file = join(folder.path, 'm.onnx');
    writeFileSync(file, like('RandomNormalLike', {}));
    writeFileSync(
      join(folder.path, 'x.npy'),
      writeNpy({ dtype: 'float32', shape: [3, 4], data: new Float32Array(12) }),
    );
    const out = join(folder.path, 'out.npz');
    const { code, stderr } = await runCli('features', file, '--data', join(folder.path, 'x.npy'), '--out', out);
    const inspected = await runCli('inspect', file);
    folder.remove();
    expect(stderr).not.toContain('depends on the others');
    expect(code).toBe(0);
    expect(inspected.stdout).toMatch(/^r +\[1, 4\] +normal$/m);
  });

  it('each have numbers of their own, in every round of a loop too', () => {
    const body = graph({
      node: [
        node('RandomNormalLike', ['sum'], ['drawn']),
        node('Add', ['sum', 'drawn'], ['next']),
        node('Identity', ['going'], ['on']),
      ],
      input: [value('i', INT64, []), value('going', 9, []), value('sum', FLOAT, [1, 4])],
      output: [value('on', 9, []), value('next', FLOAT, [1, 4])],
    });
    const bytes = model(
      [node('Loop', ['two', '', 'x'], ['r'], { body: { graph: body } })],
      [tensor('two', [], BigInt64Array.of(2n))],
    );
    const { loss } = importModel(decode(bytes, 'm'), 'm');
    const inputs = inputsOf({ arena: loss.arena, outputs: { loss } });
    expect(inputs.map((v) => `${nameOf(v)} ${v.source.kind === 'input' && v.source.from}`).sort()).toEqual([
      'drawn normal',
      'drawn#2 normal',
      'x data',
    ]);
  });
});
