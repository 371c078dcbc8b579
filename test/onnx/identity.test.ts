// What an ONNX model and a detector fitted with it are known by: hashes that follow from what is meant, places that
// hold through links.

import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeNpy } from '../../src/data/npy.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { parseObjective } from '../../src/store/index.ts';
import type { OnnxOptions } from '../../src/store/onnx.ts';
import { inTemporaryFolder, runCli } from '../support/cli.ts';
import { externalTensor, FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';
import { randomData } from '../support/run.ts';

/** Σ (x w + eps) · t, with w beside the file or in it. */
const small = (w = tensor('w', [2, 3], randomData('w', 6))) =>
  modelBytes({
    input: [
      value('x', FLOAT, ['n', 2]),
      value('eps', FLOAT, ['n', 3]),
      value('u', FLOAT, ['n', 3]),
      value('t', FLOAT, ['n', 1]),
    ],
    initializer: [w],
    node: [
      node('MatMul', ['x', 'w'], ['h']),
      node('Add', ['h', 'eps'], ['a']),
      node('Add', ['a', 'u'], ['b']),
      node('Mul', ['b', 't'], ['c']),
      node('Mul', ['c', 'c'], ['d']),
      node('ReduceSum', ['d'], ['y'], { keepdims: 0 }),
    ],
    output: [value('y', FLOAT, ['n'])],
  });

/** As a command line gives them. */
const typed: OnnxOptions = { normal: ['eps'], uniform: ['u'], constants: { t: 2 }, params: /w/u };

async function hashOf(options: OnnxOptions): Promise<string> {
  return inTemporaryFolder(async (dir) => {
    await writeFile(join(dir, 'm.onnx'), small());
    return (await loadOnnx(join(dir, 'm.onnx'), options)).hash;
  });
}

describe("an ONNX model's hash", () => {
  it.each<[string, OnnxOptions]>([
    ['another order', { params: /w/, constants: { t: 2 }, uniform: ['u'], normal: ['eps'] }],
    ['names said twice', { ...typed, normal: ['eps', 'eps'] }],
    ['a pattern that looks for all', { ...typed, params: /w/g }],
    ['the objective that is none', { ...typed, objective: parseObjective('nll') }],
  ])('is the same for %s', async (_, options) => {
    expect(await hashOf(options)).toBe(await hashOf(typed));
  });

  it('is the same with and without empty lists', async () => {
    const free = { normal: ['eps', 'u', 't'] };
    expect(await hashOf({ normal: ['t', 'u', 'eps'], uniform: [], constants: {} })).toBe(await hashOf(free));
    const fixed = { constants: { eps: 0, u: 1, t: 2 } };
    expect(await hashOf({ constants: { t: 2, u: 1, eps: 0 }, normal: [] })).toBe(await hashOf(fixed));
  });

  it.each<[string, OnnxOptions]>([
    ['input', { ...typed, normal: ['eps', 'u'], uniform: [] }],
    ['value', { ...typed, constants: { t: 3 } }],
    ['pattern', { ...typed, params: /W/i }],
    ['range of pixels', { ...typed, pixels: [-1, 1] }],
  ])('is another for another %s', async (_, options) => {
    expect(await hashOf(options)).not.toBe(await hashOf(typed));
  });

  it('is what it was where a command line was in the usual order', async () => {
    const options = { normal: ['eps'], uniform: ['u'], constants: { t: 2 }, params: 'w' };
    const before = createHash('sha256').update(small()).update(JSON.stringify(options)).digest('hex');
    expect(await hashOf(typed)).toBe(before);
  });

  it('refuses a constant that is no number', async () => {
    await expect(hashOf({ ...typed, constants: { t: Number.NaN } })).rejects.toThrow(
      /the constant 't' is NaN, expected a finite number/,
    );
  });
});

const options = ['--normal', 'u', '--normal', 'eps', '--constant', 't=2'];

/** A model with its weights beside it, and a detector fitted with it. */
async function fitted(dir: string): Promise<{ model: string; detector: string; data: string }> {
  const [home, data] = [join(dir, 'home'), join(dir, 'x.npy')];
  await mkdir(home);
  await writeFile(join(home, 'w.bin'), randomData('w', 6));
  await writeFile(join(home, 'm.onnx'), small(externalTensor('w', [2, 3], 'w.bin')));
  await writeFile(data, writeNpy({ dtype: 'float32', shape: [40, 2], data: randomData('x', 80) }));
  const [model, detector] = [join(home, 'm.onnx'), join(home, 'd.json')];
  const { code, stderr } = await runCli('fit', model, '--data', data, '--group', '1', '--out', detector, ...options);
  expect(code, stderr).toBe(0);
  return { model, detector, data };
}

/** What comes out; the progress on stderr has times in it. */
async function score(detector: string, data: string, ...more: string[]) {
  const { code, stdout, stderr } = await runCli('score', detector, '--data', data, '--json', ...more);
  return { code, stdout, ...(code === 0 ? {} : { stderr }) };
}

describe('a detector file', () => {
  it('of an older version, whose hash took options and data as they came, still opens', async () => {
    await inTemporaryFolder(async (dir) => {
      const { model, detector, data } = await fitted(dir);
      const written = JSON.parse(await readFile(detector, 'utf8')) as { model: string };
      const former = createHash('sha256')
        .update(await readFile(model))
        .update(await readFile(join(dir, 'home', 'w.bin')))
        .update(JSON.stringify({ normal: ['u', 'eps'], uniform: [], constants: { t: 2 } }))
        .digest('hex');
      expect(former).not.toBe(written.model);
      const now = await score(detector, data);
      await writeFile(detector, JSON.stringify({ ...written, model: former }));
      expect(await score(detector, data)).toEqual(now);
      await writeFile(
        detector,
        JSON.stringify({ ...written, model: former.replace(/^./, (c) => (c === '0' ? '1' : '0')) }),
      );
      expect((await score(detector, data)).stderr).toMatch(/was fitted with model/);
    });
  });

  it('finds its model through links to the file, to its folder and to the model', async () => {
    await inTemporaryFolder(async (dir) => {
      const { detector, data, model } = await fitted(dir);
      const expected = await score(detector, data);
      expect(expected.code).toBe(0);
      await mkdir(join(dir, 'away'));
      await symlink(detector, join(dir, 'away', 'link.json'));
      await symlink(join(dir, 'home'), join(dir, 'folder'));
      await symlink(model, join(dir, 'away', 'linked.onnx'));
      expect(await score(join(dir, 'away', 'link.json'), data)).toEqual(expected);
      expect(await score(join(dir, 'folder', 'd.json'), data)).toEqual(expected);
      expect(await score(detector, data, '--model', join(dir, 'away', 'linked.onnx'))).toEqual(expected);
    });
  });

  it('written through links says where its model is from where it really lies', async () => {
    await inTemporaryFolder(async (dir) => {
      const { detector, data, model } = await fitted(dir);
      await mkdir(join(dir, 'deep', 'er'), { recursive: true });
      await symlink(join(dir, 'deep', 'er'), join(dir, 'folder'));
      const out = join(dir, 'folder', 'd.json');
      expect((await runCli('fit', model, '--data', data, '--group', '1', '--out', out, ...options)).code).toBe(0);
      const expected = await score(detector, data);
      expect(await score(out, data)).toEqual(expected);
      expect(await score(join(dir, 'deep', 'er', 'd.json'), data)).toEqual(expected);
    });
  });

  it('written with backslashes finds its model, and says where it looked if not', async () => {
    await inTemporaryFolder(async (dir) => {
      const { detector, data } = await fitted(dir);
      const expected = await score(detector, data);
      const file = JSON.parse(await readFile(detector, 'utf8')) as { recipe: { model: string } };
      expect(file.recipe.model).toBe('m.onnx');
      await mkdir(join(dir, 'home', 'detectors'));
      const moved = join(dir, 'home', 'detectors', 'd.json');
      await writeFile(moved, JSON.stringify({ ...file, recipe: { ...file.recipe, model: '..\\m.onnx' } }));
      expect(await score(moved, data)).toEqual(expected);
      await rename(join(dir, 'home', 'm.onnx'), join(dir, 'home', 'other.onnx'));
      const { code, stderr } = await score(moved, data);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /no such model directory or \.onnx file, where .*d\.json has its model; say it with --model/,
      );
    });
  });
});

