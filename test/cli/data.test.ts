// Data as people have them, through the command line: what is refused, what to type, and what then comes out.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NpyArray, readNpz, writeNpy } from '../../src/data/npy.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder.path, name);
const sizes = ['--config', '{"levels": 1, "steps": 1, "hidden": 4}'];

beforeAll(async () => {
  save('train.npy', 'uint8', 64, (k) => (k * 37) % 256);
  const train = ['train', 'glow', '--data', at('train.npy'), '--steps', '2', '--batch', '8', ...sizes];
  const { code, stderr } = await runCli(...train, '--out', at('model'));
  expect(code, stderr).toBe(0);
});
afterAll(() => folder.remove());

const arrays = { uint8: Uint8Array, float32: Float32Array, float64: Float64Array } as const;

/** n pictures of 8×8 by a function of the running index of the pixel. */
function save(name: string, dtype: keyof typeof arrays, n: number, value: (k: number) => number): void {
  const data = new arrays[dtype](n * 64).map((_, k) => value(k));
  writeFileSync(at(name), writeNpy({ dtype, shape: [n, 8, 8], data } as NpyArray));
}

/** The losses of `features` and its exit code. */
async function features(spec: string, ...more: readonly string[]) {
  const out = at(`f${Math.random()}.npz`);
  const found = await runCli('features', at('model'), '--data', spec, '--out', out, ...more);
  return { ...found, nll: found.code === 0 ? [...(readNpz(readFileSync(out), out).nll!.data as Float64Array)] : [] };
}

describe('pictures of 0 and 1', () => {
  const bit = (k: number) => Number((k * 2654435761) % 7 < 3);

  it.each(['uint8', 'float32'] as const)('of %s are refused, and read as --pixels 0,1 says', async (dtype) => {
    save('bits.npy', dtype, 5, bit);
    save('bytes.npy', dtype, 5, (k) => 255 * bit(k));
    for (const batch of ['1', '5']) {
      const { code, stderr } = await features(at('bits.npy'), '--batch', batch);
      expect([code, stderr]).toEqual([1, expect.stringContaining('holds only the values 0 and 1, expected pixels')]);
      expect(stderr).toContain('say --pixels 0,1 where 1 is white');
    }
    const [said, bytes] = [await features(at('bits.npy'), '--pixels', '0,1'), await features(at('bytes.npy'))];
    expect(said.nll).toEqual(bytes.nll);
    expect((await features(at('bits.npy'), '--pixels', '0,255')).nll).not.toEqual(bytes.nll);
  });

  it('are judged over the set, whatever the batch', async () => {
    save('dark.npy', 'float32', 6, (k) => (Math.floor(k / 64) === 0 ? 0.5 : k % 200));
    const [one, all] = [await features(at('dark.npy'), '--batch', '1'), await features(at('dark.npy'), '--batch', '6')];
    expect([one.code, one.stderr]).toEqual([0, one.stderr]);
    expect(one.nll.length).toBe(6);
    expect(one.nll.map((v) => v.toPrecision(5))).toEqual(all.nll.map((v) => v.toPrecision(5)));
  });

  it('are told by score and train in the same way, and a detector does not keep it', async () => {
    save('bits.npy', 'uint8', 12, bit);
    const fit = ['fit', at('model'), '--data', at('bits.npy'), '--group', '1', '--out', at('bits.json')];
    expect((await runCli(...fit)).code).toBe(1);
    expect((await runCli(...fit, '--pixels', '0,1')).code).toBe(0);
    const score = ['score', at('bits.json'), '--data', at('bits.npy'), '--fpr', '0.2'];
    expect((await runCli(...score)).stderr).toContain('say --pixels 0,1');
    expect((await runCli(...score, '--pixels', '0,1')).code).toBe(0);
    const train = ['train', 'glow', '--data', at('bits.npy'), '--steps', '1', '--batch', '4', ...sizes];
    expect((await runCli(...train, '--out', at('m1'))).stderr).toContain('say --pixels 0,1');
    expect((await runCli(...train, '--out', at('m2'), '--pixels', '0,1')).code).toBe(0);
  });
});

