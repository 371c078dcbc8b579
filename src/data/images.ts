// Encoded pictures (PNG, JPEG, WebP) -> data set of raw pixels, channels first, decoded lazily in runs.

import { DataError } from '../errors.ts';
import { inOrder } from '../in-order.ts';
import { type DataArray, type Dataset, makeDataset } from './dataset.ts';
import { wholeOf } from './origin.ts';
import type { EncodedFile } from './source.ts';

/** A run of consecutive pictures that are loaded together: a row group of Parquet, or some files of a folder. */
export interface ImageRun {
  readonly length: number;
  load(): Promise<readonly EncodedFile[]>;
  /** What they are called. All runs of a set have it, or none. */
  readonly ids?: () => Promise<readonly string[]>;
}

/** Endings of pictures that are read, in lower case. */
export const PICTURES: ReadonlySet<string> = new Set('.png .jpg .jpeg .jpe .jfif .webp'.split(' '));
/** Those of pictures that a user would take for a part of the data; leaving them out would change the result. */
export const UNREADABLE_PICTURES: ReadonlySet<string> = new Set(
  (
    '.apng .gif .bmp .dib .tif .tiff .avif .heic .heif .jxl .jp2 .j2k .jpx .jpf .jxr .ppm .pgm .pbm .pnm .pam .pfm .svg .svgz .exr .hdr .ico ' +
    '.cur .icns .tga .psd .psb .xcf .pcx .dds .qoi .ras .sgi .xbm .xpm .eps .dng .cr2 .cr3 .nef .arw .orf .raf .rw2 .dcm .mpo .fits'
  ).split(' '),
);

/** A decoded picture: `data` holds 0..255, channels first, [c, h, w] with c = 1 (grey) or 3 (RGB). */
export interface DecodedImage {
  readonly shape: readonly [c: number, h: number, w: number];
  readonly data: Uint8Array;
  /** What viewers would do to it and is not done here. */
  readonly unlike: readonly Unlike[];
}

/**
 * Pixels are taken as they are stored, as Pillow and torchvision take them. A viewer turns a picture as its EXIF data
 * say, and converts its colours where its profile is another than sRGB.
 */
const unlikes = {
  turned: 'are to be turned by their EXIF data, and are taken as they are stored',
  profiled: 'have a colour profile other than sRGB, and are taken as they are stored',
} as const;
export type Unlike = keyof typeof unlikes;

/**
 * Decodes one PNG, JPEG or WebP picture: grey stays one channel, colour becomes RGB, a fully opaque alpha channel is
 * dropped; colour profiles and EXIF data change nothing. Throws a DataError naming the picture when it is damaged, of
 * another format, transparent (unless the decoder was given what to put it on), animated, of more than 8 bits a channel
 * (which would have to be rounded), larger than 2^24 pixels or not of the `expected` shape (which is checked before the
 * pixels are decoded).
 */
export interface DecodeImage {
  (image: EncodedFile, expected?: DecodedImage['shape']): Promise<DecodedImage>;
  /** What it does to pictures where a plain decoder refuses them; goes into fingerprints. */
  readonly done?: string;
}

/** What transparent pixels are put on: red, green, blue, 0..255. */
export type Background = readonly [red: number, green: number, blue: number];

/** A decoder that puts transparent pictures on `background`; its `done` tells the colour. */
export function decodingOn(
  background: Background,
  decode: (image: EncodedFile, expected: DecodedImage['shape'] | undefined, on: Background) => Promise<DecodedImage>,
): DecodeImage {
  const own = (image: EncodedFile, expected?: DecodedImage['shape']) => decode(image, expected, background);
  return Object.assign(own, { done: `on ${background}` });
}

/**
 * Whether a picture [c, h, w] is to be put on the background: where its opacity [h, w] is not 255 throughout. Throws a
 * DataError where there is no background, or one in colour for a picture in grey.
 */
export function isTransparent(
  alpha: Uint8Array | undefined,
  [c, , w]: DecodedImage['shape'],
  background: Background | undefined,
  where: string,
): alpha is Uint8Array {
  const at = alpha?.findIndex((value) => value !== 255) ?? -1;
  if (at < 0) return false;
  if (background === undefined) {
    const place = `row ${Math.floor(at / w)}, column ${at % w}`;
    throw new DataError(
      `${where}: is transparent at ${place} (alpha ${alpha![at]}), expected opaque pixels; say what to put it on with \`background: white\`, black or another colour`,
    );
  }
  if (c === 1 && new Set(background).size > 1) {
    throw new DataError(`${where}: is grey, and cannot be put on the colour ${background}; give a grey background`);
  }
  return true;
}

/** Colours [c, h, w] put on a background by their opacity [h, w], rounded as Pillow's `Image.paste` rounds. */
export function composed(planes: Uint8Array, alpha: Uint8Array, background: Background): Uint8Array {
  const size = alpha.length;
  return planes.map((value, i) => {
    const opacity = alpha[i % size]!;
    return Math.round((value * opacity + background[Math.floor(i / size)]! * (255 - opacity)) / 255);
  });
}

/** Decoding runs in a thread pool; more than this many at once only costs memory. */
const CONCURRENT = 16;
/**
 * Larger pictures are refused by the decoder before it allocates them: a damaged header can claim any size. Nor are
 * they made.
 */
export const MAX_PIXELS = 2 ** 24;

