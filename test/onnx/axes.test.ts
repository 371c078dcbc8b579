// Files whose axes are left open, that are made for a fixed batch, or that take several inputs, against PyTorch in
// float64 (`scripts/exporters/axes.py`): sizes come from the data or by name, norms are of single examples, and what
// cannot be known is refused.

import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Dataset, memoryDataset } from '../../src/data/index.ts';
import { readNpz, writeNpz } from '../../src/data/npy.ts';
import { weightGradients } from '../../src/features/index.ts';
import { type ExtractorOptions, openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { nodeRuntime } from '../../src/node/runtime.ts';
import type { OnnxOptions, ScoringModel } from '../../src/store/index.ts';
import { inTemporaryFolder, runCli } from '../support/cli.ts';
import { expectSqNorms } from '../support/compare.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';

const folder = fileURLToPath(new URL('axes', import.meta.url));
const file = (name: string) => join(folder, `${name}.onnx`);

const readNumbers = (name: string) => readNpz(new Uint8Array(readFileSync(join(folder, name))), name);

function examplesOf(set: string): Dataset {
  const inputs = Object.entries(readNumbers(`${set}.inputs.npz`));
  const arrays = inputs.map(([key, { data, shape }]) => [key, { data: data as Float32Array, shape: shape.slice(1) }]);
  return memoryDataset(set, inputs[0]![1].shape[0]!, set, Object.fromEntries(arrays));
}

async function tableOf(model: ScoringModel, data: Dataset, options: ExtractorOptions = {}) {
  const extractor = await openExtractor(model, { threads: 1, ...options });
  try {
    return await extractor.table(data);
  } finally {
    await extractor.dispose();
  }
}

type Table = Awaited<ReturnType<typeof tableOf>>;

/** Losses and norms of the set's examples, of those parameters that the file still has. */
function expectAnswers(table: Table, set: string): void {
  const { nll, sqnorm, names } = readNumbers(`${set}.expected.npz`);
  const all = names!.data as readonly string[];
  expectSqNorms(table.nll, nll!.data as Float64Array, ['nll']);
  const wanted = Array.from(table.nll, (_, i) =>
    table.names.map((key) => Number(sqnorm!.data[i * all.length + all.indexOf(key)])),
  );
  expect(table.names.filter((key) => !all.includes(key))).toEqual([]);
  expectSqNorms(table.sqNorms, wanted.flat(), table.names);
}

const setsOf = (name: string) =>
  readdirSync(folder).flatMap((found) =>
    found.startsWith(`${name}.`) && found.endsWith('.inputs.npz') ? [found.slice(0, -'.inputs.npz'.length)] : [],
  );

describe('axes that are left open', () => {
  it.each([
    ['encoder.dynamo', 't = 16'],
    ['convvae.dynamo', 'h = 16, w = 16'],
    ['lm.dynamo', 's = 16'],
    ['two.ts', 't = 16'],
    ['shift.dynamo', 't = 16'],
  ])('of %s have the sizes of the data', async (name, free) => {
    const model = await loadOnnx(file(name));
    expect(model.free!.map((f) => `${f.name} = ${f.size}`).join(', ')).toBe(free);
    const extractor = await openExtractor(model, { threads: 1 });
    try {
      for (const set of setsOf(name.split('.')[0]!)) expectAnswers(await extractor.table(examplesOf(set)), set);
    } finally {
      await extractor.dispose();
    }
  });

  it('have sizes by their names, or by the places of axes', async () => {
    for (const dims of [{ s: 6 }, { 'ids.1': 6 }]) {
      const model = await loadOnnx(file('lm.dynamo'), { dims });
      expect([model.inputs, model.free, model.at]).toEqual([{ ids: [6] }, undefined, undefined]);
      expectAnswers(await tableOf(model, examplesOf('lm.s6')), 'lm.s6');
      await expect(tableOf(model, examplesOf('lm.s17'))).rejects.toThrow(
        /'ids' is \[17\] an example, the model takes \[6\]/,
      );
    }
    const model = await loadOnnx(file('convvae.dynamo'), { dims: { 'x.2': 8 } });
    expect(model.free).toEqual([{ name: 'w', axes: ['x.3', 'eps.3'], size: 16 }]);
    expectAnswers(await tableOf(model, examplesOf('convvae.a')), 'convvae.a');
  });

  it('leave the model the same, whatever the sizes', async () => {
    const [open, given] = [await loadOnnx(file('lm.dynamo')), await loadOnnx(file('lm.dynamo'), { dims: { s: 6 } })];
    expect(given.hash).toBe(open.hash);
  });

  it('that nothing agrees on are refused with both places', async () => {
    const wrong = async (name: string, shapes: Record<string, readonly number[]>) => {
      const model = await loadOnnx(file(name));
      return () => model.at!(shapes);
    };
    expect(await wrong('two.ts', { x: [6, 3], mask: [5] })).toThrow(
      /the size 't' is 6 by axis 1 of 'x' \(6 in the data\) and 5 by axis 1 of 'mask' \(5 in the data\)/,
    );
    expect(await wrong('shift.dynamo', { ids: [4], y: [6, 3] })).toThrow(
      /axis 1 of 'y' \(6 in the data\) is 't \+ 1' in the file, which is 5 with t = 4 by axis 1 of 'ids'/,
    );
    expect(await wrong('shift.dynamo', { ids: [4], y: [5, 2] })).toThrow(
      /axis 2 of 'y' \(2 in the data\) is 2, in the file it is fixed to 3/,
    );
    expect(await wrong('convvae.dynamo', { x: [1, 9, 8], eps: [2, 4, 4] })).toThrow(
      /axis 2 of 'x' \(9 in the data\) is '2\*h' in the file/,
    );
    expect(await wrong('two.ts', { x: [6, 3] })).not.toThrow(); // the mask has the same size
    await expect(loadOnnx(file('two.ts'), { dims: { q: 3 } })).rejects.toThrow(
      /no free size 'q'; there are t \(x\.1, mask\.1\)/,
    );
    await expect(loadOnnx(file('two.ts'), { dims: { batch: 3 } })).rejects.toThrow(/'batch' is the number of examples/);
  });

  it('that the exporter has baked in are refused with the sizes of the data', async () => {
    const model = await loadOnnx(file('encoder.ts')); // its heads are split for sequences of 7
    await expect(tableOf(model, examplesOf('encoder.t12'))).rejects.toThrow(
      /does not fit .*\(with t = 12, as the data have it\)/,
    );
    expectAnswers(await tableOf(model, examplesOf('encoder.t7')), 'encoder.t7');
  });

  it('do not change the norms of an example with the batch, the group or what came before', async () => {
    const model = await loadOnnx(file('lm.dynamo'));
    const extractor = await openExtractor(model, { threads: 1, batch: 2 });
    const first = await extractor.table(examplesOf('lm.s6'));
    await extractor.table(examplesOf('lm.s17'));
    const again = await extractor.table(examplesOf('lm.s6'));
    await extractor.dispose();
    expect(again.sqNorms).toEqual(first.sqNorms);
    expectAnswers(first, 'lm.s6');
    const groups = await tableOf(model, examplesOf('lm.s6'), { group: 2 });
    const fixed = await tableOf(await loadOnnx(file('lm.dynamo'), { dims: { s: 6 } }), examplesOf('lm.s6'), {
      group: 2,
    });
    expect(groups.sqNorms).toEqual(fixed.sqNorms);
  });
});

/** loss = Σ (x w)² over [n, …] with `dims` for x. */
const plain = (dims: (string | number)[], more: Parameters<typeof value>[] = []) =>
  modelBytes({
    input: [value('x', FLOAT, dims), ...more.map((v) => value(...v))],
    node: [
      node('MatMul', ['x', 'w'], ['h']),
      ...more.map(([name], k) => node('Add', [k === 0 ? 'h' : `h${k}`, name], [`h${k + 1}`])),
      node('Mul', [`h${more.length || ''}`, `h${more.length || ''}`], ['q']),
      node('ReduceSum', ['q', 'axes'], ['y'], { keepdims: 0 }),
    ],
    initializer: [
      tensor('w', [3, 3], Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9)),
      tensor(
        'axes',
        [dims.length - 1],
        BigInt64Array.from(dims.slice(1), (_, k) => BigInt(k + 1)),
      ),
    ],
    output: [value('y', FLOAT, ['n'])],
  });