describe('transparent pictures', () => {
  it('are refused, or put on a background', async () => {
    mkdirSync(at('clear'));
    const raw = { raw: { width: 8, height: 8, channels: 2 } } as const;
    for (const k of [0, 1]) {
      // The drawing is in the alpha channel.
      const pixels = Uint8Array.from({ length: 128 }, (_, i) => (i % 2 === 0 ? 0 : (i * (k + 3)) % 256));
      writeFileSync(at(`clear/${k}.png`), await sharp(pixels, raw).toColourspace('b-w').png().toBuffer());
    }
    const { code, stderr } = await features(at('clear'));
    expect([code, stderr]).toEqual([1, expect.stringContaining('0.png: is transparent at row 0, column 0 (alpha 3)')]);
    const black = await features(at('clear'), '--background', 'black');
    const white = await features(at('clear'), '--background', '255');
    expect(black.nll[0]).toBeCloseTo(black.nll[1]!, 1);
    expect(Math.abs(white.nll[0]! - black.nll[0]!)).toBeGreaterThan(1);
    const wrong = await features(at('clear'), '--background', 'pink');
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("--background is 'pink', expected white")]);
    const red = await features(at('clear'), '--background', '#ff0000');
    expect([red.code, red.stderr]).toEqual([1, expect.stringContaining('0.png: is grey, and cannot be put on')]);
  });
});

describe('choices', () => {
  it('of an array, of files by a pattern, of slices, as on the command line', async () => {
    mkdirSync(at('parts'));
    save('parts/p-2.npy', 'uint8', 3, (k) => (k * 7) % 251);
    save('parts/p-10.npy', 'uint8', 2, (k) => (k * 11) % 251);
    save('all.npy', 'uint8', 5, (k) => (k < 192 ? (k * 7) % 251 : ((k - 192) * 11) % 251));
    const pictures = readFileSync(at('all.npy'));
    const expected = (await features(at('all.npy'))).nll;
    expect(expected.length).toBe(5);
    for (const spec of ['parts', 'parts/*.npy']) expect((await features(at(spec))).nll).toEqual(expected);
    expect((await features(`${at('parts')}[-2:]`)).nll).toEqual(expected.slice(-2));
    writeFileSync(
      at('two.npz'),
      zipSync({ 'a.npy': new Uint8Array(readFileSync(at('parts/p-2.npy'))), 'b.npy': pictures }),
    );
    const both = await features(at('two.npz'));
    expect([both.code, both.stderr]).toEqual([1, expect.stringContaining('a [3,8,8], b [5,8,8]; say which')]);
    expect((await features(`${at('two.npz')}:b`)).nll).toEqual(expected);
    expect((await features(at('two.npz'), '--column', 'b')).nll).toEqual(expected);
    const none = await features(at('parts/q*.npy'));
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('q*.npy: no file matches this pattern')]);
    const step = await features(`${at('all.npy')}[::2]`);
    expect([step.code, step.stderr]).toEqual([1, expect.stringContaining("'[::2]' is no slice, expected [start:end]")]);
  });

  it('of outputs: none that would be taken for one more part', async () => {
    mkdirSync(at('rows'));
    writeFileSync(at('rows/a.npz'), readFileSync(at('train.npy')));
    const { code, stderr } = await runCli('features', at('model'), '--data', at('rows'), '--out', at('rows/f.npz'));
    expect([code, stderr]).toEqual([2, expect.stringContaining('f.npz: would be taken for a part of')]);
  });
});

