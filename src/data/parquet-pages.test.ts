import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { crc32 } from './crc32.ts';
import { type ColumnChunk, loadCodec, readByteArrays } from './parquet-pages.ts';

// Pages by hand, in Thrift's compact protocol. A field: [number, type, bytes]; types 5 i32, 12 struct, 1 and 2
// booleans.
type Field = readonly [id: number, type: number, bytes: readonly number[]];

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
const i32 = (id: number, value: number): Field => [id, 5, varint(value < 0 ? -2 * value - 1 : 2 * value)];
const struct = (...fields: Field[]): number[] => {
  let last = 0;
  const bytes = fields.flatMap(([id, type, content]) => {
    const head = ((id - last) << 4) | type;
    last = id;
    return [head, ...content];
  });
  return [...bytes, 0];
};
const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
const ascii = (text: string) => [...new TextEncoder().encode(text)];
const plain = (...texts: string[]) => texts.flatMap((text) => [...u32(text.length), ...ascii(text)]);

interface Parts {
  readonly count: number;
  readonly body: readonly number[];
  readonly encoding?: number;
  readonly size?: number;
  readonly packed?: number;
  readonly crc?: number;
}

const sizes = ({ body, size = body.length, packed = body.length, crc }: Parts): Field[] => [
  i32(2, size),
  i32(3, packed),
  ...(crc === undefined ? [] : [i32(4, crc | 0)]),
];
const data = (p: Parts) => [
  ...struct(i32(1, 0), ...sizes(p), [5, 12, struct(i32(1, p.count), i32(2, p.encoding ?? 0), i32(3, 3), i32(4, 3))]),
  ...p.body,
];
const dictionary = (p: Parts) => [
  ...struct(i32(1, 2), ...sizes(p), [7, 12, struct(i32(1, p.count), i32(2, p.encoding ?? 0))]),
  ...p.body,
];
const dataV2 = (
  p: Parts & { readonly levels: number; readonly compressed?: boolean; readonly repetition?: number },
) => {
  const { levels, compressed, repetition = 0 } = p;
  const flag: Field[] = compressed === undefined ? [] : [[7, compressed ? 1 : 2, []]];
  const fields = [i32(1, p.count), i32(2, 0), i32(3, p.count), i32(4, p.encoding ?? 0), i32(5, levels)];
  return [...struct(i32(1, 3), ...sizes(p), [8, 12, struct(...fields, i32(6, repetition), ...flag)]), ...p.body];
};

function read(rows: number, bytes: readonly number[], rest: Partial<ColumnChunk> = {}): (string | undefined)[] {
  const chunk = { where: 'f', bytes: Uint8Array.from(bytes), codec: 'UNCOMPRESSED', rows, maxDefinition: 0, ...rest };
  return readByteArrays(chunk).map((value) => value && new TextDecoder().decode(value));
}

beforeAll(() => Promise.all(['SNAPPY', 'ZSTD'].map(loadCodec)));

