// Encoded pictures (PNG, JPEG, WebP) -> data set of raw pixels, channels first, decoded lazily in groups.

import sharp from 'sharp';
import { DataError } from '../errors.ts';
import { type DataArray, type Dataset, makeDataset } from './dataset.ts';
import { decodingError } from './decoding.ts';

/** One picture as it lies in a file; `where` names it in messages. */
export interface EncodedImage {
  readonly bytes: Uint8Array;
  readonly where: string;
}

/** A run of consecutive pictures that are loaded together: a row group, or some files of a folder. */
export interface ImageGroup {
  readonly length: number;
  load(): Promise<readonly EncodedImage[]>;
}

/** A decoded picture: `data` holds 0..255, channels first, [c, h, w] with c = 1 (grey) or 3 (RGB). */
export interface DecodedImage {
  readonly shape: readonly [c: number, h: number, w: number];
  readonly data: Uint8Array;
  /** What viewers would do to it and is not done here. */
  readonly unlike: readonly Unlike[];
}

/**
 * Pixels are taken as they are stored, as Pillow and torchvision take them. A viewer turns a picture as its EXIF data say, and converts its
 * colours where its profile is another than sRGB.
 */
const unlikes = {
  turned: 'are to be turned by their EXIF data, and are taken as they are stored',
  profiled: 'have a colour profile other than sRGB, and are taken as they are stored',
} as const;
type Unlike = keyof typeof unlikes;

/** Decoding runs in a thread pool; more than this many at once only costs memory. */
const CONCURRENT = 16;
/** Larger pictures are refused by the decoder before it allocates them: a damaged header can claim any size. Nor are they made. */
export const MAX_PIXELS = 2 ** 24;

/**
 * A data set of pictures that must all have the size and channels of the first, checked as they are decoded. Iterating
 * holds one group of encoded pictures at a time; `gather` decodes each group it touches once and keeps its pixels as bytes.
 * `where` (the path) is for messages about the whole set; `notes` is what is known of it already.
 */
export async function imageDataset(
  name: string,
  fingerprint: string,
  groups: readonly ImageGroup[],
  where: string = name,
  notes: readonly string[] = [],
): Promise<Dataset> {
  const starts: number[] = [];
  let length = 0;
  for (const group of groups) {
    starts.push(length);
    length += group.length;
  }
  if (length === 0) throw new DataError(`${where}: holds no images`);
  let latest: { readonly group: number; readonly images: Promise<readonly EncodedImage[]> } | undefined;
  const cache: (Promise<Uint8Array> | undefined)[] = groups.map(() => undefined);

  const encoded = (group: number): Promise<readonly EncodedImage[]> => {
    if (latest?.group !== group) latest = { group, images: groups[group]!.load() };
    return latest.images;
  };
  // By name, since a picture may be read more than once.
  const met: Readonly<Record<Unlike, Set<string>>> = { turned: new Set(), profiled: new Set() };
  const meet = (image: EncodedImage, { unlike }: DecodedImage) => {
    for (const kind of unlike) met[kind].add(image.where);
  };
  const firstGroup = groups.findIndex((group) => group.length > 0);
  const first = await decodeImage((await encoded(firstGroup))[0]!);
  const { shape } = first;
  const size = first.data.length;

  /** The pixels of a whole group, decoded on first use. */
  const decoded = (group: number): Promise<Uint8Array> => {
    cache[group] ??= encoded(group).then(async (images) => {
      const out = new Uint8Array(images.length * size);
      await decodeInto(images, shape, out, meet);
      return out;
    });
    return cache[group];
  };

  /** Calls `visit` for each group that overlaps [start, end), with the overlap inside the group and where it goes. */
  const overlaps = async (
    start: number,
    end: number,
    visit: (group: number, from: number, to: number, at: number) => Promise<void>,
  ): Promise<void> => {
    for (let group = 0; group < groups.length; group++) {
      const offset = starts[group]!;
      const from = Math.max(start, offset);
      const to = Math.min(end, offset + groups[group]!.length);
      if (from < to) await visit(group, from - offset, to - offset, from - start);
    }
  };

  const asBatch = (data: Float32Array, n: number): Record<string, DataArray> => ({ x: { data, shape: [n, ...shape] } });

  return makeDataset({
    name,
    length,
    fingerprint,
    shapes: { x: shape },
    pixels: true,
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
      await overlaps(start, end, async (group, from, to, at) => {
        const kept = cache[group];
        const place = out.subarray(at * size, (at + to - from) * size);
        if (kept !== undefined) place.set((await kept).subarray(from * size, to * size));
        else await decodeInto((await encoded(group)).slice(from, to), shape, place, meet);
      });
      return asBatch(out, end - start);
    },
    async pick(indices) {
      const out = new Float32Array(indices.length * size);
      for (let i = 0; i < indices.length; i++) {
        const group = groupOf(starts, indices[i]!);
        const row = indices[i]! - starts[group]!;
        const pixels = await decoded(group);
        out.set(pixels.subarray(row * size, (row + 1) * size), i * size);
      }
      return asBatch(out, indices.length);
    },
  });
}