describe('what inputs are called', () => {
  const pictures = async (dir: string, names: readonly string[]) => {
    mkdirSync(at(dir));
    for (const [i, name] of names.entries()) {
      const pixels = Uint8Array.from({ length: 64 }, (_, k) => (k * (i + 5)) % 256);
      const picture = sharp(pixels, { raw: { width: 8, height: 8, channels: 1 } }).toColourspace('b-w');
      writeFileSync(at(`${dir}/${name}`), await picture.png().toBuffer());
    }
  };
  const names = ['1.png', '2.png', '9.png', '10.png', '11, a "b".png', '100.png'];

  beforeAll(async () => {
    await pictures('named', names);
    const fit = ['fit', at('model'), '--data', at('train.npy'), '--out', at('named.json'), '--group', '1,2'];
    expect((await runCli(...fit)).code).toBe(0);
  });

  const score = (...more: readonly string[]) =>
    runCli('score', at('named.json'), '--data', at('named'), '--fpr', '0.2', ...more);

  it('is in the JSON, CSV and text of score, in natural order', async () => {
    const { results } = JSON.parse((await score('--json')).stdout) as {
      results: { index: number; id: string; score: number }[];
    };
    expect(results.map(({ index, id }) => [index, id])).toEqual(names.map((name, i) => [i, name]));
    const csv = (await score('--csv')).stdout.trim().split('\n');
    expect(csv.length).toBe(7);
    expect(csv[0]).toBe('index,group,id,score,pValue,ood');
    expect(csv[1]).toMatch(/^0,1,1\.png,-?[\d.]+(e-?\d+)?,[\d.]+,(true|false)$/);
    expect(csv[5]).toMatch(/^4,1,"11, a ""b"".png",/);
    expect(csv.slice(1).map((line) => Number(line.replace(/"(?:[^"]|"")*"/, 'x').split(',')[3]))).toEqual(
      results.map((r) => r.score),
    );
    const text = (await score('--top', '6')).stdout;
    for (const name of names) expect(text).toContain(name);
    expect(text).toMatch(/^example +name +score +p/);
    const both = await score('--csv', '--json');
    expect([both.code, both.stderr]).toEqual([2, expect.stringContaining('--csv and --json exclude each other')]);
  });

  it('is said of every input of a group, of a slice, and of the first only with --limit', async () => {
    const ids = async (...more: readonly string[]) =>
      (
        JSON.parse((await score('--json', ...more)).stdout) as { results: { id?: string; ids?: string[] }[] }
      ).results.map(({ id, ids: all }) => id ?? all);
    expect(await ids('--group', '2')).toEqual([names.slice(0, 2), names.slice(2, 4), names.slice(4)]);
    expect(await ids('--data', `${at('named')}[-2:]`)).toEqual(names.slice(-2));
    expect(await ids('--limit', '2')).toEqual(names.slice(0, 2));
  });

  it('is a column that is chosen', async () => {
    const rows = Array.from({ length: 3 }, (_, i) => JSON.stringify({ k: `row ${i}`, x: pixelsOf(i) }));
    writeFileSync(at('rows.jsonl'), rows.join('\n'));
    const asked = ['--data', at('rows.jsonl'), '--id', 'k', '--column', 'x', '--json'];
    const { results } = JSON.parse((await score(...asked)).stdout) as { results: { id: string }[] };
    expect(results.map(({ id }) => id)).toEqual(['row 0', 'row 1', 'row 2']);
    const none = await score('--data', at('rows.jsonl'), '--id', 'name', '--column', 'x');
    expect(none.stderr).toContain("has no column 'name' for --id; it has k, x");
    const npy = await score('--data', at('train.npy'), '--id', 'name');
    expect(npy.stderr).toContain('is npy, which has no columns: --id name');
  });

  const pixelsOf = (i: number) => [
    Array.from({ length: 8 }, (_, r) => Array.from({ length: 8 }, (__, c) => (r * 31 + c * 17 + i * 40) % 256)),
  ];
});

describe('scores', () => {
  it('have as many digits as tell them apart', async () => {
    const flat = (k: number) => (k < 64 ? 100 : k < 128 ? 100.001 : (k * 37) % 256);
    save('near.npy', 'float32', 4, flat);
    const { stdout } = await runCli('score', at('named.json'), '--data', at('near.npy'), '--fpr', '0.2');
    const shown = stdout
      .split('\n')
      .slice(1, 5)
      .map((line) => line.trim().split(/\s+/)[1]);
    expect(new Set(shown).size).toBe(4);
  });
});

describe('small sets', () => {
  it('are fitted for the groups that they suffice for, and say why others are missing', async () => {
    save('few.npy', 'uint8', 20, (k) => (k * 37) % 256);
    const fit = ['fit', at('model'), '--data', at('few.npy'), '--out', at('few.json')];
    const { code, stdout, stderr } = await runCli(...fit, '--json');
    const reason = 'has 20 inputs, which make 4 groups of 5, and at least 25 are needed';
    expect([code, stderr]).toEqual([0, expect.stringContaining(`B = 5 is missing: ${at('few.npy')} ${reason}`)]);
    const found = JSON.parse(stdout) as { groups: { group: number }[]; missing: { group: number; reason: string }[] };
    expect(found.groups.map(({ group }) => group)).toEqual([1]);
    expect(found.missing).toEqual([{ group: 5, reason: `${at('few.npy')} ${reason}` }]);
    const asked = await runCli(...fit, '--group', '1,5');
    expect([asked.code, asked.stderr]).toEqual([1, expect.stringContaining(`B = 5: ${at('few.npy')} ${reason}`)]);
    expect(asked.stderr).not.toContain('examples/s'); // before any pass
    save('three.npy', 'uint8', 3, (k) => (k * 37) % 256);
    const none = await runCli('fit', at('model'), '--data', at('three.npy'), '--out', at('none.json'));
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('B = 1: ')]);
    expect(none.stderr).toContain('has 3 inputs, which make 3 groups of 1, and at least 5 are needed');
  });

  it('are evaluated likewise', async () => {
    const judge = ['eval', at('named.json'), '--in', at('few.npy'), '--ood', `three=${at('three.npy')}[0:1]`];
    const { code, stdout, stderr } = await runCli(...judge, '--json');
    const reason = 'has 1 input, which makes 0 groups of 2, and at least 2 are needed';
    expect([code, stderr]).toEqual([0, expect.stringContaining(`B = 2 is missing: ${at('three.npy')}[0:1] ${reason}`)]);
    const { results, missing } = JSON.parse(stdout) as { results: { group: number }[]; missing: { group: number }[] };
    expect([...new Set(results.map(({ group }) => group))]).toEqual([1]);
    expect(missing.map(({ group }) => group)).toEqual([2]);
    const asked = await runCli(...judge, '--group', '1,2');
    expect([asked.code, asked.stderr]).toEqual([1, expect.stringContaining('B = 2: ')]);
  });
});

