// A format, a seed and a number in; one damaged file of that format made, read by the product's reader and judged.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FisherError } from '../../src/errors.ts';
import { hashName } from '../../src/tensor/random.ts';
import { damage } from './bytes.ts';
import { cifar } from './cifar.ts';
import { columns, csv, jsonl, tar } from './columns.ts';
import { detector } from './detector.ts';
import { Dice, type Format, type Sample } from './format.ts';
import { idx } from './idx.ts';
import { jpeg } from './jpeg.ts';
import { labelFiles } from './labels.ts';
import { mat } from './mat.ts';
import { config, model } from './models.ts';
import { npy } from './npy.ts';
import { npz } from './npz.ts';
import { onnx } from './onnx.ts';
import { parquet } from './parquet.ts';
import { partial } from './partial.ts';
import { png } from './png.ts';
import { safetensors } from './safetensors.ts';
import { tableJson, tableNpz, tableParquet } from './tables.ts';
import { text } from './text.ts';
import { wav } from './wav.ts';
import { webp } from './webp.ts';

/** What may come out: read, refused as it should be, or neither, with the reason. */
export type Outcome = { readonly kind: 'read' | 'refused' | 'finding'; readonly text: string; readonly stack?: string };

export const formats = {
  onnx,
  npz,
  npy,
  parquet,
  png,
  jpeg,
  webp,
  idx,
  labels: labelFiles,
  cifar,
  mat,
  wav,
  columns,
  csv,
  jsonl,
  tar,
  text,
  safetensors,
  model,
  config,
  detector,
  'table-npz': tableNpz,
  'table-parquet': tableParquet,
  'table-json': tableJson,
  partial,
} as const satisfies Record<string, Format>;

export type FormatName = keyof typeof formats;

export const formatNames = Object.keys(formats) as FormatName[];

const work = mkdtempSync(join(tmpdir(), 'fuzz-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

const prepared = new Map<string, Promise<{ samples: Sample[]; contents: Set<string | undefined> }>>();

function prepare(name: FormatName) {
  let found = prepared.get(name);
  if (!found) {
    found = (async () => {
      const format: Format = formats[name];
      const samples = await format.samples();
      const contents = new Set<string | undefined>();
      for (const sample of samples) contents.add(await format.read({ ...sample, path: pathOf(format) }));
      return { samples, contents };
    })();
    prepared.set(name, found);
  }
  return found;
}

function pathOf(format: Format): string {
  return join(work, `damaged.${format.extension}`);
}

/** File `k` of a run with this seed. */
export async function makeFile(name: FormatName, seed: number, k: number): Promise<Sample & { exact: boolean }> {
  const format: Format = formats[name];
  const { samples } = await prepare(name);
  const dice = new Dice(hashName(`${name} ${seed} ${k}`));
  // Later samples are the large ones: each is half as likely as all before it.
  const sample = samples[dice.chance(0.9) ? dice.below(Math.min(samples.length, 6)) : dice.below(samples.length)]!;
  const within = format.inside !== undefined && dice.chance(0.5);
  let bytes = within ? format.inside!(dice, sample.bytes, samples) : sample.bytes;
  let beside = sample.beside;
  if (!within || dice.chance(0.1)) {
    if (beside && dice.chance(0.3)) beside = damage(dice, beside, [beside]);
    else
      bytes = damage(
        dice,
        bytes,
        samples.map((s) => s.bytes),
      );
  }
  return { bytes, ...(beside ? { beside } : {}), exact: !within };
}

/** Makes file `k` and reads it. */
export async function tryFile(name: FormatName, seed: number, k: number): Promise<Outcome> {
  const format: Format = formats[name];
  const { contents } = await prepare(name);
  const file = await makeFile(name, seed, k);
  const path = pathOf(format);
  const started = performance.now();
  const finding = (text: string, error?: unknown): Outcome => ({
    kind: 'finding',
    text,
    ...(error instanceof Error && error.stack ? { stack: error.stack } : {}),
  });
  let outcome: Outcome;
  try {
    const content = await format.read({ ...file, path });
    if (content !== undefined && file.exact && !contents.has(content)) {
      outcome = finding(`passed its checksums and differs from the original: ${content.slice(0, 200)}`);
    } else outcome = { kind: 'read', text: '' };
  } catch (error) {
    if (!(error instanceof FisherError)) outcome = finding(`${error}`.slice(0, 300), error);
    else if (!format.nameless && !error.message.includes(path))
      outcome = finding(`does not name the file: ${error.message}`, error);
    else if (error.message.length > 5000)
      outcome = finding(`an error text of ${error.message.length} characters: ${error.message.slice(0, 200)}`, error);
    else outcome = { kind: 'refused', text: error.message };
  }
  const seconds = (performance.now() - started) / 1000;
  return seconds > 5 && outcome.kind !== 'finding' ? finding(`took ${seconds.toFixed(1)} s`) : outcome;
}
