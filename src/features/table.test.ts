import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syntheticTable, tableOf } from '../../test/detectors/tables.ts';
import { readNpz, writeNpz } from '../data/npy.ts';
import { DataError } from '../errors.ts';
import { readTable, writeTable } from '../node/table-files.ts';
import {
  checkTable,
  concatTables,
  describeExamples,
  type FeatureTable,
  finiteRows,
  idsOf,
  nextExample,
  notFinite,
  sliceTable,
} from './table.ts';
import { decodeTable, encodeTable, type TableFormat, tableFormats } from './table-formats.ts';

const formats = Object.keys(tableFormats) as TableFormat[];

/** As files are called: any text, but for a zero at its end, which NumPy takes away. */
const ids = fc.string({ unit: 'binary', maxLength: 12 }).filter((s) => !s.endsWith('\0'));

const tables: fc.Arbitrary<FeatureTable> = fc
  .record({
    names: fc.uniqueArray(
      fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
        .filter((s) => !s.includes('\0') && !/^(nll|id( \d)?)$/.test(s)),
      { minLength: 1, maxLength: 5 },
    ),
    n: fc.integer({ min: 1, max: 6 }),
    group: fc.integer({ min: 1, max: 9 }),
    start: fc.nat(),
    seed: fc.nat(),
    withDims: fc.boolean(),
    withIds: fc.boolean(),
    factor: fc.option(fc.double({ min: 1e-6, max: 10, noNaN: true }), { nil: undefined }),
  })
  .chain(({ names, n, group, start, seed, withDims, withIds, factor }) => {
    const finite = { noNaN: true, noDefaultInfinity: true } as const;
    return fc.record({
      names: fc.constant(names),
      group: fc.constant(group),
      nll: fc.float64Array({ ...finite, minLength: n, maxLength: n }),
      sqNorms: fc.float64Array({ ...finite, min: 0, minLength: n * names.length, maxLength: n * names.length }),
      meta: fc.constant({
        model: 'cd'.repeat(32),
        data: 'räume "x"',
        dataFingerprint: 'f',
        seed,
        start,
        ...(factor === undefined ? {} : { bitsPerDimFactor: factor }),
      }),
      ...(withIds ? { ids: fc.array(ids, { minLength: n * group, maxLength: n * group }) } : {}),
      ...(withDims ? { dims: fc.constant(names.map((_, j) => 1 + j * 1000)) } : {}),
    }) as fc.Arbitrary<FeatureTable>;
  });

/** -0 and 0 are the same number; JSON writes both as 0. */
function normal(table: FeatureTable): FeatureTable {
  return { ...table, nll: table.nll.map((v) => v + 0), sqNorms: table.sqNorms.map((v) => v + 0) };
}

