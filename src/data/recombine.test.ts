// Recombined examples: every kind against NumPy (scripts/make-recombination-goldens.py), and what must hold of the sets
// that are made.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError, UsageError } from '../errors.ts';
import { type DataArray, type Dataset, makeDataset, memoryDataset } from './dataset.ts';
import { gridOf, type Values } from './recombine/grid.ts';
import { type RecombinationKind, recombinations, recombinationsFor, recombined } from './recombine.ts';
import { syntheticDataset } from './synthetic.ts';
import { rename, take } from './transforms.ts';

interface Case {
  readonly shape: readonly number[];
  readonly type: 'pixels' | 'floats' | 'tokens';
  readonly bounds: readonly [number, number];
  readonly inputs: readonly (readonly number[])[];
  readonly made: Readonly<Record<string, { readonly drawn: readonly number[]; readonly out: readonly number[] }>>;
}

const file = new URL('../../test/data/goldens/recombinations.jsonl', import.meta.url);
const [, ...lines] = readFileSync(file, 'utf8').trim().split('\n'); // the first names the version of NumPy
const cases = lines.map((line) => JSON.parse(line) as Case);
const byName = (name: string) => recombinations.find((way) => way.name === name)!;
const names = recombinations.map((way) => way.name);
const numbersOf = (values: ArrayLike<number | bigint>) => Array.from(values, Number);

const floats = (shape: readonly number[], length: number, name = 'x', scale = 1): Dataset =>
  memoryDataset('floats', length, 'floats', {
    [name]: {
      data: Float32Array.from(
        { length: length * shape.reduce((a, b) => a * b, 1) },
        (_, i) => scale * Math.sin(i ** 2),
      ),
      shape,
    },
  });

const tokens = (length: number, shape: readonly number[] = [20]): Dataset =>
  memoryDataset('tokens', length, 'tokens', {
    ids: {
      data: BigInt64Array.from({ length: length * shape.reduce((a, b) => a * b, 1) }, (_, i) => BigInt(i)),
      shape,
    },
    label: { data: BigInt64Array.from({ length }, (_, i) => BigInt(i)), shape: [] },
  });

const pictures = syntheticDataset('noise', { length: 12, shape: [3, 9, 7], seed: 1 });

async function all(data: Dataset, size = data.length): Promise<Record<string, number[]>> {
  const out: Record<string, number[]> = {};
  for await (const { arrays } of data.batches(size)) {
    for (const [name, { data: values }] of Object.entries(arrays)) {
      out[name] ??= [];
      out[name].push(...numbersOf(values));
    }
  }
  return out;
}

describe.each(cases)('an example $shape of $type', ({ shape, type, bounds: [low, high], inputs, made }) => {
  const tokens = type === 'tokens';
  const examples = inputs.map((x): Values => (tokens ? BigInt64Array.from(x, BigInt) : Float32Array.from(x)));

  it.each(Object.keys(made))('%s is what NumPy makes', (name) => {
    const { drawn, out } = made[name]!;
    const expected = tokens ? out : Float32Array.from(out);
    const before = examples.map((x) => numbersOf(x));
    const grid = gridOf(shape, tokens);
    const found = byName(name).make(examples, drawn, grid, { low, high, pixels: type === 'pixels' });
    expect(found.constructor).toBe(examples[0]!.constructor);
    expect(found.length).toBe(out.length);
    const worst = numbersOf(found).reduce((most, v, i) => Math.max(most, Math.abs(v - expected[i]!)), 0);
    expect(worst).toBeLessThanOrEqual(type === 'floats' && !byName(name).moves ? 1e-6 : 0);
    expect(examples.map((x) => numbersOf(x))).toEqual(before);
  });

  it('is made in every way that suits it', () => {
    expect(Object.keys(made)).toEqual(tokens ? ['splice', 'swap', 'permute'] : names);
  });
});