describe('readByteArrays', () => {
  it('reads plain values, over pages and with index pages between them', () => {
    const index = struct(i32(1, 1), i32(2, 2), i32(3, 2), [6, 12, [0]]);
    const pages = [
      ...data({ count: 2, body: plain('ab', '') }),
      ...index,
      1,
      2,
      ...data({ count: 1, body: plain('c') }),
    ];
    expect(read(3, pages)).toEqual(['ab', '', 'c']);
  });

  it('leaves out absent values: runs of one level, and levels packed in bits', () => {
    // Three runs of one value (header 2 · length) of definition levels of two bits: 2 2 | 0 | 2.
    const runs = [4, 2, 2, 0, 2, 2];
    const page = data({ count: 4, body: [...u32(runs.length), ...runs, ...plain('a', 'b', 'c')] });
    expect(read(4, page, { maxDefinition: 2 })).toEqual(['a', 'b', undefined, 'c']);
    // One group of eight (header 2 · 1 + 1), one bit each, least significant first: 1 0 1 1 0.
    const bits = data({ count: 5, body: [...u32(2), 3, 0b01101, ...plain('a', 'b', 'c')] });
    expect(read(5, bits, { maxDefinition: 1 })).toEqual(['a', undefined, 'b', 'c', undefined]);
  });

  it('reads version 2 of data pages, compressed or not', () => {
    const body = [4, 1, ...plain('a', 'b')];
    expect(read(2, dataV2({ count: 2, body, levels: 2 }), { maxDefinition: 1 })).toEqual(['a', 'b']);
    const snappy = [2, 10, 9 << 2, ...plain('a', 'b')]; // no levels; length 10, one literal of 10
    expect(read(2, dataV2({ count: 2, body: snappy.slice(1), levels: 0, size: 10 }), { codec: 'SNAPPY' })).toEqual([
      'a',
      'b',
    ]);
    const raw = dataV2({ count: 2, body, levels: 2, compressed: false });
    expect(read(2, raw, { codec: 'SNAPPY', maxDefinition: 1 })).toEqual(['a', 'b']);
  });

  it('reads indices of every width', () => {
    const cases = fc.integer({ min: 1, max: 20 }).chain((width) =>
      fc.record({
        width: fc.constant(width),
        indices: fc.array(fc.integer({ min: 0, max: Math.min(2 ** width, 1000) - 1 }), { minLength: 1, maxLength: 40 }),
      }),
    );
    const words = Array.from({ length: 1000 }, (_, i) => `w${i}`);
    const head = dictionary({ count: 1000, body: plain(...words) });
    fc.assert(
      fc.property(cases, ({ width, indices }) => {
        const groups = Math.ceil(indices.length / 8);
        const packed = new Array<number>(groups * width).fill(0);
        indices.forEach((index, i) => {
          for (let b = 0; b < width; b++) {
            const at = i * width + b;
            packed[at >> 3]! |= (Math.floor(index / 2 ** b) % 2) << (at & 7);
          }
        });
        const run = indices.flatMap((index) => [2, ...u32(index).slice(0, Math.ceil(width / 8))]);
        for (const body of [
          [width, groups * 2 + 1, ...packed],
          [width, ...run],
        ]) {
          const pages = [...head, ...data({ count: indices.length, encoding: 8, body })];
          expect(read(indices.length, pages)).toEqual(indices.map((i) => words[i]));
        }
      }),
      { seed: 3, numRuns: 60 },
    );
  });

  it('reads a dictionary of one value with indices of no bits', () => {
    const pages = [
      ...dictionary({ count: 1, encoding: 2, body: plain('only') }),
      ...data({ count: 3, encoding: 2, body: [0] }),
    ];
    expect(read(3, pages)).toEqual(['only', 'only', 'only']);
  });

  it('reads Zstandard, and refuses a frame that claims more than the page', () => {
    const content = plain('zstd');
    const zstd = (frame: readonly number[]) => [
      0x28,
      0xb5,
      0x2f,
      0xfd,
      ...frame,
      1 | (content.length << 3),
      0,
      0,
      ...content,
    ];
    const size = content.length;
    // Single segment with a size of one byte; then one raw block, the last.
    expect(read(1, data({ count: 1, body: zstd([0x20, size]), size }), { codec: 'ZSTD' })).toEqual(['zstd']);
    const large = data({ count: 1, body: zstd([0xa0, ...u32(2 ** 31 - 1)]), size });
    expect(() => read(1, large, { codec: 'ZSTD' })).toThrow(/^f: a page of 8 bytes holds ZSTD data of 2147483647/);
    const window = data({ count: 1, body: zstd([0x00, 0xf8]), size });
    expect(() => read(1, window, { codec: 'ZSTD' })).toThrow(/^f: a page of 8 bytes holds ZSTD data of 0, window/);
  });

  it('verifies the checksum where there is one', () => {
    const body = plain('ab');
    const crc = crc32(Uint8Array.from(body));
    expect(read(1, data({ count: 1, body, crc }))).toEqual(['ab']);
    expect(() => read(1, data({ count: 1, body: plain('ac'), crc }))).toThrow('f: a page is damaged: its checksum');
  });
});

const huge = 2 ** 31 - 1;
const word = plain('ab');
const levelled = (runs: readonly number[]) => data({ count: 1, body: [...u32(runs.length), ...runs, ...word] });