describe.each(formats)('%s', (format) => {
  it('gives back every table', async () => {
    await fc.assert(
      fc.asyncProperty(tables, async (table) => {
        const bytes = await encodeTable(table, format, 'f');
        expect(normal(await decodeTable(bytes, format, 'f'))).toEqual(normal(table));
      }),
      { numRuns: 60, seed: 20240303 },
    );
  });

  it.each([1, 5])('keeps what the examples of groups of %d are called', async (group) => {
    const table = syntheticTable({ n: 5, group });
    const ids = Array.from(
      { length: 5 * group },
      (_, k) => ['a.png', 'ä "b", c\n.png', '', '\ufeff🦆', 'a.png'][k % 5]!,
    );
    const bytes = await encodeTable({ ...table, ids }, format, 'f');
    expect(await decodeTable(bytes, format, 'f')).toEqual({ ...table, ids });
    await expect(encodeTable({ ...table, ids: ids.slice(1) }, format, 'f')).rejects.toThrow(
      `f: has ${5 * group - 1} ids, expected 5 rows × ${group} examples`,
    );
  });

  it('writes the same bytes for the same table', async () => {
    const table = syntheticTable();
    expect(await encodeTable(table, format, 'f')).toEqual(await encodeTable(table, format, 'f'));
  });

  it('refuses damaged bytes with a DataError that names the file, or reads a valid table', async () => {
    const table = { ...syntheticTable({ n: 5 }), ids: ['a', 'b.png', '', 'ü', 'b.png'] };
    const bytes = await encodeTable(table, format, 'f');
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, x, cut) => {
        const damaged = cut ? bytes.slice(0, at) : bytes.map((byte, i) => (i === at ? byte ^ x : byte));
        try {
          const read = await decodeTable(damaged, format, 'some-file');
          // JSON has no checksum, so a digit may change; the other formats may only lose bytes that say nothing.
          if (format !== 'json') expect(read).toEqual(table);
          checkTable(read, 'read');
        } catch (error) {
          expect(error).toBeInstanceOf(DataError);
          expect(String(error)).toContain('some-file');
        }
      }),
      { numRuns: 400, seed: 20240303 },
    );
  });

  it('refuses infinite and negative norms when writing, naming row and layer', async () => {
    for (const value of [Infinity, -1]) {
      const table = tableOf([
        [1, 2],
        [3, value],
      ]);
      const message = `out: row 1, layer 'a.1': squared norm is ${value}`;
      await expect(encodeTable(table, format, 'out')).rejects.toThrow(message);
    }
    const infinite = tableOf([[1]], [-Infinity]);
    await expect(encodeTable(infinite, format, 'out')).rejects.toThrow('out: row 0: nll is -Infinity');
  });

  it('keeps rows that are not finite, and what the noise and the examples come from', async () => {
    const plain = tableOf(
      [
        [1, 2],
        [Number.NaN, 1e60],
        [3, 4],
      ],
      [1, 2, Number.NaN],
    ); // prettier-ignore
    const origin = {
      fingerprint: 'source',
      runs: [
        [3, 4],
        [0, 2],
      ] as const,
    }; // prettier-ignore
    const table: FeatureTable = { ...plain, meta: { ...plain.meta, noise: 'content', origin } };
    const read = await decodeTable(await encodeTable(table, format, 'f'), format, 'f');
    expect(read).toEqual(table);
    expect(notFinite(read)).toEqual([1, 2]);
    expect(finiteRows(read).sqNorms).toEqual(Float64Array.of(1, 2));
  });
});

