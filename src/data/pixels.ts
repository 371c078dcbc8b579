// Images of any numbers in; images of pixels 0..255 out, judged as a set and held to it example by example.

import { DataError } from '../errors.ts';
import { shapeText } from '../tensor/shape.ts';
import { type DataArray, type Dataset, makeDataset, sizeOf } from './dataset.ts';

/** How the numbers of a data set are to be read as pixels; see `asPixels`. */
export interface PixelOptions {
  /** What the data have in place of 0 and 255, such as [0, 1] or [0, 65535]. */
  readonly range?: readonly [low: number, high: number] | undefined;
  /** What to do about a set whose pixels seem to be 0..1, for the message. */
  readonly advice?: string | undefined;
}

const ADVICE = 'say `pixels: [0, 1]` where 1 is white, or `pixels: [0, 255]` where the pictures are nearly black';

/**
 * Examples that are looked at before a set is refused as one of pixels 0..1; the first that is brighter ends the look.
 */
const LOOKED_AT = 1000;
/** As many values at most, so that large images do not make it long. */
const VALUES = 2 ** 24;
/** A float32 of k/255 or k/127.5 − 1 gives k back within this. */
const NEAR = 1e-4;

/**
 * The same images as raw pixels 0..255, which is checked where they are read: a DataError names the example that leaves
 * the range. Numbers of another range are brought to it where `range` says so, and are whole again where they were made
 * of whole pixels.
 *
 * Pictures of values 0 and 1, or between, would pass for nearly black ones. So examples from all over the set are
 * looked at first, the same whatever is read of it, and where none holds more than 1 and any holds more than 0, a
 * DataError says so; [0, 255] as `range` says that they are what they are. A DataError too for images with their
 * channels last.
 */
export function asPixels(data: Dataset, { range, advice = ADVICE }: PixelOptions = {}): Dataset {
  if (data.judged && range === undefined) return data;
  const [c, , last] = data.shapes.x?.length === 3 ? data.shapes.x : [];
  const isCount = (channels: number | undefined) => channels === 1 || channels === 3;
  if (isCount(last) && !isCount(c)) {
    throw new DataError(
      `${data.name}: images are ${shapeText(data.shapes.x!)}, channels last it seems, expected [channels, height, width]; transpose them`,
    );
  }
  let judged: Promise<void> | undefined;
  const judge = () => {
    judged ??= range === undefined ? judgeSet(data, advice) : Promise.resolve();
    return judged;
  };
  const held = (arrays: Readonly<Record<string, DataArray>>, indexOf: (i: number) => number) => {
    const x = arrays.x!;
    const values = range === undefined || isWhole(range) ? x.data : scaled(x, range, data.name, indexOf);
    hold(values, x.shape[0]!, [0, 255], (i, v) => {
      const other = v < 0 && v >= -1 ? '; pixels from -1 to 1 are said so by `pixels: [-1, 1]`' : '';
      return new DataError(`${data.name}: example ${indexOf(i)} holds ${v}, expected pixels 0..255${other}`);
    });
    return values === x.data ? arrays : { ...arrays, x: { data: values, shape: x.shape } };
  };
  return makeDataset({
    ...data,
    pixels: true,
    judged: true,
    fingerprint: range === undefined || isWhole(range) ? data.fingerprint : `${data.fingerprint} pixels ${range}`,
    read: async (start, end) => {
      await judge();
      for await (const batch of data.batches(end - start, { start, end })) return held(batch.arrays, (i) => start + i);
      throw new DataError(`${data.name}: ended before example ${end}`);
    },
    pick: async (indices) => {
      await judge();
      return held((await data.gather(indices)).arrays, (i) => indices[i]!);
    },
  });
}

const isWhole = ([low, high]: readonly [number, number]) => low === 0 && high === 255;

/** Throws for a set whose pixels seem to be 0..1. */
async function judgeSet(data: Dataset, advice: string): Promise<void> {
  const size = Math.max(1, sizeOf(data.shapes.x ?? []));
  const count = Math.min(data.length, LOOKED_AT, Math.max(1, Math.floor(VALUES / size)));
  let most = 0;
  let whole = true;
  for (let k = 0; k < count; k++) {
    const start = Math.floor((k * data.length) / count);
    for await (const { arrays } of data.batches(1, { start, end: start + 1 })) {
      for (const value of arrays.x!.data) {
        const v = Number(value);
        if (!(v >= 0 && v <= 1)) return; // what is below 0 is refused where it is read
        if (v > most) most = v;
        whole &&= Number.isInteger(v);
      }
    }
  }
  if (most === 0) return; // black, whatever the range
  const values = whole ? 'only the values 0 and 1' : 'values from 0 to 1';
  const looked = count === data.length ? '' : ` in the ${count} examples looked at`;
  throw new DataError(`${data.name}: holds ${values}${looked}, expected pixels 0..255; ${advice}`);
}

/** Values of `range` brought to 0..255. */
function scaled(x: DataArray, range: readonly [number, number], name: string, indexOf: (i: number) => number) {
  const [low, high] = range;
  hold(x.data, x.shape[0]!, range, (i, v) => {
    const said = `\`pixels: [${low}, ${high}]\``;
    return new DataError(`${name}: example ${indexOf(i)} holds ${v}, expected pixels ${low}..${high} as ${said} says`);
  });
  const out = new Float32Array(x.data.length);
  for (let i = 0; i < out.length; i++) {
    const v = ((Number(x.data[i]) - low) * 255) / (high - low);
    const near = Math.round(v);
    out[i] = Math.abs(v - near) <= NEAR ? near : v;
  }
  return out;
}

function hold(
  values: DataArray['data'],
  n: number,
  [low, high]: readonly [number, number],
  wrong: (example: number, value: number) => DataError,
): void {
  const stride = values.length / n;
  for (let i = 0; i < values.length; i++) {
    const v = Number(values[i]);
    if (!(v >= low && v <= high)) throw wrong(Math.floor(i / stride), v);
  }
}
