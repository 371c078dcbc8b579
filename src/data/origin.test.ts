import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { originHash } from './dataset.ts';
import { indexIn, type Origin, pickOf, shared, sliceOf, wholeOf } from './origin.ts';
import { asPixels } from './pixels.ts';
import { prepare } from './prepare.ts';
import { syntheticDataset } from './synthetic.ts';
import { pad, rename, select, take } from './transforms.ts';

const indicesOf = (origin: Origin, length: number) => Array.from({ length }, (_, i) => indexIn(origin)(i));

/** A source of 40 examples, cut and picked from a few times; with the indices it should hold. */
const made = fc
  .array(
    fc.oneof(
      fc.tuple(fc.constant('slice' as const), fc.nat(), fc.nat()),
      fc.tuple(fc.constant('pick' as const), fc.array(fc.nat(), { minLength: 1, maxLength: 12 })),
    ),
    { maxLength: 4 },
  )
  .map((steps) => {
    let origin = wholeOf('f', 40);
    let indices = Array.from({ length: 40 }, (_, i) => i);
    for (const step of steps) {
      if (step[0] === 'slice') {
        const start = step[1] % indices.length;
        const end = start + 1 + (step[2] % (indices.length - start));
        origin = sliceOf(origin, start, end);
        indices = indices.slice(start, end);
      } else {
        const picked = step[1].map((i) => i % indices.length);
        origin = pickOf(origin, picked);
        indices = picked.map((i) => indices[i]!);
      }
    }
    return { origin, indices };
  });

describe('the origin of a data set', () => {
  it('knows every index through slices and selections of each other', () => {
    fc.assert(
      fc.property(made, ({ origin, indices }) => {
        expect(indicesOf(origin, indices.length)).toEqual(indices);
      }),
    );
  });

  it('tells how many examples two sets share', () => {
    fc.assert(
      fc.property(made, made, (a, b) => {
        const common = new Set(a.indices.filter((i) => b.indices.includes(i)));
        expect(shared(a.origin, b.origin)).toBe(common.size);
      }),
    );
    expect(shared(wholeOf('a', 3), wholeOf('b', 3))).toBe(0);
  });

  it('stays through everything that is done to the examples, and takes one run for a slice', () => {
    const whole = syntheticDataset('noise', { length: 1000, shape: [1, 6, 6], seed: 1 });
    const done = pad(prepare(asPixels(rename(rename(whole, 'x', 'y'), 'y', 'x')), { channels: 3, crop: [4, 4] }), 8, 8);
    expect(done.origin).toEqual(whole.origin);
    const part = take(take(done, 100, 900), 10, 20);
    expect(part.origin).toEqual({ fingerprint: whole.fingerprint, runs: [[110, 120]] });
    expect(shared(part.origin, take(whole, 115, 300).origin)).toBe(5);
    expect(select(part, Uint32Array.of(3, 4, 0), '{3}').origin.runs).toEqual([
      [113, 115],
      [110, 111],
    ]);
    expect(originHash(part.origin)).not.toBe(originHash(take(whole, 110, 121).origin));
  });
});