export interface ImageOptions {
  readonly decode: DecodeImage;
  /** The file or folder, for messages about the whole set; left out: its name. */
  readonly where?: string;
  /** What is known of it already. */
  readonly notes?: readonly string[];
}

/**
 * A data set of pictures that must all have the size and channels of the first, checked as they are decoded. Iterating
 * holds one run of encoded pictures at a time; `gather` decodes each run it touches once and keeps its pixels as bytes.
 */
export async function imageDataset(
  name: string,
  fingerprint: string,
  runs: readonly ImageRun[],
  { decode, where = name, notes = [] }: ImageOptions,
): Promise<Dataset> {
  const starts: number[] = [];
  let length = 0;
  for (const run of runs) {
    starts.push(length);
    length += run.length;
  }
  if (length === 0) throw new DataError(`${where}: holds no images`);
  let latest: { readonly run: number; readonly images: Promise<readonly EncodedFile[]> } | undefined;
  const cache: (Promise<Uint8Array> | undefined)[] = runs.map(() => undefined);

  const encoded = (run: number): Promise<readonly EncodedFile[]> => {
    if (latest?.run !== run) latest = { run, images: runs[run]!.load() };
    return latest.images;
  };
  // By name, since a picture may be read more than once.
  const met: Readonly<Record<Unlike, Set<string>>> = { turned: new Set(), profiled: new Set() };
  const meet = (image: EncodedFile, { unlike }: DecodedImage) => {
    for (const kind of unlike) met[kind].add(image.where);
  };
  const firstRun = runs.findIndex((run) => run.length > 0);
  const first = await decode((await encoded(firstRun))[0]!);
  const { shape } = first;
  const size = first.data.length;

  /** The pixels of a whole run, decoded on first use. */
  const decoded = (run: number): Promise<Uint8Array> => {
    cache[run] ??= encoded(run).then(async (images) => {
      const out = new Uint8Array(images.length * size);
      await decodeInto(decode, images, shape, out, meet);
      return out;
    });
    return cache[run];
  };

  /** Calls `visit` for each run that overlaps [start, end), with the overlap inside the run and where it goes. */
  const overlaps = async (
    start: number,
    end: number,
    visit: (run: number, from: number, to: number, at: number) => Promise<void>,
  ): Promise<void> => {
    for (let run = 0; run < runs.length; run++) {
      const offset = starts[run]!;
      const from = Math.max(start, offset);
      const to = Math.min(end, offset + runs[run]!.length);
      if (from < to) await visit(run, from - offset, to - offset, from - start);
    }
  };

  let named: { readonly run: number; readonly ids: Promise<readonly string[]> } | undefined;
  const idsOf = async (indices: ArrayLike<number>): Promise<readonly string[]> => {
    const ids: string[] = [];
    for (let i = 0; i < indices.length; i++) {
      const run = runOf(starts, indices[i]!);
      if (named?.run !== run) named = { run, ids: runs[run]!.ids!() };
      ids.push((await named.ids)[indices[i]! - starts[run]!]!);
    }
    return ids;
  };

  const asBatch = (data: Float32Array, n: number): Record<string, DataArray> => ({ x: { data, shape: [n, ...shape] } });

  return makeDataset({
    name,
    length,
    fingerprint: decode.done === undefined ? fingerprint : `${fingerprint} ${decode.done}`,
    origin: wholeOf(fingerprint, length),
    shapes: { x: shape },
    pixels: true,
    ...(runs.every((run) => run.ids) ? { ids: idsOf } : {}),
    notes: () => [
      ...notes,
      ...Object.entries(unlikes).flatMap(([kind, text]) => {
        const images = met[kind as Unlike];
        const [example] = images;
        return example === undefined ? [] : [`${images.size} of the pictures read, such as ${example}, ${text}`];
      }),
    ],
    async read(start, end) {
      const out = new Float32Array((end - start) * size);
      await overlaps(start, end, async (run, from, to, at) => {
        const kept = cache[run];
        const place = out.subarray(at * size, (at + to - from) * size);
        if (kept !== undefined) place.set((await kept).subarray(from * size, to * size));
        else await decodeInto(decode, (await encoded(run)).slice(from, to), shape, place, meet);
      });
      return asBatch(out, end - start);
    },
    async pick(indices) {
      const out = new Float32Array(indices.length * size);
      for (let i = 0; i < indices.length; i++) {
        const run = runOf(starts, indices[i]!);
        const row = indices[i]! - starts[run]!;
        const pixels = await decoded(run);
        out.set(pixels.subarray(row * size, (row + 1) * size), i * size);
      }
      return asBatch(out, indices.length);
    },
  });
}

/** The last run that starts at or before the example; empty runs share their start with the one after them. */
function runOf(starts: readonly number[], index: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (starts[middle]! <= index) low = middle;
    else high = middle - 1;
  }
  return low;
}

async function decodeInto(
  decode: DecodeImage,
  images: readonly EncodedFile[],
  shape: DecodedImage['shape'],
  out: Uint8Array | Float32Array,
  meet: (image: EncodedFile, decoded: DecodedImage) => void,
): Promise<void> {
  for (let i = 0; i < images.length; i += CONCURRENT) {
    const decoded = await inOrder(images.slice(i, i + CONCURRENT).map((image) => decode(image, shape)));
    decoded.forEach((image, k) => {
      meet(images[i + k]!, image);
      out.set(image.data, (i + k) * image.data.length);
    });
  }
}