describe('names of sizes', () => {
  const load = (bytes: Uint8Array, options: OnnxOptions = {}) =>
    inTemporaryFolder(async (dir) => {
      await writeFile(join(dir, 'm.onnx'), bytes);
      return loadOnnx(join(dir, 'm.onnx'), options);
    });

  it.each([
    [['n', 't', 3], 't: x.1'],
    [['n', '', 3], 'x.1: x.1'],
    [['N', 'N', 3], 'x.1: x.1'], // some exporters call every unknown size alike
    [['unk__1', 'unk__2', 3], 'unk__2: x.1'],
    [['batch', 'seq-len', 3], 'seq-len: x.1'],
    [['batch', '2*t + 1', 3], 't: x.1'],
    [['batch', 'past + now', 3], 'past: x.1, now: x.1'],
    [[1, 't', 3], 't: x.1'],
  ])('%j', async (dims, free) => {
    const model = await load(plain(dims));
    expect(model.free!.map((f) => `${f.name}: ${f.axes.join()}`).join(', ')).toBe(free);
    const size = dims[1] === '2*t + 1' ? 5 : 4;
    if (free.includes('past'))
      return expect(() => model.at!({ x: [4, 3] })).toThrow(
        /'past \+ now', a size that is not fixed; say it with `dims: \{ past: N \}`/,
      );
    expect(model.at!({ x: [size, 3] }).inputs).toEqual({ x: [size, 3] });
  });

  it('that no whole number makes are refused', async () => {
    const model = await load(plain(['n', '2*t', 3]));
    expect(() => model.at!({ x: [5, 3] })).toThrow(
      /axis 1 of 'x' \(5 in the data\) is '2\*t' in the file, and no t makes that 5/,
    );
  });

  it('the batch anywhere but in front is refused', async () => {
    await expect(load(plain(['t', 'batch_size', 3]))).rejects.toThrow(
      /axis 1 of input 'x' is 'batch_size', expected the examples along the first axis of every input/,
    );
  });

  it('an input without an axis of examples has one value for all', async () => {
    const bytes = plain(['n', 't', 3], [['mask', FLOAT, ['t', 3]]]);
    await expect(load(bytes)).rejects.toThrow(
      /input 'mask' \[16,3\] has no axis of examples, so all of them have the same; give it one value with `constants: \{ mask: X \}`/,
    );
    const model = await load(bytes, { constants: { mask: 0 } });
    expect(model.at!({ x: [4, 3] }).inputs).toEqual({ x: [4, 3] });
  });
});