describe('reading', () => {
  const message = async (bytes: Uint8Array, format: TableFormat): Promise<string> =>
    decodeTable(bytes, format, 'f').then(
      () => 'no error',
      (error: unknown) => String(error),
    );
  const json = async (change: object): Promise<Uint8Array> => {
    const value: object = JSON.parse(new TextDecoder().decode(await encodeTable(tableOf([[1, 2]]), 'json', 'f')));
    return new TextEncoder().encode(JSON.stringify({ ...value, ...change }));
  };
  const npz = async (change: Parameters<typeof writeNpz>[0]): Promise<Uint8Array> =>
    writeNpz({ ...readNpz(await encodeTable(tableOf([[1, 2]]), 'npz', 'f'), 'f'), ...change });

  it('says what is wrong with a .json', async () => {
    expect([
      await message(await json({ sqnorm: [[1, 'NaN']] }), 'json'),
      await message(await json({ sqnorm: [[1]] }), 'json'),
      await message(await json({ nll: [1, 2] }), 'json'),
      await message(await json({ group: 0 }), 'json'),
      await message(await json({ names: ['x', 'x'] }), 'json'),
      await message(await json({ nll: [], sqnorm: [] }), 'json'),
      await message(await json({ meta: { model: 'm', data: 'd', dataFingerprint: 'f', seed: 0 } }), 'json'),
      await message(await json({ dims: [3] }), 'json'),
      await message(await json({ sqnorms: 1 }), 'json'),
      await message(new TextEncoder().encode('{"names": '), 'json'),
    ]).toMatchInlineSnapshot(`
      [
        "DataError: f: at 'sqnorm[0][1]': Invalid input, found "NaN"",
        "DataError: f: row 0 has 1 squared norms, expected 2 (one per name)",
        "DataError: f: has 1 rows of squared norms, expected 2 (one per nll)",
        "DataError: f: at 'group': Too small: expected number to be >=1, found 0",
        "DataError: f: layers 0 and 1 are both named 'x'",
        "DataError: f: has no rows, expected at least 1",
        "DataError: f: at 'meta.start': Invalid input: expected number, received undefined",
        "DataError: f: has dims of 1 layers, expected 2 (one per name)",
        "DataError: f: Unrecognized key: "sqnorms"",
        "DataError: f: is not valid JSON: Unexpected end of JSON input",
      ]
    `);
  });

  it('says what is wrong with an .npz', async () => {
    const { nll: _, ...rest } = readNpz(await encodeTable(tableOf([[1, 2]]), 'npz', 'f'), 'f');
    expect([
      await message(writeNpz(rest), 'npz'),
      await message(await npz({ nll: { dtype: 'float64', shape: [1], data: Float64Array.of(Infinity) } }), 'npz'),
      await message(await npz({ nll: { dtype: 'int32', shape: [1], data: Int32Array.of(1) } }), 'npz'),
      await message(await npz({ sqnorm: { dtype: 'float64', shape: [2, 1], data: Float64Array.of(1, 2) } }), 'npz'),
      await message(
        await npz({ sqnorm: { dtype: 'float64', shape: [1, 2], data: Float64Array.of(1, Infinity) } }),
        'npz',
      ),
      await message(await npz({ meta: { dtype: 'string', shape: [], data: ['[]'] } }), 'npz'),
      await message(new Uint8Array(30), 'npz'),
    ]).toMatchInlineSnapshot(`
      [
        "DataError: f: has no array 'nll' (found: sqnorm, names, meta), expected nll, sqnorm, names, meta",
        "DataError: f: row 0: nll is Infinity, expected a finite number",
        "DataError: f: array 'nll' is int32 [1], expected float64 or float32 of rank 1",
        "DataError: f: array 'sqnorm' has shape [2, 1], expected [1, 2] (nll × names)",
        "DataError: f: row 0, layer 'a.1': squared norm is Infinity, expected a finite number >= 0",
        "DataError: f: array 'meta': Invalid input: expected record, received array",
        "DataError: f: is not an .npz file: expected it to start with PK",
      ]
    `);
  });

  it('reads float32 arrays, as other programs may write', async () => {
    const read = await decodeTable(
      await npz({ sqnorm: { dtype: 'float32', shape: [1, 2], data: Float32Array.of(0.5, 3) } }),
      'npz',
      'f',
    );
    expect(read.sqNorms).toEqual(Float64Array.of(0.5, 3));
  });

  it('says what is wrong with a .parquet', async () => {
    const bytes = await encodeTable(tableOf([[1, 2]]), 'parquet', 'f');
    const renamed = bytes.slice();
    // The schema in the footer is the last place but one where a column's name stands.
    const text = Buffer.from(renamed.buffer);
    text.write('b', text.indexOf('a.1'));
    expect([
      await message(new Uint8Array(), 'parquet'),
      await message(new Uint8Array(40), 'parquet'),
      await message(renamed, 'parquet'),
    ]).toMatchInlineSnapshot(`
      [
        "DataError: f: has 0 bytes, the smallest Parquet file has 12",
        "DataError: f: not a Parquet file, or damaged: parquet file invalid (footer != PAR1)",
        "DataError: f: has 3 columns and 1 rows, expected 3 and 1, column 2 is 'b.1', expected 'a.1'",
      ]
    `);
    const taken = { ...tableOf([[1]]), names: ['nll'] };
    await expect(encodeTable(taken, 'parquet', 'f')).rejects.toThrow("a layer is named 'nll'");
  });
});

describe('slices and joins', () => {
  const table = syntheticTable({ n: 10, group: 5 });

  it('joins slices in any order to the whole', () => {
    const parts = [sliceTable(table, 7, 10), sliceTable(table, 0, 3), sliceTable(table, 3, 7)];
    expect(parts.map((part) => part.meta.start)).toEqual([35, 0, 15]);
    expect(nextExample(table)).toBe(50);
    expect(concatTables(parts)).toEqual(table);
  });

  it('refuses gaps, overlaps and parts of other runs', () => {
    const join = (...parts: FeatureTable[]) => {
      try {
        concatTables(parts);
        return 'no error';
      } catch (error) {
        return String(error);
      }
    };
    const head = sliceTable(table, 0, 5);
    const tail = sliceTable(table, 5, 10);
    expect([
      join(head, sliceTable(table, 6, 10)),
      join(head, sliceTable(table, 4, 10)),
      join(head, { ...tail, meta: { ...tail.meta, seed: 8 } }),
      join(head, { ...tail, meta: { ...tail.meta, model: 'other' } }),
      join(head, { ...tail, names: ['a.0', 'b', 'a.2'] }),
      join(head, { ...tail, group: 1 }),
      join(),
    ]).toMatchInlineSnapshot(`
      [
        "DataError: features of 'synthetic' from example 30: cannot join: expected to start at example 25",
        "DataError: features of 'synthetic' from example 20: cannot join: expected to start at example 25",
        "DataError: features of 'synthetic' from example 25: cannot join: seed is 8, expected 7",
        "DataError: features of 'synthetic' from example 25: cannot join: model is other, expected abababababab…",
        "DataError: features of 'synthetic' from example 25: cannot join: layer 1 is 'b', expected 'a.1'",
        "DataError: features of 'synthetic' from example 25: cannot join: group size is 1, expected 5",
        "DataError: no feature tables to join, expected at least 1",
      ]
    `);
    expect(() => sliceTable(table, 3, 3)).toThrow(DataError);
  });
});

