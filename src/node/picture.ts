// One picture (PNG, JPEG, WebP) in, its pixels out, by sharp.

import { decodingError } from '../data/decoding.ts';
import {
  type Background,
  composed,
  type DecodedImage,
  type DecodeImage,
  decodingOn,
  isTransparent,
  MAX_PIXELS,
  type Unlike,
} from '../data/images.ts';
import type { EncodedFile } from '../data/source.ts';
import { DataError } from '../errors.ts';

/**
 * The pixels of a picture, as `DecodeImage` says. Throws a DataError that names the file where it is none, or none that
 * can be read.
 */
export const decodeImage: DecodeImage = (image, expected) => decode(image, expected, undefined);

/** The same, with transparent pictures put on `background`. */
export const decodeOn = (background: Background): DecodeImage => decodingOn(background, decode);

async function decode(
  { bytes, where }: EncodedFile,
  expected: DecodedImage['shape'] | undefined,
  background: Background | undefined,
): Promise<DecodedImage> {
  if (!isPicture(bytes)) {
    const found = [...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
    const start = bytes.length === 0 ? 'is empty' : `starts with ${found}`;
    throw new DataError(`${where}: ${start}, expected a PNG, JPEG or WebP picture`);
  }
  const { default: sharp } = await import('sharp'); // only now: with its library it takes a tenth of a second to load
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
    // Looked at by itself: it is dropped where grey is asked for, and a transparent colour of a palette or of grey is
    // no channel.
    const alpha = meta.hasAlpha ? await sharp(bytes, options).extractChannel('alpha').raw().toBuffer() : undefined;
    const mixed = isTransparent(alpha, shape, background, where);
    // The library turns grey into RGB unless told not to.
    const { data, info } = await picture
      .toColourspace(grey ? 'b-w' : 'srgb')
      .raw()
      .toBuffer({ resolveWithObject: true });
    const unlike: Unlike[] = [];
    if ((meta.orientation ?? 1) > 1) unlike.push('turned');
    if (meta.icc && !isSrgb(meta.icc)) unlike.push('profiled');
    const planes = toPlanes(data, info, shape, where);
    return { shape, data: mixed ? composed(planes, alpha, background!) : planes, unlike };
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