describe('the bounds', () => {
  it('of pixels are 0 and 255, and pixels with fractions keep fractions', () => {
    const grid = gridOf([1, 1, 2]);
    const make = (name: RecombinationKind, a: number[], drawn: number[] = []) =>
      numbersOf(byName(name).make([Float32Array.from(a)], drawn, grid, { low: 0, high: 255, pixels: true }));
    expect(make('high-contrast', [0, 255])).toEqual([0, 255]);
    expect(make('high-contrast', [100, 101])).toEqual([100, 101]); // 99.6 and 101.4
    expect(make('low-contrast', [1, 2])).toEqual([1, 2]); // 1.25 and 1.75
    expect(make('low-contrast', [1, 2.5])).toEqual([1.375, 2.125]);
    expect(make('noise', [10, 250], [1, -2])).toEqual([30, 209]); // ± 20.4
    expect(make('cutout', [10, 250], [1, 0.5])).toEqual([10, 128]);
  });

  it('of other numbers are those of the first 256 examples; what is only moved may lie beyond', async () => {
    const data = memoryDataset('late', 300, 'late', {
      x: { data: Float32Array.from({ length: 1200 }, (_, i) => (i < 4 * 256 ? (i % 4) - 1 : 1000)), shape: [4] },
    });
    const noisy = (await all(recombined(data, 'noise', { count: 200, seed: 0 }))).x!;
    expect([Math.min(...noisy), Math.max(...noisy)]).toEqual([-1, 2]);
    expect((await all(recombined(data, 'splice', { count: 200, seed: 0 }))).x).toContain(1000);
    expect(new Set((await all(recombined(data, 'cutout', { count: 50, seed: 0 }))).x).size).toBeGreaterThan(30);
  });

  it('of numbers that are not finite are refused by the example', async () => {
    const data = memoryDataset('nan', 20, 'nan', {
      x: { data: Float32Array.from({ length: 80 }, (_, i) => (i === 73 ? NaN : i)), shape: [4] },
    });
    await expect(all(recombined(data, 'noise', { count: 2, seed: 0 }))).rejects.toThrow(
      new DataError("nan: 'x' of example 18 holds NaN, expected finite numbers"),
    );
  });
});

describe('gridOf', () => {
  it('finds the axes along which values are neighbours', () => {
    const axes = (shape: readonly number[]) => {
      const { outer, sizes, inner } = gridOf(shape);
      return [outer, [...sizes], inner];
    };
    expect(axes([3, 8, 6])).toEqual([3, [8, 6], 1]);
    expect(axes([8, 6, 3])).toEqual([1, [8, 6], 3]);
    expect(axes([8, 6, 1])).toEqual([1, [8, 6], 1]);
    expect(axes([2, 4, 5, 6])).toEqual([2, [4, 5, 6], 1]);
    expect(axes([16, 1, 9])).toEqual([16, [9], 1]);
    expect(axes([100, 12])).toEqual([1, [100], 12]);
    expect(axes([1, 12])).toEqual([1, [], 12]);
    expect(axes([12])).toEqual([1, [12], 1]);
    expect(axes([])).toEqual([1, [], 1]);
  });
});