/** The last group that starts at or before the example; empty groups share their start with the one after them. */
function groupOf(starts: readonly number[], index: number): number {
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
  images: readonly EncodedImage[],
  shape: DecodedImage['shape'],
  out: Uint8Array | Float32Array,
  meet: (image: EncodedImage, decoded: DecodedImage) => void,
): Promise<void> {
  for (let i = 0; i < images.length; i += CONCURRENT) {
    const decoded = await Promise.all(images.slice(i, i + CONCURRENT).map((image) => decodeImage(image, shape)));
    decoded.forEach((image, k) => {
      meet(images[i + k]!, image);
      out.set(image.data, (i + k) * image.data.length);
    });
  }
}

/**
 * Decodes one PNG, JPEG or WebP picture: grey stays one channel, colour becomes RGB, a fully opaque alpha channel is
 * dropped; colour profiles and EXIF data change nothing. Throws a DataError naming the picture when it is damaged, of another format, transparent, animated, of more
 * than 8 bits a channel (which would have to be rounded), larger than 2^24 pixels or not of the `expected` shape (which is
 * checked before the pixels are decoded).
 */
export async function decodeImage(image: EncodedImage, expected?: DecodedImage['shape']): Promise<DecodedImage> {
  const { bytes, where } = image;
  if (!isPicture(bytes)) {
    const found = [...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    const start = bytes.length === 0 ? 'is empty' : `starts with ${found}`;
    throw new DataError(`${where}: ${start}, expected a PNG, JPEG or WebP picture`);
  }
  try {
    const options = { limitInputPixels: MAX_PIXELS, ignoreIcc: true };
    const picture = sharp(bytes, options);
    const meta = await picture.metadata();
    if (meta.depth !== 'uchar') throw new DataError(`${where}: has ${meta.depth} channels, expected 8 bits a channel`);
    const pages = Math.max(meta.pages ?? 1, framesOfPng(bytes));
    if (pages > 1) throw new DataError(`${where}: is animated (${pages} frames), expected one picture`);
    if (meta.space === 'cmyk') throw new DataError(`${where}: is a CMYK picture, expected grey or RGB`);
    const grey = meta.channels - (meta.hasAlpha ? 1 : 0) === 1;
    const shape = [grey ? 1 : 3, meta.height, meta.width] as const;
    if (expected?.some((d, axis) => d !== shape[axis])) {
      throw new DataError(`${where}: is ${describe(shape)}, expected ${describe(expected)} like the first image`);
    }
    // Looked at by itself: it is dropped where grey is asked for, and a transparent colour of a palette or of grey is no channel.
    if (meta.hasAlpha) {
      const alpha = await sharp(bytes, options).extractChannel('alpha').raw().toBuffer();
      const at = alpha.findIndex((value) => value !== 255);
      if (at >= 0) {
        const place = `row ${Math.floor(at / meta.width)}, column ${at % meta.width}`;
        throw new DataError(`${where}: is transparent at ${place} (alpha ${alpha[at]}), expected opaque pixels`);
      }
    }
    // The library turns grey into RGB unless told not to.
    const { data, info } = await picture
      .toColourspace(grey ? 'b-w' : 'srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const unlike: Unlike[] = [];
    if ((meta.orientation ?? 1) > 1) unlike.push('turned');
    if (meta.icc && !isSrgb(meta.icc)) unlike.push('profiled');
    return { shape, data: toPlanes(data, info, shape, where), unlike };
  } catch (error) {
    throw decodingError(error, where, 'damaged picture');
  }
}

/** How many frames an animated PNG says it has, which the decoder does not tell; 1 of any other picture. */
function framesOfPng(bytes: Uint8Array): number {
  if (bytes[0] !== 0x89) return 1;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Before the pixels.
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === 'acTL') return view.getUint32(at + 8);
    if (type === 'IDAT') return 1;
  }
  return 1;
}

/** By the description, which is ASCII in version 2 of such profiles and UTF-16 in version 4. */
function isSrgb(profile: Uint8Array): boolean {
  const text = new TextDecoder('latin1').decode(profile);
  return text.replaceAll('\0', '').includes('sRGB');
}

/** Interleaved [h, w, channels] -> planes [c, h, w]; a channel beyond the c colours is alpha, and opaque. */
function toPlanes(
  data: Uint8Array,
  info: { readonly width: number; readonly height: number; readonly channels: number },
  shape: DecodedImage['shape'],
  where: string,
): Uint8Array {
  const [c, h, w] = shape;
  const { channels } = info;
  if ((channels !== c && channels !== c + 1) || info.height !== h || info.width !== w) {
    const found = `${channels} channels of ${info.height}×${info.width}`;
    throw new DataError(`${where}: decodes to ${found}, its header says ${describe(shape)}`);
  }
  const plane = h * w;
  const out = new Uint8Array(c * plane);
  for (let p = 0; p < plane; p++) {
    for (let k = 0; k < c; k++) out[k * plane + p] = data[p * channels + k]!;
  }
  return out;
}

/** PNG, JPEG or WebP by the first bytes. The decoder would take more formats, some of them with scripts or links. */
function isPicture(bytes: Uint8Array): boolean {
  const ascii = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  const png = ascii(1, 4) === 'PNG' && bytes[0] === 0x89;
  const jpeg = bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff;
  const webp = ascii(0, 4) === 'RIFF' && ascii(8, 12) === 'WEBP';
  return png || jpeg || webp;
}

function describe(shape: DecodedImage['shape']): string {
  const [c, h, w] = shape;
  return `${c === 1 ? 'grey' : 'RGB'} ${h}×${w}`;
}
