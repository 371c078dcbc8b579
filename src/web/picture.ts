// One picture (PNG, JPEG, WebP) in, its pixels out, by the browser's own decoder and a canvas.

import {
  type Background,
  composed,
  type DecodedImage,
  type DecodeImage,
  decodingOn,
  isTransparent,
  MAX_PIXELS,
} from '../data/images.ts';
import type { EncodedFile } from '../data/source.ts';
import { DataError } from '../errors.ts';

interface Header {
  readonly type: 'image/png' | 'image/jpeg' | 'image/webp';
  /** Whether it has one channel, which a canvas does not tell. */
  readonly grey: boolean;
  /** What of it a canvas would not show as it is. */
  readonly refused?: string;
}

/**
 * See `DecodeImage`. Browsers decode PNG and lossless WebP to the same pixels as everybody else; JPEG and lossy WebP
 * leave some freedom, and may differ by one or two from another decoder. Throws a DataError where a picture is damaged,
 * or one that a canvas would not show as it is.
 */
export const decodeImage: DecodeImage = (image, expected) => decode(image, expected, undefined);

/**
 * The same, with transparent pictures put on `background`: canvases keep colours times their opacity, so these may be
 * one off.
 */
export const decodeOn = (background: Background): DecodeImage => decodingOn(background, decode);

async function decode(
  { bytes, where }: EncodedFile,
  expected: DecodedImage['shape'] | undefined,
  background: Background | undefined,
): Promise<DecodedImage> {
  const { type, grey, refused } = headerOf(bytes, where);
  if (refused !== undefined) throw new DataError(`${where}: ${refused}`);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([withoutExif(bytes, type)], { type }), {
      colorSpaceConversion: 'none',
      premultiplyAlpha: 'none',
    });
  } catch (error) {
    throw new DataError(`${where}: damaged picture: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) throw new DataError(`${where}: has ${width * height} pixels, expected at most 2^24`);
  const shape: DecodedImage['shape'] = [grey ? 1 : 3, height, width];
  if (expected?.some((d, axis) => d !== shape[axis])) {
    throw new DataError(`${where}: is ${describe(shape)}, expected ${describe(expected)} like the first image`);
  }
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new DataError(`${where}: the browser gives no canvas of ${width}×${height} pixels`);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const size = width * height;
  const planes = new Uint8Array(shape[0] * size);
  const alpha = new Uint8Array(size);
  for (let p = 0; p < size; p++) {
    alpha[p] = data[4 * p + 3]!;
    for (let k = 0; k < shape[0]; k++) planes[k * size + p] = data[4 * p + k]!;
  }
  const mixed = isTransparent(alpha, shape, background, where);
  return { shape, data: mixed ? composed(planes, alpha, background!) : planes, unlike: [] };
}

const describe = ([c, h, w]: DecodedImage['shape']) => `${c === 1 ? 'grey' : 'RGB'} ${h}×${w}`;

function headerOf(bytes: Uint8Array, where: string): Header {
  const ascii = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (bytes[0] === 0x89 && ascii(1, 4) === 'PNG') return pngHeader(bytes);
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpegHeader(bytes);
  if (ascii(0, 4) === 'RIFF' && ascii(8, 12) === 'WEBP') {
    const animated = ascii(12, 16) === 'VP8X' && (bytes[20]! & 2) !== 0;
    return { type: 'image/webp', grey: false, ...(animated ? { refused: ANIMATED } : {}) };
  }
  const found = [...bytes.subarray(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join(' ');
  const start = bytes.length === 0 ? 'is empty' : `starts with ${found}`;
  throw new DataError(`${where}: ${start}, expected a PNG, JPEG or WebP picture`);
}

const ANIMATED = 'is animated, expected one picture';

/**
 * The same picture without its EXIF data: pixels are taken as they are stored, and browsers turn a picture as those
 * say, whatever they are asked for.
 */
function withoutExif(bytes: Uint8Array, type: Header['type']): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Uint8Array[] = [];
  if (type === 'image/webp') {
    const copy = Uint8Array.from(bytes);
    if (String.fromCharCode(...bytes.subarray(12, 16)) === 'VP8X') copy[20]! &= ~8; // says that there are none
    return copy;
  }
  let at = type === 'image/png' ? 8 : 2;
  kept.push(bytes.subarray(0, at));
  if (type === 'image/png') {
    while (at + 12 <= bytes.length) {
      const end = Math.min(bytes.length, at + 12 + view.getUint32(at));
      const isExif = String.fromCharCode(...bytes.subarray(at + 4, at + 8)) === 'eXIf';
      if (!isExif) kept.push(bytes.subarray(at, end));
      at = end;
    }
  } else {
    // Segments before the scan; 0xe1 is where EXIF data are.
    while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
      const end = Math.min(bytes.length, at + 2 + view.getUint16(at + 2));
      if (bytes[at + 1] !== 0xe1) kept.push(bytes.subarray(at, end));
      at = end;
    }
  }
  kept.push(bytes.subarray(at));
  const out = new Uint8Array(kept.reduce((n, { length }) => n + length, 0));
  let to = 0;
  for (const piece of kept) {
    out.set(piece, to);
    to += piece.length;
  }
  return out;
}

/** Of the first chunk, IHDR, and those before the pixels. */
function pngHeader(bytes: Uint8Array): Header {
  const [depth, colour] = [bytes[24], bytes[25]];
  const grey = colour === 0 || colour === 4;
  if (depth === 16) return { type: 'image/png', grey, refused: 'has 16 bits a channel, expected 8 bits a channel' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (type === 'acTL') return { type: 'image/png', grey, refused: ANIMATED };
    if (type === 'IDAT') break;
  }
  return { type: 'image/png', grey };
}

/** Of the frame header, SOF, which has the number of channels. */
function jpegHeader(bytes: Uint8Array): Header {
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + ((bytes[at + 2]! << 8) | bytes[at + 3]!)) {
    const marker = bytes[at + 1]!;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (!isFrame) continue;
    const channels = bytes[at + 9];
    const refused = channels === 4 ? { refused: 'is a CMYK picture, expected grey or RGB' } : {};
    return { type: 'image/jpeg', grey: channels === 1, ...refused };
  }
  return { type: 'image/jpeg', grey: false }; // the decoder will say what is wrong with it
}
