import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import wavefile from 'wavefile';
import { openRecordings } from '../../test/support/readers.ts';
import { openData } from '../node/open.ts';
import { logMel, readWav } from './audio.ts';

const folder = await mkdtemp(join(tmpdir(), 'audio-'));
afterAll(() => rm(folder, { recursive: true }));

/** A WAV file of integer samples, made from the description of the format: 8 bits are unsigned, 16 signed. */
function wav(samples: readonly number[], { rate = 8000, channels = 1, bits = 16 } = {}): Uint8Array {
  const bytes = (bits / 8) * samples.length;
  const out = Buffer.alloc(44 + bytes);
  out.write('RIFF');
  out.writeUInt32LE(36 + bytes, 4);
  out.write('WAVEfmt ', 8);
  out.writeUInt32LE(16, 16);
  out.writeUInt16LE(1, 20);
  out.writeUInt16LE(channels, 22);
  out.writeUInt32LE(rate, 24);
  out.writeUInt32LE((rate * channels * bits) / 8, 28);
  out.writeUInt16LE((channels * bits) / 8, 32);
  out.writeUInt16LE(bits, 34);
  out.write('data', 36);
  out.writeUInt32LE(bytes, 40);
  samples.forEach((s, i) => {
    if (bits === 8) out.writeUInt8(Math.round(s * 127) + 128, 44 + i);
    else out.writeInt16LE(Math.round(s * 32767), 44 + 2 * i);
  });
  return new Uint8Array(out);
}

const tone = (hertz: number, seconds: number, rate = 8000) =>
  Array.from({ length: Math.round(seconds * rate) }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / rate));

/** The row with the most in this column. */
function loudest(image: Uint8Array, column: number): number {
  const rows = Array.from({ length: 32 }, (_, row) => image[row * 32 + column]!);
  return rows.indexOf(Math.max(...rows));
}

/** The row whose band is nearest to this frequency; the bands' centres are evenly apart on the mel scale. */
function rowOf(hertz: number): number {
  const mel = (f: number) => 2595 * Math.log10(1 + f / 700);
  const step = (mel(4000) - mel(60)) / 33;
  return 31 - Math.round((mel(hertz) - mel(60)) / step - 1);
}

/** The same by the definition of the Fourier transform, band by band. */
function direct(samples: Float64Array): number[] {
  const mel = (f: number) => 2595 * Math.log10(1 + f / 700);
  const edges = Array.from(
    { length: 34 },
    (_, k) => 700 * (10 ** ((mel(60) + (k * (mel(4000) - mel(60))) / 33) / 2595) - 1),
  );
  const start = Math.floor((5216 - samples.length) / 2);
  const rows = Array.from({ length: 32 }, (_, row) =>
    Array.from({ length: 32 }, (_, column) => {
      const [left, centre, right] = edges.slice(31 - row, 34 - row) as [number, number, number];
      let power = 0;
      for (let bin = 0; bin <= 128; bin++) {
        const f = bin * 31.25;
        if (f <= left || f >= right) continue;
        let [re, im] = [0, 0];
        for (let i = 0; i < 256; i++) {
          const x = (samples[column * 160 + i - start] ?? 0) * Math.sin((Math.PI * i) / 256) ** 2;
          re += x * Math.cos((2 * Math.PI * bin * i) / 256);
          im += x * Math.sin((2 * Math.PI * bin * i) / 256);
        }
        power += (f < centre ? (f - left) / (centre - left) : (right - f) / (right - centre)) * (re * re + im * im);
      }
      return power;
    }),
  ).flat();
  const peak = Math.max(...rows);
  return rows.map((p) => Math.max(0, 255 + (255 * 10 * Math.log10(p / peak)) / 80));
}

describe('logMel', () => {
  it.each([200, 440, 1000, 2500, 3700])('has a tone of %d Hz in its row', (hertz) => {
    const image = logMel(Float64Array.from(tone(hertz, 0.7)));
    for (let column = 0; column < 32; column++) expect(loudest(image, column)).toBe(rowOf(hertz));
  });

  it('agrees with the Fourier transform by its definition', () => {
    const samples = Float64Array.from(
      { length: 3000 },
      (_, i) => Math.sin(i * i * 0.0003) * Math.cos(i / 700) + 0.01 * ((i * 7919) % 13),
    );
    const [image, expected] = [logMel(samples), direct(samples)];
    expect(Math.max(...expected.map((e, i) => Math.abs(e - image[i]!)))).toBeLessThan(0.501);
  });

  it('puts a short sound between silence, and takes the middle of a long one', () => {
    const short = logMel(Float64Array.from(tone(1000, 0.1)));
    const columns = Array.from({ length: 32 }, (_, c) => Array.from({ length: 32 }, (_, r) => short[r * 32 + c]!));
    const heard = columns.flatMap((column, c) => (column.some((v) => v > 0) ? [c] : []));
    expect([Math.min(...heard), Math.max(...heard)]).toEqual([13, 18]);
    const long = logMel(Float64Array.from([...tone(300, 1), ...tone(2000, 0.7), ...tone(300, 1)]));
    expect(new Set(Array.from({ length: 32 }, (_, c) => loudest(long, c)))).toEqual(new Set([rowOf(2000)]));
  });

  it('is black for silence', () => {
    expect(logMel(new Float64Array(4000)).every((v) => v === 0)).toBe(true);
  });
});