describe('damage', () => {
  it.each<[string, number, readonly number[], Partial<ColumnChunk>, string]>([
    ['no pages', 1, [], {}, 'f: the pages end before the rows do'],
    ['too few values', 2, data({ count: 1, body: word }), {}, 'f: the pages end before the rows do'],
    [
      'too many values',
      1,
      data({ count: huge, body: word }),
      {},
      'f: a page says it has 2147483647 values, where 1 of 1 rows are left',
    ],
    [
      'more values than bytes',
      huge,
      data({ count: huge, body: word }),
      {},
      'f: value 1 of 2147483647 in a page goes beyond its end',
    ],
    [
      'negative count',
      1,
      data({ count: -5, body: word }),
      {},
      'f: field 1 of a page header is -5, expected an integer from 0 to 2^31',
    ],
    [
      'a body beyond the end',
      1,
      data({ count: 1, body: word, packed: 900 }),
      {},
      'f: a page says it has 900 bytes, where 6 are left',
    ],
    [
      'a negative body',
      1,
      data({ count: 1, body: word, packed: -17 }),
      {},
      'f: field 3 of a page header is -17, expected an integer from 0 to 2^31',
    ],
    [
      'a vast page',
      1,
      data({ count: 1, body: word, size: huge }),
      { codec: 'SNAPPY' },
      'f: a page says that its 6 bytes hold 2147483647, more than is plausible',
    ],
    ['another size', 1, data({ count: 1, body: word, size: 7 }), {}, 'f: a page has 6 bytes, its header says 7'],
    [
      'another size in the data',
      1,
      data({ count: 1, body: [6, 5 << 2, ...word], size: 7 }),
      { codec: 'SNAPPY' },
      'f: a page has 6 bytes, its header says 7',
    ],
    ['bytes left over', 1, data({ count: 1, body: [...word, 0] }), {}, "f: 1 bytes are left after a page's values"],
    [
      'a value beyond the page',
      1,
      data({ count: 1, body: [255, 255, 255, 255, 1] }),
      {},
      'f: value 0 of 1 in a page goes beyond its end',
    ],
    [
      'no dictionary',
      1,
      data({ count: 1, encoding: 8, body: [0] }),
      {},
      'f: a page refers to a dictionary, and none is before it',
    ],
    [
      'an index outside',
      1,
      [...dictionary({ count: 1, body: word }), ...data({ count: 1, encoding: 8, body: [2, 2, 3] })],
      {},
      'f: dictionary index 3, the dictionary has 1',
    ],
    [
      'wide indices',
      1,
      [...dictionary({ count: 1, body: word }), ...data({ count: 1, encoding: 8, body: [40, 2, 3] })],
      {},
      'f: dictionary indices of 40 bits',
    ],
    [
      'an unknown encoding',
      1,
      data({ count: 1, encoding: 77, body: word }),
      {},
      'f: a page has the encoding unknown for values of type BYTE_ARRAY, which is not read',
    ],
    [
      'damaged delta encoding',
      1,
      data({ count: 1, encoding: 7, body: word }),
      {},
      'f: a page says it has 0 deltas in blocks of 2 and 0 parts, expected 1',
    ],
    [
      'an unknown codec',
      1,
      data({ count: 1, body: word }),
      { codec: 'LZO' },
      "f: compression is 'LZO', expected one of UNCOMPRESSED, GZIP, BROTLI, SNAPPY, ZSTD, LZ4, LZ4_RAW",
    ],
    [
      'a page type',
      1,
      struct(i32(1, 9), i32(2, 0), i32(3, 0)),
      {},
      'f: page type is 9, expected data or dictionary, with a header for it',
    ],
    [
      'a run too long',
      1,
      levelled([...varint(2 * huge), 1]),
      { maxDefinition: 1 },
      'f: a run of 2147483647 levels or indices does not fit, 1 are left in its page',
    ],
    [
      'packed levels too long',
      1,
      levelled([...varint(2 * huge + 1), 1]),
      { maxDefinition: 1 },
      'f: a run of 17179869176 levels or indices does not fit, 1 are left in its page',
    ],
    [
      'levels that end',
      1,
      levelled([]),
      { maxDefinition: 1 },
      'f: the data ends in the middle of a page header or of its levels',
    ],
    ['a level too high', 1, levelled([2, 3]), { maxDefinition: 2 }, 'f: definition level 3, expected 0..2'],
    [
      'no room for levels',
      1,
      data({ count: 1, body: [9, 0, 0, 0, 1] }),
      { maxDefinition: 1 },
      'f: a page of 5 bytes has no room for its definition levels',
    ],
    [
      'levels in version 2',
      1,
      dataV2({ count: 1, body: word, levels: 50 }),
      { maxDefinition: 1 },
      'f: a page says it has 50 bytes of levels, it has 6 in all',
    ],
    [
      'repetition',
      1,
      dataV2({ count: 1, body: word, levels: 0, repetition: 2 }),
      {},
      'f: a page has repetition levels, expected none',
    ],
    ['a long number', 1, new Array<number>(40).fill(0xf5), {}, 'f: a number at byte 11 has more than 64 bits'],
    ['deep nesting', 1, new Array<number>(100_000).fill(0x1c), {}, 'f: a page header nests more than 8 deep'],
    [
      'nested lists',
      1,
      [0x19, ...new Array<number>(100_000).fill(0x19)],
      {},
      'f: a page header nests more than 8 deep',
    ],
    [
      'a list without end',
      1,
      [0x19, 0xf5, ...varint(huge), 1, 1],
      {},
      'f: the data ends in the middle of a page header or of its levels',
    ],
    [
      'snappy',
      1,
      data({ count: 1, body: [6, 255, 255, 255], size: 6 }),
      { codec: 'SNAPPY' },
      'f: a page is damaged: SNAPPY data: ',
    ],
    [
      'gzip',
      1,
      data({ count: 1, body: word, size: 6 }),
      { codec: 'GZIP' },
      'f: a page is damaged: GZIP data: incorrect header check',
    ],
    ['brotli', 1, data({ count: 1, body: word, size: 6 }), { codec: 'BROTLI' }, 'f: a page is damaged: BROTLI data: '],
    [
      'zstd',
      1,
      data({ count: 1, body: plain('abcdefgh'), size: 12 }),
      { codec: 'ZSTD' },
      'f: a page is damaged: it is no ZSTD data',
    ],
  ])('%s is refused', (_, rows, bytes, rest, expected) => {
    expect(() => read(rows, bytes, rest)).toThrow(expected);
  });
});
