// Data as people have them, through the command line: what is refused, what to type, and what then comes out.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type NpyArray, readNpz, writeNpy } from '../../src/data/npy.ts';
import { runCli, temporaryFolder } from '../support/cli.ts';

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
