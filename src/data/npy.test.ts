import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { readNpy, readNpz, writeNpy, writeNpz } from './npy.ts';

const decode = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));

/** A .npy file by hand; the header is not padded unless asked. */
function npy(header: string, body: readonly number[], version = 1): Uint8Array {
  const length =
    version === 1 ? [header.length & 255, header.length >> 8] : [header.length & 255, header.length >> 8, 0, 0];
  const text = new TextEncoder().encode(header);
  return Uint8Array.from([0x93, ...new TextEncoder().encode('NUMPY'), version, 0, ...length, ...text, ...body]);
}

const header = (descr: string, shape: string, fortran = 'False') =>
  `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`;

describe('readNpy', () => {
  // Written by NumPy 2.4.6: np.save of np.asfortranarray(np.arange(6, dtype='>f4').reshape(2, 3)); np.array(['ab',
  // 'ü']); np.lib.format.write_array(np.arange(3, dtype=np.int32), version=(2, 0)).
  it('reads files of NumPy: Fortran order, big-endian numbers, strings, version 2', () => {
    const fortran = decode(
      'k05VTVBZAQB2AHsnZGVzY3InOiAnPmY0JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAQEAAAD+AAABAgAAAQAAAAECgAAA=',
    );
    expect(readNpy(fortran, 'f')).toEqual({ dtype: 'float32', shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) });
    const strings = decode(
      'k05VTVBZAQB2AHsnZGVzY3InOiAnPFUyJywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAphAAAAYgAAAPwAAAAAAAAA',
    );
    expect(readNpy(strings, 'f')).toEqual({ dtype: 'string', shape: [2], data: ['ab', 'ü'] });
    const version2 = decode(
      'k05VTVBZAgB0AAAAeydkZXNjcic6ICc8aTQnLCAnZm9ydHJhbl9vcmRlcic6IEZhbHNlLCAnc2hhcGUnOiAoMywpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAQAAAAIAAAA=',
    );
    expect(readNpy(version2, 'f')).toEqual({ dtype: 'int32', shape: [3], data: Int32Array.of(0, 1, 2) });
  });

  it('reads data at any offset of any kind of byte array, and leaves that as it was', () => {
    for (let blanks = 0; blanks < 8; blanks++) {
      const bytes = npy(' '.repeat(blanks) + header('>i4', '(2,)'), [0, 0, 1, 0, 255, 255, 255, 254]);
      for (const kind of [bytes, Buffer.from(bytes), Buffer.concat([Buffer.from('abc'), bytes]).subarray(3)]) {
        expect(readNpy(kind, 'f').data).toEqual(Int32Array.of(256, -2));
        expect(Uint8Array.from(kind)).toEqual(bytes);
      }
      const floats = npy(' '.repeat(blanks) + header('<f8', '(1,)'), [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
      expect(readNpy(Buffer.from(floats), 'f').data).toEqual(Float64Array.of(1));
    }
  });

  it('reads single values, empty arrays and the long integers of Python 2', () => {
    expect(readNpy(npy(header('|u1', '()'), [7]), 'f')).toEqual({ dtype: 'uint8', shape: [], data: Uint8Array.of(7) });
    expect(readNpy(npy(header('<f4', '(0, 3)', 'True'), []), 'f').data).toEqual(new Float32Array(0));
    expect(readNpy(npy(header('|b1', '(2L, 1L)'), [1, 0]), 'f').shape).toEqual([2, 1]);
  });

  it.each([
    ['an empty file', new Uint8Array(0), 'f: has 0 bytes, a .npy file starts with 10'],
    ['another magic number', npy(header('|u1', '()'), [7]).fill(1, 0, 1), 'f: does not start with \\x93NUMPY'],
    ['version 4', npy(header('|u1', '()'), [7], 4), 'f: .npy version is 4, expected 1, 2 or 3'],
    ['a long header', npy('x', []).fill(255, 8, 10), 'f: the header says it ends at byte 65545, the data has 11'],
    ['another header', npy('hello', []), 'f: header is "hello", expected descr, fortran_order and shape'],
    ['complex numbers', npy(header('<c8', '(1,)'), [0, 0]), "f: element type is '<c8', expected one of f4, f8"],
    [
      'an integer beyond int64',
      npy(header('<u8', '(1,)'), [0, 0, 0, 0, 0, 0, 0, 128]),
      'f: value 0 is 9223372036854775808',
    ],
    ['Python objects', npy(header('|O', '(1,)'), [0]), "f: holds Python objects ('|O'), such as lists"],
    [
      'a vast shape',
      npy(header('|u1', '(4000000000, 4000000000)'), [0]),
      'f: data has 1 bytes, header says (4000000000, 4000000000) of |u1 = ',
    ],
    [
      'a size beyond 2^53',
      npy(header('|u1', '(99999999999999999999,)'), [0]),
      'f: shape is (99999999999999999999,), expected',
    ],
    ['a negative size', npy(header('|u1', '(-1,)'), [0]), 'f: header is '],
    ['too little data', npy(header('<i4', '(2,)'), [0, 0, 0, 0]), 'f: data has 4 bytes, header says (2) of <i4 = 8'],
    ['too much data', npy(header('<i4', '(1,)'), [0, 0, 0, 0, 0]), 'f: data has 5 bytes, header says (1) of <i4 = 4'],
    [
      'a wide string',
      npy(header('<U999999999999', '(1,)'), [0]),
      'f: data has 1 bytes, header says (1) of <U999999999999',
    ],
    ['no code point', npy(header('<U1', '(1,)'), [0, 0, 17, 0]), 'f: string 0 holds 1114112, no Unicode code point'],
    ['a bool of 2', npy(header('|b1', '(2,)'), [1, 2]), 'f: value 1 is byte 2, a bool is 0 or 1'],
    [
      'many axes',
      npy(header('|u1', `(${'1, '.repeat(20_000)})`, 'True'), [1]),
      'f: has 20000 axes, expected at most 64',
    ],
  ])('refuses %s', (_, bytes, expected) => {
    expect(() => readNpy(bytes, 'f')).toThrow(DataError);
    expect(() => readNpy(bytes, 'f')).toThrow(expected);
  });
});

describe('readNpz', () => {
  const arrays = {
    a: { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) },
    b: { dtype: 'uint8', shape: [3], data: Uint8Array.of(1, 2, 3) },
  } as const;
  const files = { 'a.npy': writeNpy(arrays.a), 'b.npy': writeNpy(arrays.b) };
  const stored = writeNpz(arrays);
  const packed = zipSync(files, { level: 9 });

  it('reads what writeNpz writes, and compressed files', () => {
    expect(readNpz(stored, 'f')).toEqual(arrays);
    expect(readNpz(packed, 'f')).toEqual(arrays);
    expect(readNpz(zipSync({}), 'f')).toEqual({});
  });

  it('refuses a flipped bit anywhere in the data, by its checksum', () => {
    for (const [file, content] of [
      [stored, files['a.npy']],
      [stored, files['b.npy']],
    ] as const) {
      const at = Buffer.from(file).indexOf(Buffer.from(content));
      for (let i = 0; i < content.length; i++) {
        const damaged = file.slice();
        damaged[at + i]! ^= 1;
        expect(() => readNpz(damaged, 'f')).toThrow(/^f: entry '[ab]\.npy' is damaged: its checksum does not match$/);
      }
    }
  });

  /** With bytes changed at `offset` from the start of the file's last end record. */
  function endRecord(offset: number, ...bytes: number[]): Uint8Array {
    const out = stored.slice();
    out.set(bytes, out.length - 22 + offset);
    return out;
  }

  it('refuses a directory that does not fit the file', () => {
    for (const count of [0, 1, 3]) {
      expect(() => readNpz(endRecord(8, count, 0, count), 'f')).toThrow(
        `f: damaged zip file: it says ${count} entries, its directory has 2`,
      );
    }
    expect(() => readNpz(endRecord(8, 1), 'f')).toThrow('f: damaged zip file: it says that it is one part of several');
    expect(() => readNpz(endRecord(8, 255, 255), 'f')).toThrow(DataError);
    expect(() => readNpz(endRecord(16, 255, 255, 255, 255), 'f')).toThrow(DataError);
    const none = endRecord(8, 0);
    none.fill(255, none.length - 6, none.length - 2);
    expect(() => readNpz(none, 'f')).not.toThrow(RangeError);
  });

  it('refuses entries that claim more than the file can hold, before anything is allocated', () => {
    const directory = packed.findLastIndex((_, i) => packed[i] === 0x50 && packed[i + 2] === 1 && packed[i + 3] === 2);
    const huge = packed.slice();
    new DataView(huge.buffer).setUint32(directory + 24, 2 ** 31, true); // size when unpacked
    const before = process.memoryUsage.rss();
    expect(() => readNpz(huge, 'f')).toThrow(
      /^f: entry 'b\.npy' has impossible sizes: \d+ bytes packed, 2147483648 unpacked/,
    );
    // Two entries that share their bytes.
    const shared = stored.slice();
    const size = files['a.npy'].length + files['b.npy'].length;
    const last = shared.findLastIndex((_, i) => shared[i] === 0x50 && shared[i + 2] === 1 && shared[i + 3] === 2);
    new DataView(shared.buffer).setUint32(last + 20, size + 200, true);
    expect(() => readNpz(shared, 'f')).toThrow(/^f: entry 'b\.npy' has impossible sizes/);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
  });

  it('refuses what is no zip file of arrays', () => {
    expect(() => readNpz(new Uint8Array(0), 'f')).toThrow('f: has 0 bytes, the smallest .npz file has 22');
    expect(() => readNpz(new Uint8Array(30), 'f')).toThrow('f: is not an .npz file: expected it to start with PK');
    expect(() => readNpz(zipSync({ 'a.txt': Uint8Array.of(1) }), 'f')).toThrow("f: entry 'a.txt' is no .npy array");
    expect(() => readNpz(zipSync({ 'a.npy': Uint8Array.of(1) }), 'f')).toThrow(
      "f: array 'a': has 1 bytes, a .npy file",
    );
  });
});
