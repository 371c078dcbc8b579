// Recordings of speech or other short sounds -> log-mel spectrograms, as images of 32×32.

import FFT from 'fft.js';
import * as wavefile from 'wavefile';
import { type Dataset, fingerprintOf, memoryDataset } from './dataset.ts';
import { decodingError } from './decoding.ts';
import { seemsToBe } from './kinds.ts';
import type { EncodedFile } from './source.ts';

/** Node loads the package's CommonJS, whose content is its default; bundlers take its module. */
const { WaveFile } = (Reflect.get(wavefile, 'default') ?? wavefile) as typeof wavefile;

/** Samples per second; recordings of another rate are resampled. */
const sampleRate = 8000;
const bands = 32;
const frames = 32;
const [frame, hop] = [256, 160];
/** Samples that a spectrogram covers: 0.65 s. */
const covered = frame + (frames - 1) * hop;
const [lowest, highest] = [60, 4000]; // Hz
const range = 80; // dB

/**
 * Takes .wav files as log-mel spectrograms: 'x' of [1, 32, 32], one example a file. Rows are mel bands from 4000 Hz at
 * the top down to 60 Hz, columns are frames of 256 samples, 160 apart, at 8 kHz; values are decibels below the loudest,
 * −80..0 as 0..255. Channels are averaged; a recording longer than 0.65 s is cut to its middle, a shorter one lies
 * between silence.
 *
 * `notes` is what is known of them already. Throws a DataError that names the file where it cannot be read, is no WAV
 * file or has no samples.
 */
export async function openRecordings(
  files: readonly (() => Promise<EncodedFile>)[],
  name: string,
  notes: readonly string[] = [],
): Promise<Dataset> {
  const size = bands * frames;
  const data = new Uint8Array(files.length * size);
  for (const [i, load] of files.entries()) {
    const { bytes, where } = await load();
    data.set(logMel(readWav(bytes, where)), i * size);
  }
  const set = memoryDataset(name, files.length, fingerprintOf('log-mel', `${bands}×${frames}`, data), {
    x: { data, shape: [1, bands, frames], pixels: true },
  });
  return { ...set, notes: () => notes };
}

/** Samples besides the covered ones that a resampling filter may want to see. */
const margin = 256;

/**
 * The middle of a WAV file, of at most 0.65 s and a little more, as one channel of 8 kHz. Integers of 8 to 32 bits,
 * floats of 32 or 64, A-law and µ-law.
 */
export function readWav(bytes: Uint8Array, where: string): Float64Array {
  try {
    return decode(middleOf(bytes));
  } catch (error) {
    throw decodingError(error, where, 'cannot be read as a WAV file');
  }
}

function decode(wav: wavefile.WaveFile): Float64Array {
  const { numChannels, sampleRate: rate } = wav.fmt as Format;
  if (wav.bitDepth === '8a') wav.fromALaw();
  if (wav.bitDepth === '8m') wav.fromMuLaw();
  wav.toBitDepth('64');
  const given = wav.getSamples(true, Float64Array) as unknown as Float64Array; // declared as bytes
  const isConstant = given.every((value, i) => value === given[i % numChannels]);
  if (rate !== sampleRate) wav.toSampleRate(sampleRate);
  const values = wav.getSamples(true, Float64Array) as unknown as Float64Array; // declared as bytes
  const mono = Float64Array.from({ length: Math.floor(values.length / numChannels) }, (_, i) =>
    values.subarray(i * numChannels, (i + 1) * numChannels).reduce((sum, value) => sum + value / numChannels, 0),
  );
  const wrong = mono.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw new Error(`sample ${wrong} is ${mono[wrong]}`);
  // A constant is no sound; resampled and cut off, it would be taken for a click.
  return isConstant ? mono.fill(0) : mono;
}

interface Format {
  readonly numChannels: number;
  readonly sampleRate: number;
}

/** Codes of encodings: integers, floats, A-law, µ-law, and 'see below'. */
const [PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE] = [1, 3, 6, 7, 0xfffe] as const;