describe('recombined', () => {
  it.each(names)('%s is the same in batches of every size, by index, and in longer sets', async (kind) => {
    const options = { count: 11, seed: 5 };
    for (const data of [pictures, floats([6, 2], 5), floats([9], 1)]) {
      const ways = await recombinationsFor(data);
      if (!ways.some((way) => way.name === kind)) continue;
      const set = recombined(data, kind, options);
      const { x } = await all(set);
      const size = x!.length / 11;
      for (const n of [1, 2, 4, 20]) expect((await all(set, n)).x).toEqual(x);
      const { arrays } = await set.gather([7, 0, 7]);
      const row = (k: number) => x!.slice(k * size, (k + 1) * size);
      expect(numbersOf(arrays.x!.data)).toEqual([...row(7), ...row(0), ...row(7)]);
      expect(arrays.x!.shape).toEqual([3, ...data.shapes.x!]);
      expect((await all(recombined(data, kind, { ...options, count: 3 }))).x).toEqual(x!.slice(0, 3 * size));
    }
  });

  it.each(names)('%s changes examples, within what pixels may be, and depends on its seed', async (kind) => {
    const set = recombined(pictures, kind, { count: 6, seed: 5 });
    expect([set.length, set.shapes, set.pixels]).toEqual([6, pictures.shapes, true]);
    const { x } = await all(set);
    const size = 3 * 9 * 7;
    const sources = (await all(pictures)).x!;
    const texts = new Set(Array.from({ length: 12 }, (_, k) => String(sources.slice(k * size, (k + 1) * size))));
    for (let k = 0; k < 6; k++) expect(texts).not.toContain(String(x!.slice(k * size, (k + 1) * size)));
    expect(x!.every((v) => Number.isInteger(v) && v >= 0 && v <= 255)).toBe(true);
    expect((await all(recombined(pictures, kind, { count: 6, seed: 5 }))).x).toEqual(x);
    expect((await all(recombined(pictures, kind, { count: 6, seed: 6 }))).x).not.toEqual(x);
    expect((await all(recombined(pictures, kind, { count: 6, seed: 5 + 2 ** 32 }))).x).not.toEqual(x);
  });

  it('makes of different examples of constant pictures what holds both colours, and of one nothing new', async () => {
    const flat = memoryDataset('flat', 2, 'flat', {
      x: { data: Uint8Array.from({ length: 32 }, (_, i) => (i < 16 ? 10 : 200)), shape: [1, 4, 4], pixels: true },
    });
    const splices = await all(recombined(flat, 'splice', { count: 20, seed: 0 }));
    for (let k = 0; k < 20; k++) expect(new Set(splices.x!.slice(16 * k, 16 * k + 16)).size).toBe(2);
    for (const kind of ['permute', 'blur', 'sharpen', 'low-contrast', 'high-contrast', 'zoom'] as const) {
      expect(new Set((await all(recombined(flat, kind, { count: 8, seed: 0 }))).x)).toEqual(new Set([10, 200]));
    }
    const tiles = (await all(recombined(flat, 'tile', { count: 8, seed: 0 }))).x!;
    for (let k = 0; k < 8; k++) expect(tiles.slice(16 * k, 16 * k + 16).filter((v) => v === 10)).toHaveLength(8);
    const same = floats([1, 4, 4], 3, 'x', 0);
    for (const kind of names)
      expect(new Set((await all(recombined(same, kind, { count: 3, seed: 0 }))).x)).toEqual(new Set([0]));
  });

  it('draws examples evenly, and four different ones for a tile', async () => {
    const shades = memoryDataset('shades', 5, 'shades', {
      x: { data: Float32Array.from({ length: 20 }, (_, i) => Math.floor(i / 4)), shape: [1, 2, 2] },
    });
    const { x } = await all(recombined(shades, 'tile', { count: 2000, seed: 0 }));
    const counts = [0, 0, 0, 0, 0];
    for (let k = 0; k < 2000; k++) {
      const four = x!.slice(4 * k, 4 * k + 4);
      expect(new Set(four).size).toBe(4);
      counts[four[3]!]!++; // the last that is drawn
    }
    for (const count of counts) expect(Math.abs(count - 400)).toBeLessThan(4 * Math.sqrt(2000 * 0.2 * 0.8));
  });

  it('moves tokens, and keeps the other arrays of the first example', async () => {
    const data = tokens(6);
    const set = recombined(data, 'splice', { count: 30, seed: 2 });
    const { arrays } = await set.gather(Array.from({ length: 30 }, (_, k) => k));
    expect(arrays.ids!.data).toBeInstanceOf(BigInt64Array);
    const seen = new Set<number>();
    for (let k = 0; k < 30; k++) {
      const row = numbersOf(arrays.ids!.data.slice(20 * k, 20 * k + 20));
      const [first, second] = [Math.floor(row[0]! / 20), Math.floor(row[19]! / 20)];
      expect(row).toEqual(Array.from({ length: 20 }, (_, t) => 20 * (t < 10 ? first : second) + t));
      expect(first).not.toBe(second);
      expect(Number(arrays.label!.data[k])).toBe(first);
      seen.add(first);
    }
    expect(seen.size).toBe(6);
    const permuted = numbersOf((await recombined(data, 'permute', { count: 1, seed: 2 }).gather([0])).arrays.ids!.data);
    expect(permuted.slice(16).map((v) => v % 20)).toEqual([16, 17, 18, 19]); // 8 blocks of 2; the rest stays
    expect(new Set(permuted).size).toBe(20);
  });

  it('takes the array that is named, else x, else the largest', async () => {
    const both = memoryDataset('both', 2, 'both', {
      y: { data: new Float32Array(20), shape: [10] },
      x: { data: new Float32Array(8), shape: [4] },
    });
    const cut = async (input?: string) =>
      Object.entries(await all(recombined(both, 'permute', { count: 1, seed: 0, input }))).map(([k, v]) => [
        k,
        v.length,
      ]);
    expect(await cut()).toEqual([
      ['y', 10],
      ['x', 4],
    ]);
    const prints = [undefined, 'x', 'y'].map(
      (input) => recombined(both, 'blur', { count: 1, seed: 0, input }).fingerprint,
    );
    expect(prints[0]).toBe(prints[1]);
    expect(prints[2]).not.toBe(prints[1]);
    expect(recombined(tokens(3), 'swap', { count: 1, seed: 0 }).fingerprint).toContain("'ids'");
    expect(() => recombined(both, 'blur', { count: 1, seed: 0, input: 'z' })).toThrow(
      new DataError("both: has no array 'z' to recombine, expected one of y, x"),
    );
  });

  it('is a source of its own, told by data, kind, seed and count; what was done to the data stays done', async () => {
    const options = { count: 3, seed: 1 };
    const sets = [
      recombined(pictures, 'swap', options),
      recombined(take(pictures, 0, 6), 'swap', options),
      recombined(pictures, 'splice', options),
      recombined(pictures, 'swap', { ...options, seed: 2 }),
      recombined(pictures, 'swap', { ...options, count: 4 }),
    ];
    expect(new Set(sets.map((set) => set.fingerprint)).size).toBe(5);
    for (const set of sets) expect(set.origin).toEqual({ fingerprint: set.fingerprint, runs: [[0, set.length]] });
    expect(recombined(pictures, 'swap', options).fingerprint).toBe(sets[0]!.fingerprint);
    const done = makeDataset({
      ...pictures,
      judged: true,
      prepared: { resize: 9 } as never,
      notes: () => ['a note'],
      read: async () => (await pictures.gather([0])).arrays,
      pick: async (indices) => (await pictures.gather(indices)).arrays,
    });
    const set = recombined(done, 'blur', options);
    expect([set.judged, set.prepared, set.notes()]).toEqual([true, done.prepared, ['a note']]);
  });

  it('reads what it is asked for, each example once', async () => {
    const asked: number[][] = [];
    const lazy = makeDataset({
      name: 'lazy',
      length: 10_000,
      shapes: { x: [4] },
      fingerprint: 'lazy',
      pixels: false,
      read: () => Promise.reject(new Error('not to be read as a whole')),
      pick: async (indices): Promise<Record<string, DataArray>> => {
        asked.push(Array.from(indices));
        return { x: { data: new Float32Array(indices.length * 4), shape: [indices.length, 4] } };
      },
    });
    const set = recombined(lazy, 'splice', { count: 1_000_000, seed: 0 });
    expect(asked).toEqual([]);
    await set.gather([999_999, 4, 999_999]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toHaveLength(4);
    expect(asked[0]).toEqual(asked[0]!.toSorted((a, b) => a - b));
  });

  it('refuses what cannot be', async () => {
    const data = pictures;
    const one = { count: 1, seed: 0 };
    const usage = (run: () => unknown, message: string) => expect(run).toThrow(new UsageError(message));
    usage(
      () => recombined(data, 'toString' as never, one),
      `there is no recombination 'toString', expected one of ${names.join(', ')}`,
    );
    usage(
      () => recombined(data, 'blur', { ...one, count: 0 }),
      'noise:12: 0 recombined examples asked for, expected 1 to 2^31',
    );
    usage(() => recombined(data, 'blur', { ...one, seed: -1 }), 'noise:12: seed is -1, expected an integer >= 0');
    usage(() => recombined(data, 'blur', { ...one, seed: 1.5 }), 'noise:12: seed is 1.5, expected an integer >= 0');
    expect(() => recombined(floats([3, 1, 1], 4), 'blur', one)).toThrow(
      new DataError("floats: 'x' is [3,1,1] an example: blur changes nothing"),
    );
    expect(() => recombined(floats([4], 1), 'swap', one)).toThrow(
      new DataError("floats: 'x' is [4] an example, and 1 example to make it of: swap changes nothing"),
    );
    await expect(all(recombined(tokens(3), 'zoom', one))).rejects.toThrow(
      new DataError(
        "tokens: 'ids' holds whole numbers, which zoom would take for measured values, expected floats or pixels; symbols can be recombined by splice, swap, permute",
      ),
    );
  });
});

describe('recombinationsFor', () => {
  const of = async (data: Dataset, input?: string) => (await recombinationsFor(data, input)).map((way) => way.name);
  const moving = ['splice', 'swap', 'permute'];

  it('lists what changes something in the examples', async () => {
    expect(await of(pictures)).toEqual(names);
    expect(await of(floats([9, 4], 3))).toEqual(names);
    expect(await of(floats([9], 3))).toEqual(names);
    expect(await of(floats([3, 1, 1], 3))).toEqual(['noise', 'low-contrast', 'high-contrast']);
    expect(await of(floats([1], 3))).toEqual(['noise']);
    expect(await of(floats([], 3))).toEqual(['noise']);
    expect(await of(floats([9], 1))).toEqual(names.filter((name) => name !== 'splice' && name !== 'swap'));
  });

  it('lists for symbols what moves them', async () => {
    expect(await of(tokens(3))).toEqual(moving);
    expect(await of(tokens(3, [2, 6]))).toEqual(moving);
    expect(await of(tokens(3), 'label')).toEqual([]);
    const text = memoryDataset('text', 2, 'text', { x: { data: new Uint8Array(32), shape: [16], pixels: true } });
    expect(await of(text)).toEqual(moving);
    expect(() => recombined(text, 'noise', { count: 1, seed: 0 })).toThrow("'x' holds bytes, which noise would take");
    const bits = memoryDataset('bits', 2, 'bits', { x: { data: new Uint8Array(32), shape: [1, 4, 4] } });
    expect(await of(bits)).toEqual(moving);
    expect((await recombined(bits, 'swap', { count: 2, seed: 0 }).gather([1])).arrays.x!.data).toBeInstanceOf(
      Uint8Array,
    );
  });

  it('has pixels under another name as pixels', async () => {
    const [found, expected] = [rename(pictures, 'x', 'image'), pictures].map((data) =>
      recombined(data, 'high-contrast', { count: 3, seed: 3 }),
    );
    expect((await all(found!)).image).toEqual((await all(expected!)).x);
  });

  it('has pixels of 64 bits as pixels', async () => {
    const wide = makeDataset({
      ...pictures,
      read: () => Promise.reject(new Error('read by index')),
      pick: async (indices) => {
        const { data, shape } = (await pictures.gather(indices)).arrays.x!;
        return { x: { data: BigInt64Array.from(numbersOf(data), BigInt), shape } };
      },
    });
    expect(await of(wide)).toEqual(names);
    const [found, expected] = [wide, pictures].map((data) => recombined(data, 'blur', { count: 2, seed: 3 }));
    const { x } = (await found!.gather([0, 1])).arrays;
    expect(x!.data).toBeInstanceOf(BigInt64Array);
    expect(numbersOf(x!.data)).toEqual(numbersOf((await expected!.gather([0, 1])).arrays.x!.data));
  });
});

it('any shape and any set: what applies runs, gives finite numbers of the shape, and is the same twice', async () => {
  const shapes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 0, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.integer({ min: 1, max: 5 }),
      fc.nat(),
      fc.constantFrom(...names),
      async (shape, n, seed, kind) => {
        const data = floats(shape, n, 'x', 3);
        if (!(await recombinationsFor(data)).some((way) => way.name === kind)) {
          expect(() => recombined(data, kind, { count: 2, seed })).toThrow(DataError);
          return;
        }
        const [once, twice] = await Promise.all([0, 1].map(() => all(recombined(data, kind, { count: 2, seed }))));
        expect(once!.x!.every(Number.isFinite)).toBe(true);
        expect(once!.x!.length).toBe(2 * shape.reduce((a, b) => a * b, 1));
        expect(twice).toEqual(once);
      },
    ),
    { numRuns: 200 },
  );
});