describe('channels', () => {
  const colours = (k: number) => (k * 37) % 251;
  /** Two pictures of 4×5 with 3 channels, in NumPy's and in TensorFlow's order. */
  const planes = Uint8Array.from({ length: 2 * 60 }, (_, k) => colours(k));
  const pixels = Uint8Array.from(
    { length: 2 * 60 },
    (_, k) => planes[Math.floor(k / 60) * 60 + (k % 3) * 20 + Math.floor((k % 60) / 3)]!,
  );
  const model = (shape: readonly number[]) =>
    modelBytes(
      {
        node: [
          node('Mul', ['x', 'w'], ['xw']),
          node('Mul', ['xw', 'xw'], ['squares']),
          node('ReduceSum', ['squares', 'axes'], ['loss'], { keepdims: 0 }),
        ],
        initializer: [
          tensor(
            'w',
            shape,
            Float32Array.from({ length: 60 }, (_, k) =>
              shape[0] === 3 ? weight(k) : weight((k % 3) * 20 + Math.floor(k / 3)),
            ),
          ),
          tensor('axes', [3], BigInt64Array.of(1n, 2n, 3n)),
        ],
        input: [value('x', FLOAT, ['n', ...shape])],
        output: [value('loss', FLOAT, ['n'])],
      },
      17,
    );
  const weight = (k: number) => 0.01 * (((k * 29) % 61) + 1);

  beforeAll(async () => {
    writeFileSync(at('first.npy'), writeNpy({ dtype: 'uint8', shape: [2, 3, 4, 5], data: planes }));
    writeFileSync(at('last.npy'), writeNpy({ dtype: 'uint8', shape: [2, 4, 5, 3], data: pixels }));
    mkdirSync(at('rgb'));
    for (const i of [0, 1]) {
      const raw = { raw: { width: 5, height: 4, channels: 3 } } as const;
      writeFileSync(
        at(`rgb/${i}.png`),
        await sharp(pixels.subarray(i * 60, (i + 1) * 60), raw)
          .png()
          .toBuffer(),
      );
    }
    writeFileSync(at('nchw.onnx'), model([3, 4, 5]));
    writeFileSync(at('nhwc.onnx'), model([4, 5, 3]));
  });

  const losses = async (file: string, spec: string, ...more: readonly string[]) => {
    const out = at(`c${Math.random()}.npz`);
    const { code, stderr } = await runCli('features', at(file), '--data', at(spec), '--out', out, ...more);
    expect([code, stderr]).toEqual([0, stderr]);
    return [...(readNpz(readFileSync(out), out).nll!.data as Float64Array)];
  };

  const near = (found: readonly number[], expected: readonly number[]) => {
    for (const [i, v] of found.entries()) expect(v / expected[i]!).toBeCloseTo(1, 5);
  };

  it('come to every model as it takes them, from arrays and from pictures', async () => {
    const expected = await losses('nchw.onnx', 'first.npy');
    for (const file of ['nchw.onnx', 'nhwc.onnx']) {
      for (const spec of ['first.npy', 'last.npy', 'rgb']) {
        const found = await losses(file, spec);
        near(found, expected);
      }
    }
    const scaled = await losses('nchw.onnx', 'rgb', '--pixels', '0,1');
    const turned = await losses('nhwc.onnx', 'last.npy', '--pixels', '0,1');
    near(scaled, turned);
    const resized = await losses('nchw.onnx', 'first.npy', '--pad', '4x5', '--channels', '3');
    const last = await losses('nhwc.onnx', 'last.npy', '--pad', '4x5', '--channels', '3');
    near(resized, last);
  });

  it('are found by built-in models, and said where shapes do not tell', async () => {
    const eight = Uint8Array.from({ length: 3 * 64 }, (_, k) => colours(k));
    writeFileSync(at('grey-last.npy'), writeNpy({ dtype: 'uint8', shape: [3, 8, 8, 1], data: eight }));
    writeFileSync(at('grey-first.npy'), writeNpy({ dtype: 'uint8', shape: [3, 1, 8, 8], data: eight }));
    expect((await features(at('grey-last.npy'))).nll).toEqual((await features(at('grey-first.npy'))).nll);
    const wrong = await features(at('grey-last.npy'), '--layout', 'last');
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("--layout is 'last', expected nchw")]);
  });
});