describe('a fixed batch', () => {
  it.each([
    ...['flat2.ts', 'flat3.opt', 'flat4.dynamo', 'rnn3.ts', 'encoder2.ts'],
    ...['sum3.opt', 'mean2.opt', 'mean3.opt', 'div3.opt', 'half3.opt', 'mse4.opt', 'two2.opt', 'two3.opt'],
  ])('of %s: norms of each of five examples', async (name) => {
    const model = await loadOnnx(file(name));
    const k = Number(/\d/.exec(name)![0]);
    const { note } = await model.batchLoss!({ runtime: nodeRuntime() });
    expect(note).toMatch(`the file is made for batches of ${k} and is taken at ${k}`);
    const set = `${name.split('.')[0]}.n5`;
    const table = await tableOf(model, examplesOf(set));
    expectAnswers(table, set);
    expect((await tableOf(model, examplesOf(set), { batch: 2 })).nll).toHaveLength(5);
  });

  it.each([
    ['div2.opt', /does not tell whether it is the sum of its examples' losses or their mean/],
    ['half2.opt', /output 'mul' is one number for the batch of 2 .* export it with a loss for every example/],
    ['mixed3.opt', /does not tell whether/],
    ['noisy2.dynamo', /depends on its place in the batch/],
    ['interacting3.dynamo', /depends on the others in its batch/],
  ])('of %s is refused', async (name, message) => {
    const found = async () =>
      tableOf(
        await loadOnnx(file(name)),
        memoryDataset('x', 4, 'x', { x: { data: new Float32Array(16).map((_, i) => i / 9), shape: [4] } }),
      );
    await expect(found()).rejects.toThrow(message);
  });
});

describe('several inputs', () => {
  const setUp = (use: (dir: string, at: (name: string) => string) => Promise<void>) =>
    inTemporaryFolder((dir) => use(dir, (name) => join(dir, name)));
  const three = (n: number, size: number) => Float32Array.from({ length: n * size }, (_, i) => Math.sin(i));

  it('by their names in the .npz need not be declared', () =>
    setUp(async (_, at) => {
      const run = await runCli(
        'features',
        file('diffusion.ts'),
        '--data',
        join(folder, 'diffusion.n4.inputs.npz'),
        '--out',
        at('o.npz'),
      );
      expect(run.code, run.stderr).toBe(0);
      const { nll, sqnorm, names } = readNpz(new Uint8Array(readFileSync(at('o.npz'))), 'o.npz');
      const table = { nll: nll!.data, sqNorms: sqnorm!.data, names: names!.data } as unknown as Table;
      expectAnswers(table, 'diffusion.n4');
    }));

  it('that the data do not have are taken for what their names say, which is said and kept', () =>
    setUp(async (_, at) => {
      await writeFile(at('x.npz'), writeNpz({ x: { dtype: 'float32', shape: [20, 4], data: three(20, 4) } }));
      const guess = await runCli('features', file('diffusion.ts'), '--data', at('x.npz'), '--out', at('a.npz'));
      expect(guess.stderr).toContain("'t' is taken for time by its name, as with --integer t=0..19");
      expect(guess.stderr).toContain("'noise' is taken for noise by its name, as with --normal noise");
      const said = ['--integer', 't=0..19', '--normal', 'noise'];
      await runCli('features', file('diffusion.ts'), '--data', at('x.npz'), '--out', at('b.npz'), ...said);
      expect(readFileSync(at('a.npz'))).toEqual(readFileSync(at('b.npz')));
      const fit = await runCli(
        'fit',
        file('diffusion.ts'),
        '--data',
        at('x.npz'),
        '--out',
        at('d.json'),
        '--group',
        '1',
      );
      expect(fit.code, fit.stderr).toBe(0);
      expect(JSON.parse(readFileSync(at('d.json'), 'utf8')).recipe).toMatchObject({
        integer: ['t=0..19'],
        normal: ['noise'],
      });
      const score = await runCli('score', at('d.json'), '--data', at('x.npz'), '--json', '--fpr', '0.2');
      expect(score.code, score.stderr).toBe(0);
      const inspect = await runCli('inspect', file('diffusion.ts'), '--json');
      expect(JSON.parse(inspect.stdout).roles.map((r: { value: string }) => r.value)).toEqual(['t=0..19', 'noise']);
    }));

  it.each([
    ['attention_mask', 'attention_mask=1'],
    ['key_padding_mask', 'key_padding_mask=0'],
    ['token_type_ids', 'token_type_ids=0'],
  ])('%s without an array masks nothing', (name, wanted) =>
    setUp(async (_, at) => {
      await writeFile(at('m.onnx'), plain(['n', 4, 3], [[name, FLOAT, ['n', 4, 3]]]));
      await writeFile(at('x.npz'), writeNpz({ x: { dtype: 'float32', shape: [3, 4, 3], data: three(3, 12) } }));
      const run = await runCli('features', at('m.onnx'), '--data', at('x.npz'), '--out', at('o.npz'), '--json');
      expect(run.code, run.stderr).toBe(0);
      expect(JSON.parse(run.stdout).roles).toEqual([
        expect.objectContaining({ input: name, option: 'constant', value: wanted }),
      ]);
    }),
  );

  it('whose names say nothing are refused with what to type', () =>
    setUp(async (_, at) => {
      await writeFile(at('x.npz'), writeNpz({ x: { dtype: 'float32', shape: [3, 4, 3], data: three(3, 12) } }));
      await writeFile(at('m.onnx'), plain(['n', 4, 3], [['other', FLOAT, ['n', 4, 3]]]));
      const run = await runCli('features', at('m.onnx'), '--data', at('x.npz'), '--out', at('o.npz'));
      expect(run.code).toBe(2);
      expect(run.stderr).toContain(
        "'other': put it into the .npz under this name, or say what it is: --normal other, --uniform other, --constant other=X",
      );
    }));

  it('whole numbers are drawn for every example by its content, from the lowest to the highest', async () => {
    const model = await loadOnnx(file('diffusion.ts'), { normal: ['noise'], integers: { t: [3, 5] } });
    const data = (order: readonly number[]) =>
      memoryDataset('x', order.length, String(order), {
        x: { data: Float32Array.from(order.flatMap((i) => [i, i + 1, 0, 1])), shape: [4] },
      });
    const [table, turned] = [
      await tableOf(model, data([1, 2, 3, 4])),
      await tableOf(model, data([4, 3, 2, 1]), { batch: 1 }),
    ];
    expect(
      Array.from(turned.nll)
        .reverse()
        .map((v) => v.toFixed(4)),
    ).toEqual(Array.from(table.nll, (v) => v.toFixed(4)));
    const other = await loadOnnx(file('diffusion.ts'), { normal: ['noise'], integers: { t: [3, 6] } });
    expect(other.hash).not.toBe(model.hash);
    const only = await loadOnnx(file('diffusion.ts'), { normal: ['noise'], integers: { t: [4, 4] } });
    const constant = await loadOnnx(file('diffusion.ts'), { normal: ['noise'], constants: { t: 4 } });
    expectSqNorms((await tableOf(only, data([1, 2]))).nll, (await tableOf(constant, data([1, 2]))).nll, ['nll']);
    const beyond = await loadOnnx(file('diffusion.ts'), { normal: ['noise'], integers: { t: [20, 30] } });
    await expect(tableOf(beyond, data([1]))).rejects.toThrow(
      /example 0: 't' gives \d+, where .* takes whole numbers from -20 to 19/,
    );
    await expect(loadOnnx(file('diffusion.ts'), { integers: { t: [5, 3] } })).rejects.toThrow(
      /from 5 to 3, expected two whole numbers/,
    );
  });
});

describe('the loss among several outputs', () => {
  it('is the only one that can be, and that is said', async () => {
    const model = await loadOnnx(file('several1.opt'));
    expect(model.notes).toEqual([
      expect.stringMatching(
        /^output '\w+' \[n\] is taken for the loss, the only one of .* that can be; `loss` takes another$/,
      ),
    ]);
    expectAnswers(await tableOf(model, examplesOf('several1.n3')), 'several1.n3');
    const [chosen] = model.notes![0]!.match(/(?<=')\w+(?=')/)!;
    expect((await loadOnnx(file('several1.opt'), { loss: chosen! })).hash).toBe(model.hash);
  });

  it('is asked for where several can be, with their shapes', async () => {
    await expect(loadOnnx(file('several3.opt'))).rejects.toThrow(
      /3 outputs could be the loss: add \[n\], sum_1 \[n\], sum_2 \[n\]; say which, as `loss: 'add'` \(it has the outputs .*linear_1 \[n, 4\]\)/,
    );
  });
});

describe('a lone array', () => {
  const fed = (name: string, shape: readonly number[], pixels = false) => {
    const size = shape.reduce((p, d) => p * d, 1);
    const data = Float32Array.from({ length: 3 * size }, (_, i) => Math.cos(i));
    return { data: memoryDataset('d', 3, 'd', { [name]: { data, shape, pixels } }), values: data };
  };

  it.each([
    ['encoder.dynamo', [7, 3]],
    ['encoder.dynamo', [1, 7, 3]], // as readers of pictures have it
    ['convvae.dynamo', [1, 8, 12]],
    ['convvae.dynamo', [8, 12]],
  ])('reaches %s as %j', async (name, shape) => {
    const model = await loadOnnx(file(name), name === 'convvae.dynamo' ? { normal: ['eps'] } : {});
    const plainShape = name === 'encoder.dynamo' ? [7, 3] : [1, 8, 12];
    const [given, wanted] = [fed('any', shape), fed('x', plainShape)];
    expect((await tableOf(model, given.data)).sqNorms).toEqual((await tableOf(model, wanted.data)).sqNorms);
    expect(given.data.notes()).toEqual([]);
  });

  it('of pictures is a vector for a model of vectors, and that is said', () =>
    inTemporaryFolder(async (dir) => {
      const { values } = fed('x', [4, 4]);
      await writeFile(join(dir, 'x.npz'), writeNpz({ images: { dtype: 'float32', shape: [3, 4, 4], data: values } }));
      await writeFile(join(dir, 'v.npz'), writeNpz({ x: { dtype: 'float32', shape: [3, 16], data: values } }));
      const run = await runCli('features', file('mlp.opt'), '--data', join(dir, 'x.npz'), '--out', join(dir, 'a.npz'));
      expect(run.stderr).toContain("'x' is [1,4,4] an example, and [16] for the model");
      await runCli('features', file('mlp.opt'), '--data', join(dir, 'v.npz'), '--out', join(dir, 'b.npz'));
      const sqnorm = (name: string) => readNpz(new Uint8Array(readFileSync(join(dir, name))), name).sqnorm;
      expect(sqnorm('a.npz')).toEqual(sqnorm('b.npz'));
    }));

  it('of several in a file is the only one that fits', async () => {
    const model = await loadOnnx(file('mlp.opt'));
    const { data, values } = fed('x', [16]);
    const both = memoryDataset('d', 3, 'd', {
      images: { data: values, shape: [16] },
      y: { data: Float32Array.of(0, 1, 2), shape: [] },
    });
    expect((await tableOf(model, both)).sqNorms).toEqual((await tableOf(model, data)).sqNorms);
  });
});

describe('on the command line', () => {
  it('inspect names the open axes and says how to bind them', async () => {
    const { stdout } = await runCli('inspect', file('convvae.dynamo'));
    expect(stdout).toContain('x      [n, 1, 2*h, 2*w]  data');
    expect(stdout).toContain(
      'open sizes: h (axis 2 of x, axis 2 of eps), w (axis 3 of x, axis 3 of eps); the data say them, or --dim h=N. What follows is for --dim h=16 --dim w=16',
    );
    const json = JSON.parse((await runCli('inspect', file('convvae.dynamo'), '--json')).stdout);
    expect(json.free[0]).toEqual({ name: 'h', axes: ['x.2', 'eps.2'], size: 16 });
    expect(json.inputs[0].declared).toEqual(['n', 1, '2*h', '2*w']);
  });

  it('check and gradients take the sizes of their inputs', () =>
    inTemporaryFolder(async (dir) => {
      for (const t of ['lm.s6', 'lm.s17']) {
        const answers = readNumbers(`${t}.expected.npz`);
        const ids = readNumbers(`${t}.inputs.npz`).ids!;
        await writeFile(join(dir, 'check.npz'), writeNpz({ ...answers, 'input.ids': ids }));
        const { stdout, stderr } = await runCli('check', file('lm.dynamo'), join(dir, 'check.npz'));
        expect(stdout, stderr).toMatch(/exact: 8 layers of \d examples/);
      }
      const how = { seed: 0, layers: 2, weights: 3, runtime: nodeRuntime(), threads: 1 };
      const [open, given] = [await loadOnnx(file('lm.dynamo')), await loadOnnx(file('lm.dynamo'), { dims: { s: 6 } })];
      const found = await weightGradients(open, examplesOf('lm.s6'), how);
      expect(found.gradients).toEqual((await weightGradients(given, examplesOf('lm.s6'), how)).gradients);
    }));

  it('a detector scores inputs of other lengths than it was fitted on', () =>
    inTemporaryFolder(async (dir) => {
      const ids = (n: number, t: number) => ({
        ids: {
          dtype: 'int64' as const,
          shape: [n, t],
          data: BigInt64Array.from({ length: n * t }, (_, i) => BigInt((i * 7) % 11)),
        },
      });
      await writeFile(join(dir, 'a.npz'), writeNpz(ids(20, 6)));
      await writeFile(join(dir, 'b.npz'), writeNpz(ids(4, 9)));
      const fit = await runCli(
        'fit',
        file('lm.dynamo'),
        '--data',
        join(dir, 'a.npz'),
        '--group',
        '1',
        '--out',
        join(dir, 'd.json'),
      );
      expect(fit.code, fit.stderr).toBe(0);
      const score = await runCli('score', join(dir, 'd.json'), '--data', join(dir, 'b.npz'), '--json', '--fpr', '0.2');
      expect(score.code, score.stderr).toBe(0);
      expect(JSON.parse(score.stdout).results).toHaveLength(4);
    }));

  it.each([
    ['--dim', 's', /--dim is 's', expected NAME=SIZE, such as seq=128/],
    ['--dim', 's=0', /expected NAME=SIZE/],
    ['--integer', 't=5', /--integer is 't=5', expected NAME=LOW\.\.HIGH/],
    ['--integer', 't=5..1', /expected NAME=LOW\.\.HIGH/],
  ])('%s %s is refused', async (option, given, message) => {
    const { code, stderr } = await runCli('inspect', file('lm.dynamo'), option, given);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});