/**
 * A WAV file of what is needed of this one: its format, plainly said, and its middle. The library takes it from there;
 * by itself it reads floats with an extensible header as integers, any encoding as PCM, and takes very long for some
 * files with lists.
 */
function middleOf(bytes: Uint8Array): wavefile.WaveFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  const isLong = tag(0) === 'RF64' || tag(0) === 'BW64';
  if (tag(0) === 'RIFX') throw new Error('has its numbers the other way round (big-endian, RIFX)');
  if (bytes.length < 12 || (tag(0) !== 'RIFF' && !isLong) || tag(8) !== 'WAVE') {
    const seems = seemsToBe(bytes);
    throw new Error(`does not start with 'RIFF' and 'WAVE'${seems ? `, seems to be ${seems.what}` : ''}`);
  }
  let format: { start: number; size: number } | undefined;
  let longSize: number | undefined; // of the samples, where 32 bits do not suffice
  const parts: Uint8Array[] = [];
  for (let at = 12; at + 8 <= bytes.length; ) {
    const chunk = { start: at + 8, size: view.getUint32(at + 4, true) };
    const left = bytes.length - chunk.start;
    if (tag(at) === 'ds64' && isLong && chunk.size >= 24 && left >= 24) {
      longSize = Number(view.getBigUint64(chunk.start + 8, true));
    }
    if (tag(at) === 'fmt ') format ??= chunk;
    if (tag(at) === 'data') {
      if (chunk.size === 0xffffffff && longSize !== undefined) chunk.size = longSize;
      // What a program writes that cannot go back to say how much there was, as into a pipe: all that follows.
      else if (chunk.size >= UNKNOWN_SIZE || (chunk.size === 0 && left > 0 && !isChunk(bytes, chunk.start)))
        chunk.size = left;
      if (chunk.size > left) throw new Error(`has ${left} of ${chunk.size} bytes of samples`);
      parts.push(bytes.subarray(chunk.start, chunk.start + chunk.size));
    }
    at = chunk.start + chunk.size + (chunk.size % 2);
  }
  if (!format || format.size < 16 || format.start + 16 > bytes.length || parts.length === 0) {
    throw new Error("has no chunks 'fmt ' and 'data'");
  }
  const data = parts.length === 1 ? parts[0]! : joined(parts);
  const [code, channels] = [view.getUint16(format.start, true), view.getUint16(format.start + 2, true)];
  const rate = view.getUint32(format.start + 4, true);
  const bits = view.getUint16(format.start + 14, true);
  const encoding = code === EXTENSIBLE && format.size >= 26 ? view.getUint16(format.start + 24, true) : code;
  const depths = { [PCM]: [8, 16, 24, 32], [FLOAT]: [32, 64], [A_LAW]: [8], [MU_LAW]: [8] } as Record<number, number[]>;
  if (!depths[encoding]?.includes(bits)) {
    throw new Error(`has encoding ${encoding} of ${bits} bits, expected integers, floats, A-law or µ-law`);
  }
  if (channels < 1 || channels > 64) throw new Error(`has ${channels} channels, expected 1 to 64`);
  if (rate < 1000 || rate > 1e6) throw new Error(`has ${rate} samples per second, expected 1000 to 1,000,000`);
  const width = (channels * bits) / 8;
  const samples = Math.floor(data.length / width);
  if (samples === 0) throw new Error('has no samples');
  const most = Math.ceil((covered * rate) / sampleRate) + (rate === sampleRate ? 0 : 2 * margin);
  const first = Math.max(0, Math.floor((samples - most) / 2));
  const stored = data.subarray(first * width, Math.min(samples, first + most) * width);
  // The library scales 8 bits unevenly.
  const isByte = encoding === PCM && bits === 8;
  const body = isByte ? withTwoBytes(stored) : stored;
  const [ownWidth, ownBits] = isByte ? [2 * width, 16] : [width, bits];

  const out = new Uint8Array(44 + body.length);
  const head = new DataView(out.buffer);
  const write = (at: number, text: string) => out.set(new TextEncoder().encode(text), at);
  write(0, 'RIFF');
  head.setUint32(4, 36 + body.length, true);
  write(8, 'WAVEfmt ');
  head.setUint32(16, 16, true);
  head.setUint16(20, encoding, true);
  head.setUint16(22, channels, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * ownWidth, true);
  head.setUint16(32, ownWidth, true);
  head.setUint16(34, ownBits, true);
  write(36, 'data');
  head.setUint32(40, body.length, true);
  out.set(body, 44);
  return new WaveFile(out);
}

