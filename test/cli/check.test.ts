// fisher-ood check: right and wrong answers for a model whose norms are known in closed form.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NpyArray, writeNpz } from '../../src/data/npy.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';

const folder = temporaryFolder();
const file = (name: string) => join(folder.path, name);

/** loss = Σ_o ((x + e)ᵀ w + b)_o: the squared norms are 2 ‖x + e‖² and 2. */
const model = modelBytes(
  {
    input: [value('x', FLOAT, ['n', 3]), value('e', FLOAT, ['n', 3])],
    node: [
      node('Add', ['x', 'e'], ['noisy']),
      node('MatMul', ['noisy', 'layer.weight'], ['y']),
      node('Add', ['y', 'layer.bias'], ['z']),
      node('ReduceSum', ['z', 'axes'], ['loss'], { keepdims: 0 }),
    ],
    initializer: [
      tensor('layer.weight', [3, 2], Float32Array.of(1, -2, 3, 0.5, 0, 4)),
      tensor('layer.bias', [2], Float32Array.of(0.25, -1)),
      tensor('axes', [1], BigInt64Array.of(1n)),
    ],
    output: [value('loss', FLOAT, ['n'])],
  },
  17,
);

const x = Float32Array.of(1, 2, 3, -1, 0, 2);
const e = Float32Array.of(0.5, 0, 0, 0, 0.5, 0);
const sums = [x, e].map((v) => [v.subarray(0, 3), v.subarray(3, 6)]);
const noisy = [0, 1].map((i) => Array.from(sums[0]![i]!, (v, k) => v + sums[1]![i]![k]!));
const answers = {
  nll: { dtype: 'float64', shape: [2], data: Float64Array.from(noisy, (v) => -v[0]! + 3.5 * v[1]! + 4 * v[2]! - 0.75) },
  sqnorm: {
    dtype: 'float64',
    shape: [2, 2],
    data: Float64Array.from(noisy.flatMap((v) => [2 * v.reduce((s, a) => s + a * a, 0), 2])),
  },
  names: { dtype: 'string', shape: [2], data: ['layer.weight', 'layer.bias'] },
  'input.x': { dtype: 'float32', shape: [2, 3], data: x },
  'input.e': { dtype: 'float32', shape: [2, 3], data: e },
} satisfies Record<string, NpyArray>;

const write = (name: string, arrays: Readonly<Record<string, NpyArray>>) => writeFileSync(file(name), writeNpz(arrays));

beforeAll(() => {
  mkdirSync(folder.path, { recursive: true });
  writeFileSync(file('m.onnx'), model);
  write('right.npz', answers);
});
afterAll(() => folder.remove());

describe('check', () => {
  it('says that a model is exact', async () => {
    const { code, stdout } = await runCli('check', file('m.onnx'), file('right.npz'));
    expect(stdout).toMatch(/m\.onnx: exact: 2 layers of 2 examples, largest relative error \d\.\de[-+]\d+\n/);
    expect(code).toBe(0);
  });

  it('takes the inputs from a file of their own', async () => {
    const { 'input.x': ofX, 'input.e': ofE, ...rest } = answers;
    write('answers.npz', rest);
    write('inputs.npz', { x: ofX, e: ofE });
    const { code } = await runCli('check', file('m.onnx'), file('answers.npz'), '--inputs', file('inputs.npz'));
    expect(code).toBe(0);
    const without = await runCli('check', file('m.onnx'), file('answers.npz'));
    expect(without.stderr).toContain("answers.npz: has no inputs, expected arrays 'input.NAME'");
  });

  it('names the layers that differ, are missing, or too many', async () => {
    const data = answers.sqnorm.data.slice();
    data[0]! *= 1.01;
    data[1]! = 3; // no norm of the model's, so no other name of one
    write('wrong.npz', {
      ...answers,
      sqnorm: { ...answers.sqnorm, data },
      names: { ...answers.names, data: ['layer.weight', 'other.bias'] },
    });
    const { code, stdout, stderr } = await runCli('check', file('m.onnx'), file('wrong.npz'), '--json');
    expect(code).toBe(1);
    expect(stderr).toContain('is not exact: of 3 layers 1 differ, 1 missing, 1 too many');
    const found = JSON.parse(stdout) as { layers: { name: string; verdict: string; relativeError?: number }[] };
    expect(found.layers.map(({ name, verdict }) => `${name} ${verdict}`)).toEqual([
      'layer.weight differs',
      'other.bias missing',
      'layer.bias extra',
    ]);
    expect(found.layers[0]!.relativeError).toBeCloseTo(0.01 / 1.01, 5);
    const text = await runCli('check', file('m.onnx'), file('wrong.npz'));
    expect(text.stdout).toContain('other.bias    missing');
  });

  it('finds a layer that the exporter gave another name by its norms', async () => {
    write('renamed.npz', { ...answers, names: { ...answers.names, data: ['layer.weight', 'layer.offset'] } });
    const { code, stdout, stderr } = await runCli('check', file('m.onnx'), file('renamed.npz'));
    expect(code).toBe(1);
    expect(stdout).toMatch(/layer\.offset +renamed +\S+ +right; the file calls it layer\.bias/);
    expect(stderr).toContain('is not exact: of 2 layers 1 renamed');
  });

  it('does not call a wrong loss exact, or a parameter without gradient missing', async () => {
    const shifted = answers.nll.data.map((v) => v + 0.1);
    write('loss.npz', { ...answers, nll: { ...answers.nll, data: shifted } });
    const { code, stderr } = await runCli('check', file('m.onnx'), file('loss.npz'));
    expect(code).toBe(1);
    expect(stderr).toContain('the loss differs');
    const [a, b] = noisy.map((v) => 2 * v.reduce((s, y) => s + y * y, 0)) as [number, number];
    write('unused.npz', {
      ...answers,
      sqnorm: { dtype: 'float64', shape: [2, 3], data: Float64Array.of(a, 2, 0, b, 2, 0) },
      names: { dtype: 'string', shape: [3], data: ['layer.weight', 'layer.bias', 'never.used'] },
    });
    expect((await runCli('check', file('m.onnx'), file('unused.npz'))).code).toBe(0);
  });

  it('refuses answers that are none', async () => {
    write('short.npz', { ...answers, nll: { dtype: 'float64', shape: [1], data: Float64Array.of(1) } });
    const { code, stderr } = await runCli('check', file('m.onnx'), file('short.npz'));
    expect(code).toBe(1);
    expect(stderr).toContain('has nll [1], sqnorm [2,2], names [2], expected [n], [n, L] and [L]');
  });
});
