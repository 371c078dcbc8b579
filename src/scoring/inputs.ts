// Raw inputs of any kind (pixels, encoded pictures, data sets; paths and addresses by whoever opens them) in; one data
// set out.

import {
  type Dataset,
  type DecodeImage,
  type EncodedFile,
  fingerprintOf,
  makeDataset,
  memoryDataset,
  type Preparation,
} from '../data/index.ts';
import { DataError, UsageError } from '../errors.ts';
import { asModelTakes } from '../features/index.ts';
import { inOrder } from '../in-order.ts';
import type { ScoringModel } from '../store/index.ts';
import { shapeText } from '../tensor/shape.ts';

/** Pixels 0..255 of one picture, a row after the other. `ImageData` of a canvas is such a picture. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray | Float32Array;
  readonly width: number;
  readonly height: number;
  /**
   * Whether the channels of a pixel stand beside each other ('last': [height, width, channels]) or are planes behind
   * each other ('first'). To be said of pictures with colours, but for clamped bytes with four channels, as a canvas
   * has them. A fourth channel is opacity.
   */
  readonly channels?: 'first' | 'last';
}

/**
 * One input, or a set of them. A text is what `open` makes of it: in Node a path or a known set, in a browser an
 * address.
 */
export type Input = Pixels | Uint8Array | ArrayBuffer | Blob | Dataset | string;

/** What the machine can read. */
export interface Opening {
  /** Decodes encoded pictures. */
  readonly decodeImage?: DecodeImage | undefined;
  /** Opens what is named: a data set, or a picture that `decodeImage` decodes. */
  readonly open?: ((name: string) => Promise<Dataset | EncodedFile>) | undefined;
  /** What pictures have in place of 0 and 255, see `asPixels`. */
  readonly pixels?: readonly [low: number, high: number] | undefined;
}

/**
 * The inputs, each made ready for the model by itself: pictures of several sizes come out as one set. Pictures of 0 and
 * 1 are refused where there is no brighter one among them.
 */
export async function inputsFor(
  model: ScoringModel,
  inputs: Input | readonly Input[],
  opening: Opening,
): Promise<Dataset> {
  const given = isList(inputs) ? inputs : [inputs];
  if (given.length === 0) throw new UsageError('there is no input to score');
  const all: Opened[] = [];
  for (const [k, input] of given.entries()) {
    all.push(await opened(input, given.length === 1 ? 'the input' : `input ${k}`, opening));
  }
  const isBright = all.some(({ brightest }) => brightest !== undefined && brightest > 1);
  const sets = all.map(({ set, brightest }) => {
    const range = opening.pixels ?? (isBright && brightest !== undefined ? ([0, 255] as const) : undefined);
    return asModelTakes(model, set, { pixels: range });
  });
  return sets.length === 1 ? sets[0]! : joined(sets, model.preparation ?? {});
}

interface Opened {
  readonly set: Dataset;
  /** Of a picture by itself, its largest value. */
  readonly brightest?: number;
}

const isList = (inputs: Input | readonly Input[]): inputs is readonly Input[] => Array.isArray(inputs);

async function opened(input: Input, name: string, { decodeImage, open }: Opening): Promise<Opened> {
  if (typeof input === 'string') {
    const found = await open?.(input);
    if (found) return 'batches' in found ? { set: found } : decoded(found, decodeImage);
    throw new UsageError(`${name}: is the name '${input}', and nothing was given that opens names (open)`);
  }
  if ('batches' in input) return { set: input };
  if ('width' in input) return pictureOf(input, name);
  const bytes =
    input instanceof Uint8Array
      ? input
      : new Uint8Array(input instanceof ArrayBuffer ? input : await input.arrayBuffer());
  return decoded({ bytes, where: name }, decodeImage);
}

async function decoded(picture: EncodedFile, decodeImage: DecodeImage | undefined): Promise<Opened> {
  const { where } = picture;
  if (!decodeImage) {
    throw new UsageError(`${where}: is encoded, and nothing was given that decodes pictures (decodeImage)`);
  }
  const { shape, data } = await decodeImage(picture);
  return pictureSet(where, data, shape);
}

