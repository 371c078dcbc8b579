// WAV recordings of every encoding that is read.

import { writeFileSync } from 'node:fs';
import { readWav } from '../../src/data/audio.ts';
import { openRecordings } from '../../test/support/readers.ts';
import { join2 } from './bytes.ts';
import { check, checkData, type Format, noise, pixels, type Sample } from './format.ts';

/** Codes of encodings. */
const [PCM, FLOAT, A_LAW, MU_LAW] = [1, 3, 6, 7] as const;

export const wav: Format = {
  extension: 'wav',
  samples: () => [
    recording(PCM, 16, 8000, 1),
    recording(PCM, 8, 8000, 2),
    recording(FLOAT, 32, 16000, 1),
    recording(MU_LAW, 8, 8000, 1),
    recording(PCM, 24, 11025, 1),
    recording(A_LAW, 8, 8000, 1),
    recording(FLOAT, 64, 44100, 2),
  ],
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    check(readWav(bytes, path).every(Number.isFinite), 'a sample is not finite');
    await checkData(await openRecordings([path], path));
    return undefined; // has no checksum
  },
};

/** A fiftieth of a second, since resampling takes its time; with a list of words in front of the samples. */
function recording(encoding: number, bits: number, rate: number, channels: number): Sample {
  const width = (bits / 8) * channels;
  const n = Math.floor(rate / 50) * channels;
  const floats = noise(n);
  const samples =
    encoding !== FLOAT
      ? pixels(n * (bits / 8))
      : new Uint8Array((bits === 32 ? floats : Float64Array.from(floats)).buffer.slice(0));
  const format = new Uint8Array(16);
  const view = new DataView(format.buffer);
  view.setUint16(0, encoding, true);
  view.setUint16(2, channels, true);
  view.setUint32(4, rate, true);
  view.setUint32(8, rate * width, true);
  view.setUint16(12, width, true);
  view.setUint16(14, bits, true);
  const list = new TextEncoder().encode('INFOIART\u0004\0\0\0name');
  const chunks = [chunk('fmt ', format), chunk('LIST', list), chunk('data', samples)].reduce(join2);
  return { bytes: chunk('RIFF', join2(new TextEncoder().encode('WAVE'), chunks)) };
}

function chunk(tag: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + data.length + (data.length % 2));
  out.set(new TextEncoder().encode(tag));
  new DataView(out.buffer).setUint32(4, data.length, true);
  out.set(data, 8);
  return out;
}