describe('ids', () => {
  const table = { ...syntheticTable({ n: 4, group: 2 }), ids: [...'abcdefgh'] };

  it('go with their rows', () => {
    expect(sliceTable(table, 1, 3).ids).toEqual([...'cdef']);
    expect(concatTables([sliceTable(table, 2, 4), sliceTable(table, 0, 2)]).ids).toEqual(table.ids);
    expect(idsOf(table, 3)).toEqual(['g', 'h']);
    const nll = table.nll.map((v, i) => (i === 1 ? Number.NaN : v));
    expect(finiteRows({ ...table, nll }).ids).toEqual([...'abefgh']);
    const { ids: _, ...unnamed } = sliceTable(table, 2, 4);
    expect(() => concatTables([sliceTable(table, 0, 2), unnamed])).toThrow(
      'cannot join: only some say what the examples are called',
    );
  });

  it('stand in messages', () => {
    const [first, other] = [table.meta.start, table.meta.start + 6];
    expect(describeExamples(table, [0, 3])).toBe(
      `examples ${first} to ${first + 1} (a to b), ${other} to ${other + 1} (g to h)`,
    );
    expect(describeExamples({ ...table, group: 1 }, [2])).toBe(`example ${first + 2} (c)`);
  });

  it('that NumPy would change are refused in .npz', async () => {
    const zero = { ...table, ids: [...'abcdefg', 'h\0'] };
    await expect(encodeTable(zero, 'npz', 'f')).rejects.toThrow('f: the id "h\\u0000" ends in a zero character');
    for (const format of ['parquet', 'json'] as const) {
      expect(await decodeTable(await encodeTable(zero, format, 'f'), format, 'f')).toEqual(zero);
    }
  });

  it('have columns that no layer may be called like', async () => {
    const [, ...names] = table.names;
    await expect(encodeTable({ ...table, names: ['id 1', ...names] }, 'parquet', 'f')).rejects.toThrow(
      "f: a layer is named 'id 1', which a Parquet table needs for itself; write .npz or .json",
    );
  });
});

describe('files', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'table-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('are written whole in the format of their name', async () => {
    const table = syntheticTable();
    for (const format of formats) {
      const path = join(folder, `features.v1.${format}`);
      await writeTable(path, table);
      expect(await readTable(path)).toEqual(table);
    }
    expect(await readdir(folder)).toHaveLength(formats.length);
  });

  it('are read as they were written before they could say what examples are called', async () => {
    for (const format of formats) {
      const path = fileURLToPath(new URL(`../../test/features/tables/unnamed.${format}`, import.meta.url));
      expect(await readTable(path)).toEqual(syntheticTable({ n: 3 }));
    }
  });

  it('are refused when missing, empty or of another name', async () => {
    await expect(readTable(join(folder, 'missing.npz'))).rejects.toThrow('no such file');
    await writeFile(join(folder, 'empty.json'), '');
    await expect(readTable(join(folder, 'empty.json'))).rejects.toThrow('is not valid JSON');
    await expect(readTable('features.csv')).rejects.toThrowErrorMatchingInlineSnapshot(
      `[UsageError: features.csv: ends in '.csv', expected one of .npz, .parquet, .json]`,
    );
    await expect(writeTable('features', syntheticTable())).rejects.toThrow("ends in ''");
  });
});