/** Sizes from here on stand for 'not known'; programs write several of them. */
const UNKNOWN_SIZE = 0x7fff0000;

/** Whether a chunk's header can be at this place. */
const isChunk = (bytes: Uint8Array, at: number): boolean =>
  at + 8 <= bytes.length && bytes.subarray(at, at + 4).every((byte) => byte >= 32 && byte < 127);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Unsigned samples of 8 bits, silent at 128, as signed ones of 16, little-endian. */
function withTwoBytes(samples: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 * samples.length);
  for (let i = 0; i < samples.length; i++) out[2 * i + 1] = samples[i]! ^ 128;
  return out;
}

const fft = new FFT(frame);
const hann = Float64Array.from({ length: frame }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / frame));

/** [32 bands, the highest first; 32 frames], decibels below the loudest: −80..0 as 0..255. */
export function logMel(samples: Float64Array): Uint8Array {
  const offset = Math.floor((covered - samples.length) / 2); // silence before it; negative: what is cut off
  const power = new Float64Array(bands * frames);
  const spectrum = fft.createComplexArray();
  let most = 0; // of all the power there is, below the lowest band too
  for (let column = 0; column < frames; column++) {
    const windowed = hann.map((weight, i) => weight * (samples[column * hop + i - offset] ?? 0));
    fft.realTransform(spectrum, windowed);
    for (let bin = 0; bin <= frame / 2; bin++)
      most = Math.max(most, spectrum[2 * bin]! ** 2 + spectrum[2 * bin + 1]! ** 2);
    for (let band = 0; band < bands; band++) {
      const at = (bands - 1 - band) * frames + column;
      for (const [bin, weight] of filters[band]!) {
        power[at] = power[at]! + weight * (spectrum[2 * bin]! ** 2 + spectrum[2 * bin + 1]! ** 2);
      }
    }
  }
  const peak = power.reduce((high, value) => Math.max(high, value), Number.MIN_VALUE);
  if (peak <= ROUNDING * most) return new Uint8Array(power.length); // a constant: what is left of it is rounding
  return Uint8Array.from(power, (value) => Math.round(255 * Math.max(0, 1 + (10 * Math.log10(value / peak)) / range)));
}

/** What the transform leaves of a constant's power in other bins, with room. */
const ROUNDING = 1e-24;

/** Hertz to mel and back (O'Shaughnessy 1987). */
const melOf = (hertz: number) => 2595 * Math.log10(1 + hertz / 700);
const hertzOf = (mel: number) => 700 * (10 ** (mel / 2595) - 1);

/** For each band, from the lowest: the bins of the spectrum within its triangle, with their weights. */
const filters = Array.from({ length: bands }, (_, band): (readonly [bin: number, weight: number])[] => {
  const step = (melOf(highest) - melOf(lowest)) / (bands + 1);
  const [left, centre, right] = [0, 1, 2].map((k) => hertzOf(melOf(lowest) + (band + k) * step)) as [
    number,
    number,
    number,
  ];
  return Array.from({ length: frame / 2 + 1 }, (_, bin) => {
    const hertz = (bin * sampleRate) / frame;
    return [bin, Math.min((hertz - left) / (centre - left), (right - hertz) / (right - centre))] as const;
  }).filter(([, weight]) => weight > 0);
});
