// Recordings of speech or other short sounds -> log-mel spectrograms, as images of 32×32.

import FFT from 'fft.js';
import wavefile from 'wavefile';
import { DataError } from '../errors.ts';
import { type Dataset, fingerprintOf, memoryDataset } from './dataset.ts';
import { readFileBytes } from './files.ts';

/** Samples per second; recordings of another rate are resampled. */
export const sampleRate = 8000;
const bands = 32;
const frames = 32;
const [frame, hop] = [256, 160];
/** Samples that a spectrogram covers: 0.65 s. */
const covered = frame + (frames - 1) * hop;
const [lowest, highest] = [60, 4000]; // Hz
const range = 80; // dB

/**
 * Opens .wav files as log-mel spectrograms: 'x' of [1, 32, 32], one example a file. Rows are mel bands from 4000 Hz at the top down to 60 Hz,
 * columns are frames of 256 samples, 160 apart, at 8 kHz; values are decibels below the loudest, −80..0 as 0..255. Channels are
 * averaged; a recording longer than 0.65 s is cut to its middle, a shorter one lies between silence.
 *
 * Throws a DataError that names the file where it cannot be read, is no WAV file or has no samples.
 */
export async function openRecordings(paths: readonly string[], name: string): Promise<Dataset> {
  const size = bands * frames;
  const data = new Uint8Array(paths.length * size);
  for (const [i, path] of paths.entries()) {
    data.set(logMel(readWav(await readFileBytes(path), path)), i * size);
  }
  return memoryDataset(name, paths.length, fingerprintOf('log-mel', `${bands}×${frames}`, data), {
    x: { data, shape: [1, bands, frames], pixels: true },
  });
}

/** The samples of a WAV file as one channel of 8 kHz. */
export function readWav(bytes: Uint8Array, path: string): Float64Array {
  try {
    const wav = new wavefile.WaveFile(bytes);
    const { numChannels, sampleRate: rate } = wav.fmt as { numChannels: number; sampleRate: number };
    if (rate < 1000 || rate > 1e6) throw new Error(`has ${rate} samples per second, expected 1000 to 1,000,000`);
    const { chunkSize, samples: encoded } = wav.data as { chunkSize: number; samples: Uint8Array };
    if (encoded.length < chunkSize) throw new Error(`has ${encoded.length} of ${chunkSize} bytes of samples`);
    wav.toBitDepth('64');
    if (rate !== sampleRate) wav.toSampleRate(sampleRate);
    const values = wav.getSamples(true, Float64Array) as unknown as Float64Array; // declared as bytes
    const mono = Float64Array.from({ length: Math.floor(values.length / numChannels) }, (_, i) =>
      values.subarray(i * numChannels, (i + 1) * numChannels).reduce((sum, value) => sum + value / numChannels, 0),
    );
    if (mono.length === 0) throw new Error('has no samples');
    const wrong = mono.findIndex((value) => !Number.isFinite(value));
    if (wrong >= 0) throw new Error(`sample ${wrong} is ${mono[wrong]}`);
    return mono;
  } catch (error) {
    throw new DataError(`${path}: cannot be read as a WAV file: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}

const fft = new FFT(frame);
const hann = Float64Array.from({ length: frame }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / frame));

/** [32 bands, the highest first; 32 frames], decibels below the loudest: −80..0 as 0..255. */
export function logMel(samples: Float64Array): Uint8Array {
  const offset = Math.floor((covered - samples.length) / 2); // silence before it; negative: what is cut off
  const power = new Float64Array(bands * frames);
  const spectrum = fft.createComplexArray();
  for (let column = 0; column < frames; column++) {
    const windowed = hann.map((weight, i) => weight * (samples[column * hop + i - offset] ?? 0));
    fft.realTransform(spectrum, windowed);
    for (let band = 0; band < bands; band++) {
      const at = (bands - 1 - band) * frames + column;
      for (const [bin, weight] of filters[band]!) {
        power[at] = power[at]! + weight * (spectrum[2 * bin]! ** 2 + spectrum[2 * bin + 1]! ** 2);
      }
    }
  }
  const peak = power.reduce((most, value) => Math.max(most, value), Number.MIN_VALUE);
  return Uint8Array.from(power, (value) => Math.round(255 * Math.max(0, 1 + (10 * Math.log10(value / peak)) / range)));
}

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
