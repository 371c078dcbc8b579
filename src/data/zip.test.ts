// Zip files as other programs write them, and directories that are damaged so that they still look whole.

import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { crc32 } from './crc32.ts';
import { readZip } from './zip.ts';

const encoder = new TextEncoder();
const contents = { one: encoder.encode('first'), 'zwei-ä': encoder.encode('second, longer'), three: new Uint8Array(0) };
const read = (bytes: Uint8Array) =>
  Object.fromEntries(readZip(bytes, 'f', () => {}).map(({ name, bytes: content }) => [name, content]));

/**
 * A zip file made by hand. `descriptor`: its size behind each entry's data; `zip64`: sizes and end record in their long
 * forms.
 */
function zip({ descriptor = 0, zip64 = false, comment = '' }): Uint8Array<ArrayBuffer> {
  const parts: number[] = [];
  const u16 = (v: number) => [v & 255, v >> 8];
  const u32 = (v: number) => [...u16(v & 0xffff), ...u16(v >>> 16)];
  const u64 = (v: number) => [...u32(v), ...u32(0)];
  const directory: number[] = [];
  for (const [name, content] of Object.entries(contents)) {
    const [title, at, flags] = [encoder.encode(name), parts.length, 2048 + (descriptor ? 8 : 0)];
    const late = descriptor ? [0, 0, 0] : [crc32(content), content.length, content.length];
    const extra = zip64 ? [...u16(1), ...u16(16), ...u64(content.length), ...u64(content.length)] : [];
    const sizes = zip64 ? [0xffffffff, 0xffffffff] : [content.length, content.length];
    parts.push(...u32(0x04034b50), ...u16(45), ...u16(flags), ...u16(0), ...u32(0), ...late.flatMap(u32));
    parts.push(...u16(title.length), ...u16(0), ...title, ...content, ...new Array(descriptor).fill(7));
    directory.push(...u32(0x02014b50), ...u16(45), ...u16(45), ...u16(flags), ...u16(0), ...u32(0));
    directory.push(
      ...u32(crc32(content)),
      ...sizes.flatMap(u32),
      ...u16(title.length),
      ...u16(extra.length),
      ...u16(0),
    );
    directory.push(...u32(0), ...u32(0), ...u32(at), ...title, ...extra);
  }
  const n = Object.keys(contents).length;
  const start = parts.length;
  parts.push(...directory);
  if (zip64) {
    const at = parts.length;
    parts.push(...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0), ...u64(n), ...u64(n));
    parts.push(...u64(directory.length), ...u64(start), ...u32(0x07064b50), ...u32(0), ...u64(at), ...u32(1));
  }
  const [count, size, from] = zip64 ? [0xffff, 0xffffffff, 0xffffffff] : [n, directory.length, start];
  parts.push(...u32(0x06054b50), ...u32(0), ...u16(count), ...u16(count), ...u32(size), ...u32(from));
  parts.push(...u16(comment.length), ...encoder.encode(comment));
  return Uint8Array.from(parts);
}

it.each([
  ['stored', zipSync(contents, { level: 0 })],
  ['deflated', zipSync(contents, { level: 9 })],
  ['of long fields', zip({ zip64: true })],
  ['with a comment', zip({ comment: 'made by hand PK\x05\x06' })],
  ...[12, 16, 20, 24].map((descriptor) => [`written to a pipe (${descriptor} bytes)`, zip({ descriptor })] as const),
] as const)('reads entries %s', (_, bytes) => {
  expect(read(bytes)).toEqual(contents);
});

describe('a directory that lost an entry', () => {
  const whole = zip({});
  const end = whole.length - 22;
  const view = new DataView(whole.buffer);
  const start = view.getUint32(end + 16, true);
  const second = start + 46 + 3;

  it.each([
    ['the last', whole.subarray(start, end - 46 - 5)],
    ['the first', whole.subarray(second, end)],
    ['all', new Uint8Array(0)],
    [
      'another, which is there twice',
      Uint8Array.from([...whole.subarray(start, second), ...whole.subarray(start, end)]),
    ],
  ])('%s, and says so itself, is refused', (_, directory) => {
    const bytes = Uint8Array.from([...whole.subarray(0, start), ...directory, ...whole.subarray(end)]);
    const own = new DataView(bytes.buffer);
    const at = bytes.length - 22;
    const count = [...directory].filter((byte, i) => byte === 0x50 && directory[i + 2] === 1).length;
    own.setUint16(at + 8, count, true);
    own.setUint16(at + 10, count, true);
    own.setUint32(at + 12, directory.length, true);
    expect(() => read(bytes)).toThrow(/^f: damaged zip file: bytes \d+ to \d+ belong to no entry/);
  });

  it('behind an end record of its own, in front of the true one, is refused', () => {
    // As a run of bytes that was copied over: the last end record is not at the end of what it describes.
    const early = Uint8Array.from([...whole.subarray(0, second), ...whole.subarray(end), ...whole.subarray(second)]);
    new DataView(early.buffer).setUint32(early.length - 10, second - start, true);
    expect(() => read(early)).toThrow(/^f: damaged zip file: its directory is at bytes/);
  });
});

it('refuses an entry whose name is another where it lies, or that lies elsewhere', () => {
  const bytes = zip({});
  bytes[30]! ^= 1;
  expect(() => read(bytes)).toThrow("f: damaged zip file: entry 'one' has another name where it lies, at byte 0");
  const end = bytes.length - 22;
  const moved = zip({});
  const view = new DataView(moved.buffer);
  view.setUint32(view.getUint32(end + 16, true) + 42, 3, true);
  expect(() => read(moved)).toThrow("f: damaged zip file: entry 'one' is not at byte 3");
});

it('refuses every cut and every changed byte of a directory, or reads the same', () => {
  for (const whole of [zip({}), zip({ zip64: true }), zip({ descriptor: 16 })]) {
    for (let at = 0; at < whole.length; at++) {
      const changed = whole.slice();
      changed[at]! ^= 0x11;
      for (const bytes of [whole.subarray(0, at), changed]) {
        let found: ReturnType<typeof read> | undefined;
        try {
          found = read(bytes);
        } catch (error) {
          expect(String(error)).toMatch(/^DataError: f: /);
        }
        if (found) expect(Object.values(found)).toEqual(Object.values(contents));
      }
    }
  }
});
