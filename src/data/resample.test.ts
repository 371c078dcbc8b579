// Resampling against Pillow: golden values of scripts/make-resample-goldens.py, and what must hold at any size.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Kernel, kernels, type PlaneSize, resampler } from './resample.ts';

interface Case {
  readonly filter: Kernel;
  readonly from: PlaneSize;
  readonly to: PlaneSize;
  /** Base64; the first of the cases of a size has them. */
  readonly bytes?: string;
  readonly floats?: string;
  readonly resizedBytes: string;
  readonly resizedFloats: string;
}

const file = new URL('../../test/data/goldens/resample.jsonl', import.meta.url);
const [, ...lines] = readFileSync(file, 'utf8').trim().split('\n'); // the first names the version of Pillow
const cases = lines.map((line) => JSON.parse(line) as Case);
const unpack = (text: string) => Uint8Array.from(Buffer.from(text, 'base64'));
const floatsOf = (text: string) => new Float32Array(unpack(text).buffer);
const sourceOf = (of: Case) => cases.find((c) => c.bytes && `${c.from} ${c.to}` === `${of.from} ${of.to}`)!;

describe.each(cases)('$filter from $from to $to', (given) => {
  const { from, to, filter } = given;
  const out = new Float32Array(to[0] * to[1]);

  it('is what Pillow gives for 8 bits', () => {
    resampler(from, to, filter)(unpack(sourceOf(given).bytes!), out, 'bytes');
    expect([...out]).toEqual([...unpack(given.resizedBytes)]);
  });

  it('is what Pillow gives for floats', () => {
    const source = floatsOf(sourceOf(given).floats!);
    resampler(from, to, filter)(source, out, 'floats');
    const expected = floatsOf(given.resizedFloats);
    const scale = Math.max(...source.map(Math.abs));
    for (const [i, value] of expected.entries()) expect(Math.abs(out[i]! - value)).toBeLessThanOrEqual(1e-6 * scale);
  });
});

it.each(kernels)('%s keeps what is constant, and the size that is asked for is the one it has', (kernel) => {
  for (const [from, to] of [
    [3, 60],
    [61, 2],
    [5, 5],
  ] as const) {
    const out = new Float32Array(to * 7);
    for (const as of ['bytes', 'floats'] as const) {
      resampler([from, 4], [to, 7], kernel)(new Float32Array(from * 4).fill(200), out, as);
      for (const value of out) expect(value).toBeCloseTo(200, 3);
    }
  }
});