/** A set of one picture, channels first. */
function pictureSet(name: string, data: Uint8Array | Float32Array, shape: readonly number[]): Opened {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const set = memoryDataset(name, 1, fingerprintOf(shapeText(shape), bytes), { x: { data, shape, pixels: true } });
  let brightest = 0;
  for (const v of data) if (v > brightest) brightest = v;
  return { set, brightest };
}

/** A set of one picture: channels first, opacity gone. */
function pictureOf(pixels: Pixels, name: string): Opened {
  const { data, width, height } = pixels;
  const whole = [width, height].every((d) => Number.isInteger(d) && d >= 1);
  const channels = data.length / (width * height);
  if (!whole || ![1, 3, 4].includes(channels)) {
    throw new DataError(
      `${name}: has ${data.length} values for ${height} rows of ${width} pixels, expected 1, 3 or 4 times ${height}·${width}`,
    );
  }
  const isCanvas = data instanceof Uint8ClampedArray && channels === 4;
  const order = pixels.channels ?? (isCanvas || channels === 1 ? 'last' : undefined);
  if (order === undefined) {
    throw new UsageError(
      `${name}: has ${channels} channels; say whether they are planes or stand beside each other (channels: 'first' or 'last')`,
    );
  }
  const size = width * height;
  const at = (k: number, p: number) => (order === 'first' ? k * size + p : p * channels + k);
  if (channels === 4) {
    for (let p = 0; p < size; p++) {
      if (data[at(3, p)] === 255) continue;
      const place = `row ${Math.floor(p / width)}, column ${p % width}`;
      throw new DataError(`${name}: is transparent at ${place}, expected opaque pixels; put it on a background first`);
    }
  }
  const c = channels === 1 ? 1 : 3;
  const make = data instanceof Float32Array ? Float32Array : Uint8Array;
  const planes = new make(c * size);
  for (let k = 0; k < c; k++) for (let p = 0; p < size; p++) planes[k * size + p] = data[at(k, p)]!;
  return pictureSet(name, planes, [c, height, width]);
}

/** The examples of several sets behind one another, all as the model takes them. */
function joined(sets: readonly Dataset[], prepared: Preparation): Dataset {
  const first = sets[0]!;
  const starts = [0];
  for (const set of sets) starts.push(starts.at(-1)! + set.length);
  const length = starts.at(-1)!;
  const gather = async (indices: readonly number[]) => {
    const parts = await inOrder(
      sets.map(async (set, k) => {
        const own = indices.filter((i) => i >= starts[k]! && i < starts[k + 1]!).map((i) => i - starts[k]!);
        return { own, arrays: own.length === 0 ? {} : (await set.gather(own)).arrays };
      }),
    );
    return Object.fromEntries(
      Object.entries(first.shapes).map(([name, shape]) => {
        const from = parts.find(({ own }) => own.length > 0)!.arrays[name]!.data;
        const stride = shape.reduce((n, d) => n * d, 1);
        const data = new (from.constructor as new (length: number) => typeof from)(indices.length * stride);
        const taken = parts.map(() => 0);
        for (const [row, i] of indices.entries()) {
          const k = starts.findLastIndex((start) => start <= i);
          const source = parts[k]!.arrays[name]!.data;
          const at = taken[k]!++;
          data.set(source.subarray(at * stride, (at + 1) * stride) as never, row * stride);
        }
        return [name, { data, shape: [indices.length, ...shape] }] as const;
      }),
    );
  };
  return makeDataset({
    name: `${length} inputs`,
    length,
    shapes: first.shapes,
    fingerprint: fingerprintOf(...sets.map(({ fingerprint }) => fingerprint)),
    pixels: sets.every(({ pixels }) => pixels),
    judged: true,
    prepared,
    notes: () => [...new Set(sets.flatMap((set) => set.notes()))],
    read: (start, end) => gather(Array.from({ length: end - start }, (_, i) => start + i)),
    pick: (indices) => gather(Array.from(indices)),
  });
}
