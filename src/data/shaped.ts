// Rows of numbers in, such as a table of pixels has them; images out, of the shape that is told or the only one that
// fits.

import { DataError } from '../errors.ts';
import { shapeText } from '../tensor/shape.ts';
import { type Dataset, makeDataset, sizeOf } from './dataset.ts';
import type { Preparation } from './prepare.ts';
import { reshaped } from './transforms.ts';

/**
 * The examples under 'x' as images of this shape: [height, width], [channels, height, width] or [height, width,
 * channels]; as they are, where they are images already, such as those of the other sets of a comparison. Throws a
 * DataError where they have another number of numbers.
 */
export function shapedAs(data: Dataset, shape: readonly number[]): Dataset {
  const found = data.shapes.x;
  const wanted = shape.length === 2 ? [1, ...shape] : shape;
  const said = `\`shape: ${shape.join('x')}\``;
  if (!found) throw new DataError(`${data.name}: has no array 'x' to be of ${said}`);
  if (found.length > 2) return data;
  if (sizeOf(found) !== sizeOf(wanted)) {
    throw new DataError(`${data.name}: holds ${shapeText(found)} an example, which ${said} does not fit`);
  }
  const images = reshaped(data, 'x', wanted);
  // Two shapes of the same rows are other images, which is all the same until they are resampled.
  return makeDataset({
    ...images,
    fingerprint: `${data.fingerprint} as ${wanted.join('x')}`,
    read: async (start, end) => {
      for await (const { arrays } of images.batches(end - start, { start, end })) return arrays;
      throw new DataError(`${data.name}: ended before example ${end}`);
    },
    pick: async (indices) => (await images.gather(indices)).arrays,
  });
}

/** Shapes in a message at most. */
const SHOWN = 4;

/**
 * The shape [c, h, w] of a picture of `count` numbers that becomes one of the shape `wanted` by `preparation`, where
 * there is one only. Throws a DataError, with what to say, where there is none, or several: three channels may stand
 * beside each other or behind each other.
 */
export function imageShapeFor(
  name: string,
  count: number,
  wanted: readonly number[],
  preparation: Preparation,
): readonly number[] {
  const found = shapesOf(count, wanted, preparation);
  const [only] = found;
  if (only && found.length === 1 && only[0] === 1) return only;
  const rows = `${name}: holds rows of ${count.toLocaleString('en')} numbers`;
  if (only) {
    const square = found.find(([, h, w]) => h === w) ?? only;
    const all = found.flatMap(([c, h, w]) => (c === 1 ? [`${h}×${w}`] : [`${c}×${h}×${w}`, `${h}×${w}×${c}`]));
    const more = all.length > SHOWN ? `, … (${all.length})` : '';
    const advice = `say which with \`shape: ${(square[0] === 1 ? square.slice(1) : square).join('x')}\``;
    throw new DataError(`${rows}, which may be images of ${all.slice(0, SHOWN).join(', ')}${more}; ${advice}`);
  }
  const isLabelled = shapesOf(count - 1, wanted, preparation).length > 0;
  const advice = isLabelled
    ? '; is one of them a label? `id: NAME` takes the column of that name out, and names the rows by it'
    : '';
  throw new DataError(`${rows}, and the model takes images of ${shapeText(wanted)}${advice}`);
}

function shapesOf(count: number, [c, h, w]: readonly number[], preparation: Preparation): readonly number[][] {
  const { channels, resize, crop, pad } = preparation;
  const shapes: number[][] = [];
  for (const own of channels === undefined ? [c!] : [1, 3]) {
    const pixels = count / own;
    if (!Number.isInteger(pixels)) continue;
    for (let height = 1; height <= pixels; height++) {
      const width = pixels / height;
      if (!Number.isInteger(width)) continue;
      let [rows, columns] = resize ?? [height, width];
      if (crop) {
        if (rows < crop[0] || columns < crop[1]) continue;
        [rows, columns] = crop;
      }
      if (pad) {
        if (rows > pad[0] || columns > pad[1]) continue;
        [rows, columns] = pad;
      }
      if (rows === h && columns === w) shapes.push([own, height, width]);
    }
  }
  return shapes;
}
