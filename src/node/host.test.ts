// What JavaScript alone does, against what Node does: the same bytes, the same hashes, the same words for what is
// damaged.

import { randomBytes } from 'node:crypto';
import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { portable } from '../host.ts';
import { nodeHost } from './host.ts';

const plain = (bytes: Uint8Array) => new Uint8Array(bytes);
const contents: readonly (readonly [what: string, bytes: Uint8Array])[] = [
  ['nothing', new Uint8Array()],
  ['a byte', Uint8Array.of(7)],
  ['noise', plain(randomBytes(300_000))],
  ['zeros', new Uint8Array(500_000)],
  ['text', new TextEncoder().encode('all work and no play '.repeat(20_000))],
];

it('hashes alike, whatever the pieces', () => {
  for (const [, bytes] of contents) {
    const [a, b] = [portable.sha256(), nodeHost.sha256()];
    for (const hash of [a, b]) hash.update('größer').update(bytes.subarray(0, 1000)).update(bytes.subarray(1000));
    expect(a.digest()).toBe(b.digest());
  }
});

describe.each([
  ['gzip', gzipSync],
  ['zlib', deflateSync],
] as const)('%s', (_, pack) => {
  it.each(contents)('of %s is unpacked alike', (_, bytes) => {
    const packed = plain(pack(bytes));
    for (const host of [portable, nodeHost]) {
      expect(host.inflate(packed, { most: bytes.length })).toEqual({ bytes, read: packed.length });
      if (bytes.length > 0) expect(() => host.inflate(packed, { most: bytes.length - 1 })).toThrow(RangeError);
    }
  });

  it('that was cut gives its beginning where that is wanted, and is refused otherwise', () => {
    const [, bytes] = contents[4]!;
    const packed = plain(pack(bytes)).subarray(0, 200);
    for (const host of [portable, nodeHost]) {
      const { bytes: start } = host.inflate(packed, { most: 1_000_000, cut: true });
      expect(start.length).toBeGreaterThan(100);
      expect(start).toEqual(bytes.subarray(0, start.length));
      expect(() => host.inflate(packed, { most: 1_000_000 })).toThrow('unexpected end of file');
    }
  });

  it('followed by zeros says how far it goes', () => {
    const packed = plain(pack(contents[1]![1]));
    const longer = Uint8Array.from([...packed, 0, 0, 0, 0]);
    for (const host of [portable, nodeHost]) expect(host.inflate(longer, { most: 10 }).read).toBe(packed.length);
  });

  it('that is damaged is refused in the same words, or gives the same', () => {
    const packed = plain(pack(contents[4]![1].subarray(0, 5000)));
    for (let at = 0; at < packed.length; at++) {
      for (const bit of [1, 16, 128]) {
        const changed = packed.slice();
        changed[at]! ^= bit;
        const [a, b] = [portable, nodeHost].map((host) => {
          try {
            return host.inflate(changed, { most: 20_000 }).bytes.length;
          } catch (error) {
            return (error as Error).message;
          }
        });
        expect(a, `byte ${at}, bit ${bit}`).toBe(b);
      }
    }
  });
});

it('gzip files behind one another are one', () => {
  const two = plain(Buffer.concat([gzipSync('first, '), gzipSync('second')]));
  for (const host of [portable, nodeHost]) {
    expect(new TextDecoder().decode(host.inflate(two, { most: 100 }).bytes)).toBe('first, second');
  }
});
