// Names that every JavaScript object has already, wherever files may hold names: arrays, tensors, layers, inputs,
// weights, operators, sets. None is lost, and none is taken for something that is there.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { memoryDataset } from '../src/data/index.ts';
import { readNpz, writeNpz } from '../src/data/npy.ts';
import { fitDetectors } from '../src/detectors/fit.ts';
import { formatDetector, parseDetector } from '../src/detectors/format.ts';
import { scoreTable } from '../src/detectors/score.ts';
import { DataError, ModelError } from '../src/errors.ts';
import { decodeTable, encodeTable } from '../src/features/table-formats.ts';
import { openExtractor } from '../src/node/defaults.ts';
import { loadOnnx, openData, summariseOnnxFile } from '../src/node/index.ts';
import { encode } from '../src/onnx/index.ts';
import { readSafetensors, writeSafetensors } from '../src/store/safetensors.ts';
import { inTemporaryFolder, runCli } from './support/cli.ts';
import { network, node } from './support/onnx.ts';
import { FLOAT, modelBytes, node as protoNode, value } from './support/proto.ts';
import { randomData } from './support/run.ts';

const names = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
  'isPrototypeOf',
];
const [n, l] = [20, names.length];
const each = <T>(make: (i: number) => T) => Object.fromEntries(names.map((name, i) => [name, make(i)]));

const table = {
  names,
  dims: names.map((_, j) => j + 1),
  nll: Float64Array.from(randomData('nll', n), (v) => 100 + v),
  sqNorms: Float64Array.from(randomData('norms', n * l), (v) => Math.exp(v)),
  group: 1,
  meta: { model: 'ab', data: 'd', dataFingerprint: 'cd', seed: 0, start: 0 },
};

it('arrays of an .npz file', async () => {
  const arrays = each((i) => ({ dtype: 'float32' as const, shape: [2, 1], data: Float32Array.of(i, i + 0.5) }));
  expect(readNpz(writeNpz(arrays), 'f')).toEqual(arrays);
  await inTemporaryFolder(async (dir) => {
    writeFileSync(join(dir, 'a.npz'), writeNpz(arrays));
    const data = await openData(join(dir, 'a.npz'));
    expect(Object.keys(data.shapes)).toEqual(names);
    for await (const batch of data.batches(1, { start: 1 })) {
      expect(Object.entries(batch.arrays).map(([name, a]) => [name, a.data[0]])).toEqual(
        names.map((name, i) => [name, i + 0.5]),
      );
    }
    const changed = { dtype: 'float32' as const, shape: [2, 1], data: Float32Array.of(9, 9) };
    const other = Object.fromEntries(Object.entries(arrays).map(([name, a], i) => [name, i === 0 ? changed : a]));
    writeFileSync(join(dir, 'b.npz'), writeNpz(other));
    expect((await openData(join(dir, 'b.npz'))).fingerprint).not.toBe(data.fingerprint);
  });
});

it('tensors of a safetensors file', () => {
  const tensors = each((i) => ({ shape: [2], data: Float32Array.of(i, -i) }));
  const bytes = writeSafetensors(tensors);
  expect(Object.keys(readSafetensors(bytes, 'f'))).toEqual(names);
  expect(readSafetensors(bytes, 'f')).toEqual(tensors);
});

it.each(['npz', 'parquet', 'json'] as const)('layers of a feature table as .%s', async (format) => {
  expect(await decodeTable(await encodeTable(table, format, 'f'), format, 'f')).toEqual(table);
});

it('layers of a detector', () => {
  const file = fitDetectors([table]);
  const read = parseDetector(formatDetector(file), 'f');
  expect(formatDetector(read)).toBe(formatDetector(file));
  const scores = (names_: readonly string[]) => {
    const plain = { ...table, names: names_ };
    return scoreTable(fitDetectors([plain]), plain).map((s) => [...s.scores]);
  };
  expect(scoreTable(read, table).map((s) => [...s.scores])).toEqual(scores(names.map((_, i) => `layer${i}`)));
});

it('keys that a JSON file must not have are refused, not dropped', async () => {
  const inject = (text: string) => text.replace('{', '{"__proto__": {"a": 1}, ');
  const json = new TextDecoder().decode(await encodeTable(table, 'json', 'f'));
  await expect(decodeTable(new TextEncoder().encode(inject(json)), 'json', 'f')).rejects.toThrow(/f: .*__proto__/);
  expect(() => parseDetector(inject(formatDetector(fitDetectors([table]))), 'f')).toThrow(/f: .*__proto__/);
});