describe('readWav', () => {
  it('reads 8 and 16 bits, averages channels, resamples', () => {
    const samples = tone(440, 0.1);
    const near = (a: Float64Array, b: readonly number[], by: number) =>
      expect(Math.max(...b.map((v, i) => Math.abs(v - a[i]!)))).toBeLessThan(by);
    near(readWav(wav(samples), 'f'), samples, 1e-4);
    near(readWav(wav(samples, { bits: 8 }), 'f'), samples, 0.02);
    const stereo = samples.flatMap((s) => [s, -s / 2]);
    near(
      readWav(wav(stereo, { channels: 2 }), 'f'),
      samples.map((s) => s / 4),
      1e-4,
    );
    const fast = readWav(wav(tone(440, 0.5, 22050), { rate: 22050 }), 'f');
    expect(Math.abs(fast.length - 4000)).toBeLessThan(3);
    expect(loudest(logMel(fast), 16)).toBe(rowOf(440));
  });
});

describe('what is in a WAV file', () => {
  const samples = tone(440, 0.1);
  const near = (a: Float64Array, by: number) =>
    expect(Math.max(...samples.map((v, i) => Math.abs(v - a[i]!)))).toBeLessThan(by);
  const made = (depth: string, values: readonly number[]) => {
    const wave = new wavefile.WaveFile();
    wave.fromScratch(1, 8000, depth, values as number[]);
    return wave;
  };
  const sixteen = () =>
    made(
      '16',
      samples.map((s) => Math.round(s * 32767)),
    );

  it('may be floats, A-law and µ-law', () => {
    near(readWav(made('32f', samples).toBuffer(), 'f'), 1e-6);
    const [a, mu] = [sixteen(), sixteen()];
    a.toALaw();
    mu.toMuLaw();
    near(readWav(a.toBuffer(), 'f'), 0.02);
    near(readWav(mu.toBuffer(), 'f'), 0.02);
  });

  it('may be floats with an extensible header', () => {
    const plain = Buffer.from(made('32f', samples).toBuffer());
    const at = plain.indexOf('data');
    const fmt = Buffer.alloc(48);
    fmt.write('fmt ');
    fmt.writeUInt32LE(40, 4);
    plain.copy(fmt, 8, 20, 36);
    fmt.writeUInt16LE(0xfffe, 8);
    fmt.writeUInt16LE(3, 8 + 24);
    const file = Buffer.concat([plain.subarray(0, 12), fmt, plain.subarray(at)]);
    near(readWav(new Uint8Array(file), 'f'), 1e-6);
  });

  it('may be lists before and after the samples, however many', () => {
    const list = Buffer.from('LIST\x04\0\0\0INFOjunk\0\0\0\0', 'latin1');
    const plain = Buffer.from(sixteen().toBuffer());
    const lists = Buffer.concat(new Array<Buffer>(60).fill(list));
    const file = Buffer.concat([plain.subarray(0, 36), lists, plain.subarray(36), lists]);
    near(readWav(new Uint8Array(file), 'f'), 1e-4);
  });

  it('is read in its middle only', () => {
    const long = wav(new Array<number>(4_000_000).fill(0.1));
    const before = process.memoryUsage().rss;
    const began = performance.now();
    expect(readWav(long, 'f').length).toBe(5216);
    expect(performance.now() - began).toBeLessThan(500);
    expect(process.memoryUsage().rss - before).toBeLessThan(50e6);
  });

  it('is refused where its encoding is another', () => {
    const mp3 = Buffer.from(sixteen().toBuffer());
    mp3.writeUInt16LE(0x55, 20);
    expect(() => readWav(new Uint8Array(mp3), 'f')).toThrow(
      'f: cannot be read as a WAV file: has encoding 85 of 16 bits',
    );
  });
});

describe('openRecordings', () => {
  it('opens a folder of them, in the order of their names, and a single one', async () => {
    await writeFile(join(folder, '1_b.wav'), wav(tone(2000, 0.7)));
    await writeFile(join(folder, '0_a.wav'), wav(tone(300, 0.7)));
    await writeFile(join(folder, 'README'), 'not a recording');
    const data = await openData(folder);
    expect([data.length, data.shapes]).toEqual([2, { x: [1, 32, 32] }]);
    const { data: values } = (await data.gather([0, 1])).arrays.x!;
    expect(loudest(Uint8Array.from(values.subarray(0, 1024), Number), 5)).toBe(rowOf(300));
    expect(loudest(Uint8Array.from(values.subarray(1024), Number), 5)).toBe(rowOf(2000));
    expect((await openData(join(folder, '1_b.wav'))).length).toBe(1);
  });

  it.each<[what: string, bytes: Uint8Array]>([
    ['text', new TextEncoder().encode('hello'.repeat(50))],
    ['nothing', new Uint8Array()],
    ['no samples', wav([])],
    ['a rate of zero', wav([0, 0.5], { rate: 0 })],
  ])('refuses %s', async (_, bytes) => {
    const path = join(folder, 'damaged.wave');
    await writeFile(path, bytes);
    await expect(openRecordings([path], 'x')).rejects.toThrow(`${path}: cannot be read as a WAV file`);
  });

  it.each([
    ['fLaC', "does not start with 'RIFF' and 'WAVE', seems to be a FLAC recording"],
    ['FORM', "does not start with 'RIFF' and 'WAVE', seems to be an AIFF recording"],
    ['RIFX', 'has its numbers the other way round (big-endian, RIFX)'],
  ])('says what a file of %s is', async (start, message) => {
    const path = join(folder, 'other.wav');
    await writeFile(path, new TextEncoder().encode(start.padEnd(200)));
    await expect(openRecordings([path], 'x')).rejects.toThrow(`${path}: cannot be read as a WAV file: ${message}`);
  });
});