describe('external data', () => {
  it('are read once, however many tensors lie in a file', async () => {
    await inTemporaryFolder(async (dir) => {
      const [count, size] = [100, 20_000];
      const names = Array.from({ length: count }, (_, k) => `w${k}`);
      await writeFile(join(dir, 'w.bin'), randomData('w', count * size));
      const tensors = names.map((name, k) => externalTensor(name, [size], 'w.bin', 4 * k * size, 4 * size));
      const bytes = modelBytes({
        input: [value('x', FLOAT, ['n', size])],
        initializer: tensors,
        node: [
          ...names.map((name, k) => node('Mul', [k === 0 ? 'x' : `h${k}`, name], [`h${k + 1}`])),
          node('ReduceMean', [`h${count}`], ['y'], { axes: [1], keepdims: 0 }),
        ],
        output: [value('y', FLOAT, ['n'])],
      });
      await writeFile(join(dir, 'm.onnx'), bytes);
      const readSoFar = async () => Number(/^rchar: (\d+)/m.exec(await readFile('/proc/self/io', 'utf8'))![1]);
      const before = await readSoFar();
      const { weights } = await loadOnnx(join(dir, 'm.onnx'));
      expect((await readSoFar()) - before).toBeLessThan(1.5 * 4 * count * size);
      expect(weights.w99!.data).toEqual(randomData('w', count * size).subarray(99 * size));
    });
  });

  it('lie beside the model itself where it is opened through a link, in folders with either slash', async () => {
    await inTemporaryFolder(async (dir) => {
      await mkdir(join(dir, 'home', 'data'), { recursive: true });
      await writeFile(join(dir, 'home', 'data', 'w.bin'), randomData('w', 6));
      await writeFile(join(dir, 'home', 'm.onnx'), small(externalTensor('w', [2, 3], 'data\\w.bin')));
      await symlink(join(dir, 'home', 'm.onnx'), join(dir, 'link.onnx'));
      const { weights } = await loadOnnx(join(dir, 'link.onnx'), typed);
      expect(weights.w!.data).toEqual(randomData('w', 6));
    });
  });
});