describe('an ONNX model', () => {
  /** Σ (x · w) over all inputs and weights of these names. */
  const model = (inputs: readonly string[], weights: readonly string[]) => {
    const products = inputs.flatMap((x) => weights.map((w) => node('Mul', [x, w], `${x} ${w}`)));
    const sums = products.map(({ output }) => node('ReduceSum', [output], `sum ${output}`, { keepdims: 0 }));
    const total = node(
      'Sum',
      sums.map((s) => s.output),
      'toString result',
    );
    const shapes = Object.fromEntries(inputs.map((x) => [x, [3]]));
    return encode(
      network(
        shapes,
        Object.fromEntries(weights.map((w) => [w, [1, 3]])),
        [...products, ...sums, total],
        [total.output],
      ),
    );
  };

  it('has inputs and weights of these names', async () => {
    await inTemporaryFolder(async (dir) => {
      const arrays = names.map((x) => [x, { data: randomData(x, 2 * 3), shape: [3] }] as const);
      const [strange, plain] = [join(dir, 'strange.onnx'), join(dir, 'plain.onnx')];
      const weights = names.map((w) => `${w} w`);
      writeFileSync(strange, model(names, weights));
      writeFileSync(
        plain,
        model(
          names.map((x) => `plain ${x}`),
          weights,
        ),
      );
      const run = async (path: string, prefix: string) => {
        const extractor = await openExtractor(await loadOnnx(path, {}), { seed: 0, threads: 1 });
        const renamed = Object.fromEntries(arrays.map(([x, a]) => [prefix + x, a]));
        try {
          return await extractor.table(memoryDataset('d', 2, 'f', renamed));
        } finally {
          await extractor.dispose();
        }
      };
      const [found, expected] = [await run(strange, ''), await run(plain, 'plain ')];
      expect([found.names, found.nll, found.sqNorms]).toEqual([expected.names, expected.nll, expected.sqNorms]);
    });
  });

  it('has weights of these names, and constants', async () => {
    await inTemporaryFolder(async (dir) => {
      writeFileSync(
        join(dir, 'm.onnx'),
        model(
          ['x', 'constructor'],
          names.filter((w) => w !== 'constructor'),
        ),
      );
      const loaded = await loadOnnx(join(dir, 'm.onnx'), { constants: { x: 2 } });
      expect(Object.keys(loaded.inputs)).toEqual(['constructor']);
      const extractor = await openExtractor(loaded, { seed: 0, threads: 1 });
      const x = { data: randomData('x', 6), shape: [3] };
      // A lone array goes to the lone input, whatever its name; of two the names decide.
      const other = { data: randomData('y', 6), shape: [3] };
      await expect(extractor.table(memoryDataset('d', 2, 'f', { x, other }))).rejects.toThrow(ModelError);
      await expect(extractor.table(memoryDataset('d', 2, 'f', { x, other }))).rejects.toThrow(
        "has no array 'constructor', which the model takes",
      );
      const found = await extractor.table(memoryDataset('d', 2, 'f', { other, constructor: x }));
      await extractor.dispose();
      expect([...found.names].sort()).toEqual(names.filter((w) => w !== 'constructor').sort());
    });
  });

  it('has operators of these names, which are counted and named as unsupported', async () => {
    await inTemporaryFolder(async (dir) => {
      const path = join(dir, 'm.onnx');
      const nodes = names.map((op, i) => protoNode(op, [i === 0 ? 'x' : `y${i - 1}`], [`y${i}`]));
      const parts = { node: nodes, input: [value('x', FLOAT, ['n', 3])], output: [value(`y${l - 1}`, FLOAT)] };
      writeFileSync(path, modelBytes(parts));
      const summary = await summariseOnnxFile(path);
      expect(Object.entries(summary.operators)).toEqual(names.map((op) => [op, 1]));
      expect(summary.unsupported.map((u) => u.operator)).toEqual(names);
      await expect(loadOnnx(path, {})).rejects.toThrow(/the operator __proto__ is not supported/);
    });
  });
});

it('splits, known sets, architectures and detectors', async () => {
  for (const name of names) {
    await expect(openData(name)).rejects.toThrow(DataError);
    await expect(openData(`mnist:${name}`)).rejects.toThrow(`mnist has no split '${name}'`);
    const trained = await runCli('train', name, '--data', 'sample/mnist', '--out', '/nowhere/x');
    expect([trained.code, trained.stderr]).toEqual([2, expect.stringContaining(`there is no ARCH '${name}'`)]);
    const ran = await runCli(name);
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringContaining(`there is no command '${name}'`)]);
  }
});

it('sets of an evaluation', async () => {
  await inTemporaryFolder(async (dir) => {
    const net = network(
      { x: [3] },
      { w: [1, 3] },
      [node('Mul', ['x', 'w'], 'p'), node('ReduceSum', ['p'], 'y', { keepdims: 0 })],
      ['y'],
    );
    writeFileSync(join(dir, 'm.onnx'), encode(net));
    const put = (name: string, scale: number) =>
      writeFileSync(
        join(dir, name),
        writeNpz({ x: { dtype: 'float32', shape: [60, 3], data: randomData(name, 180).map((v) => scale * v) } }),
      );
    put('in.npz', 1);
    put('out.npz', 3);
    const fitted = await runCli(
      'fit',
      join(dir, 'm.onnx'),
      '--data',
      `${join(dir, 'in.npz')}[0:30]`,
      '--out',
      join(dir, 'd.json'),
    );
    expect(fitted.code, fitted.stderr).toBe(0);
    const sets = names.flatMap((name) => ['--ood', `${name}=${join(dir, 'out.npz')}`]);
    const report = join(dir, 'r.html');
    const args = ['--in', `${join(dir, 'in.npz')}[30:60]`, ...sets, '--json', '--report', report];
    const { code, stdout, stderr } = await runCli('eval', join(dir, 'd.json'), ...args);
    expect(code, stderr).toBe(0);
    const { results } = JSON.parse(stdout) as { results: { ood: string; auroc: number }[] };
    expect([...new Set(results.map((r) => r.ood))]).toEqual(names);
    expect(results.every((r) => r.auroc >= 0 && r.auroc <= 1)).toBe(true);
    for (const name of names) expect(readFileSync(report, 'utf8')).toContain(name);
  });
});
