// A finished reproduction in; what we publish of it out: report, numbers, and checkpoints in half precision as far as they fit.
//
//     npx tsx scripts/publish-results.ts DIR     (DIR of `fisher-ood reproduce cpu --out DIR`)

import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensors, writeSafetensors } from '../src/store/index.ts';

const target = fileURLToPath(new URL('../docs/results', import.meta.url));
/** All checkpoints together. */
const MOST_BYTES = 25e6;
/** First come those that the report's main figures are of; ablations are left out. */
const order = [/^glow-/, /^ddpm-/, /^pixelcnn-/, /^transformer-/, /^vae-(fashion-mnist|cifar10)$/, /^vae-/];
const ablation = /-(steps|hidden)-\d+$/;

const [source] = process.argv.slice(2);
if (source === undefined) throw new Error('expected the directory of a reproduction');
await rm(target, { recursive: true, force: true });
await mkdir(join(target, 'checkpoints'), { recursive: true });
for (const name of ['report.html', 'results.json']) await copyFile(join(source, name), join(target, name));

const models = (await readdir(join(source, 'models'))).filter((name) => !ablation.test(name)).sort();
const rank = (name: string) => order.findIndex((pattern) => pattern.test(name));
let total = 0;
for (const name of models.toSorted((a, b) => rank(a) - rank(b))) {
  const path = join(source, 'models', name, 'weights.safetensors');
  const half = writeSafetensors(readSafetensors(new Uint8Array(await readFile(path)), path), 'F16');
  if (total + half.length > MOST_BYTES) {
    console.log(`${name}: left out, ${half.length} bytes more would be too much`);
    continue;
  }
  total += half.length;
  const dir = join(target, 'checkpoints', name);
  await mkdir(dir);
  await writeFile(join(dir, 'weights.safetensors'), half);
  await copyFile(join(source, 'models', name, 'model.json'), join(dir, 'model.json'));
}
console.log(`${target}: ${total} bytes of checkpoints`);
