// A reader of your own: pictures in the format PGM (a header in text, a byte for each pixel), one behind the other in a
// file.
//
//     npx tsx examples/node/own-reader.ts PICTURES.pgm

import { DataError, defineReader, fingerprintOf, memoryDataset, openData, readAll } from 'fisher-ood';

const pgm = defineReader({
  format: 'PGM',
  names: /\.pgm$/i,
  async open(source, { name = source.name }) {
    const bytes = await readAll(source); // or piece by piece: source.read(offset, length)
    const images: Uint8Array[] = [];
    let [width, height] = [0, 0];
    for (let at = 0; at < bytes.length; ) {
      const head = new TextDecoder('latin1').decode(bytes.subarray(at, at + 64));
      const [all, w, h] = /^P5\s+(\d+)\s+(\d+)\s+255\s/.exec(head) ?? [];
      if (all === undefined) throw new DataError(`${source.name}: byte ${at} begins no PGM picture of bytes`);
      if (images.length > 0 && (Number(w) !== width || Number(h) !== height)) {
        throw new DataError(`${source.name}: picture ${images.length} is ${h}×${w}, expected ${height}×${width}`);
      }
      [width, height] = [Number(w), Number(h)];
      const start = at + all.length;
      at = start + width * height;
      if (at > bytes.length) throw new DataError(`${source.name}: ends within picture ${images.length}`);
      images.push(bytes.subarray(start, at));
    }
    const data = new Uint8Array(images.length * width * height);
    images.forEach((image, i) => {
      data.set(image, i * width * height);
    });
    // The fingerprint is of the content: it tells the same data again, under whatever name.
    return memoryDataset(name, images.length, fingerprintOf('pgm', bytes), {
      x: { data, shape: [1, height, width], pixels: true },
    });
  },
});

const [path] = process.argv.slice(2);
if (!path) throw new Error('usage: own-reader.ts PICTURES.pgm');
const data = await openData(path, { readers: [pgm] });
console.log(`${data.length} pictures of ${data.shapes.x?.join('×')}`);