describe('rows of numbers', () => {
  it('come to a model of vectors from CSV and JSON lines as from NPY', async () => {
    const bytes = modelBytes(
      {
        node: [
          node('MatMul', ['x', 'w'], ['h']),
          node('Mul', ['h', 'h'], ['squares']),
          node('ReduceSum', ['squares', 'axes'], ['loss'], { keepdims: 0 }),
        ],
        initializer: [
          tensor('w', [3, 2], Float32Array.of(0.3, -1.2, 0.7, 0.1, 2.1, -0.4)),
          tensor('axes', [1], BigInt64Array.of(1n)),
        ],
        input: [value('x', FLOAT, ['n', 3])],
        output: [value('loss', FLOAT, ['n'])],
      },
      17,
    );
    writeFileSync(at('vectors.onnx'), bytes);
    const rows = Array.from({ length: 7 }, (_, i) => [i / 8, (i * i) / 4 - 3, 1.5 - i]);
    writeFileSync(at('v.npy'), writeNpy({ dtype: 'float32', shape: [7, 3], data: Float32Array.from(rows.flat()) }));
    writeFileSync(at('v.csv'), `name,a,b,c\n${rows.map((row, i) => `r${i},${row}`).join('\n')}\n`);
    writeFileSync(at('v.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
    const norms = async (spec: string, ...more: readonly string[]) => {
      const out = at(`v${Math.random()}.npz`);
      const { code, stderr } = await runCli('features', at('vectors.onnx'), '--data', at(spec), '--out', out, ...more);
      expect([code, stderr]).toEqual([0, stderr]);
      return [...(readNpz(readFileSync(out), out).sqnorm!.data as Float64Array)];
    };
    const expected = await norms('v.npy');
    expect(await norms('v.jsonl')).toEqual(expected);
    expect(await norms('v.csv', '--column', 'a,b,c')).toEqual(expected);
    const fit = ['fit', at('vectors.onnx'), '--data', at('v.jsonl'), '--group', '1', '--out', at('v.json')];
    expect((await runCli(...fit)).code).toBe(0);
    const score = ['score', at('v.json'), '--data', at('v.csv'), '--id', 'name', '--fpr', '0.2', '--csv'];
    const { code, stdout } = await runCli(...score);
    expect([code, stdout.split('\n')[3]]).toEqual([0, expect.stringMatching(/^2,1,r2,/)]);
    const unsaid = await runCli('features', at('vectors.onnx'), '--data', at('v.csv'), '--out', at('u.npz'));
    expect(unsaid.stderr).toContain(
      "column 'name' holds no numbers; say which columns hold the examples, with --column a,…",
    );
  });
});
