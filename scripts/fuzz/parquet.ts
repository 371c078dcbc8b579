// Parquet files of pictures.

import { writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { openParquet } from '../../test/support/readers.ts';
import { damage, join2 } from './bytes.ts';
import { checkData, type Dice, type Format, type Sample } from './format.ts';
import { picture } from './pictures.ts';

export const parquet: Format = {
  extension: 'parquet',
  samples: () =>
    Promise.all([
      file('SNAPPY', ['png', 'png', 'jpeg']),
      file('UNCOMPRESSED', ['webp', 'webp', 'png']),
      file('GZIP', ['png', 'png']),
    ]),
  inside: insideParquet,
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    await checkData(await openParquet(path));
    return undefined; // its pages have no checksums
  },
};

async function file(
  codec: 'SNAPPY' | 'UNCOMPRESSED' | 'GZIP',
  kinds: readonly ('png' | 'jpeg' | 'webp')[],
): Promise<Sample> {
  const images = await Promise.all(kinds.map((kind) => picture(kind, 3, {})));
  const buffer = parquetWriteBuffer({
    codec,
    compressors: { GZIP: (bytes) => gzipSync(bytes) },
    rowGroupSize: 2,
    schema: [
      { name: 'schema', num_children: 1 },
      { name: 'image', num_children: 2, repetition_type: 'OPTIONAL' },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
    ],
    columnData: [{ name: 'image', data: images.map(({ bytes }, i) => ({ bytes, path: `${i}.png` })) }],
  });
  return { bytes: new Uint8Array(buffer) };
}

/** The footer or the pages before it, the length between them right. */
export function insideParquet(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const at = bytes.length - 8;
  const start = at - new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
  const others = all.map((sample) => sample.bytes);
  if (dice.chance(0.4)) return join2(damage(dice, bytes.subarray(0, start), others), bytes.subarray(start));
  const footer = damage(dice, bytes.subarray(start, at), others);
  const tail = bytes.slice(at);
  new DataView(tail.buffer).setUint32(0, footer.length, true);
  return join2(join2(bytes.subarray(0, start), footer), tail);
}
