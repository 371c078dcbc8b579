// A folder with results of a preset in; one of its experiments measured anew, and put into these results and their
// page, out. What it takes of models, features and stages is kept there as `fisher-ood reproduce` keeps it.
//
//     npx tsx scripts/reproduce-one.ts beyond-the-paper --data-dir DIR --out results     (results/results.json is there)
//
// With --no-training, models that are not there are left out.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { defined } from '../src/defined.ts';
import { parseResults, presetNamed, reproduceOne } from '../src/paper/index.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string' },
    'data-dir': { type: 'string' },
    threads: { type: 'string' },
    'no-training': { type: 'boolean', default: false },
  },
});
const [id, ...more] = positionals;
if (id === undefined || more.length > 0 || values.out === undefined) {
  throw new Error('usage: reproduce-one.ts EXPERIMENT --out DIR [--data-dir DIR] [--threads N] [--no-training]');
}
const path = join(values.out, 'results.json');
const { preset, seed } = parseResults(await readFile(path, 'utf8'), path);
let shown = 0;
const { report, findings, missing } = await reproduceOne(presetNamed(preset), id, {
  out: values.out,
  seed,
  train: !values['no-training'],
  ...defined({ dataDir: values['data-dir'] }),
  ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
  onProgress: (what) => {
    if (performance.now() - shown < 5000) return;
    shown = performance.now();
    process.stderr.write(`${what}\n`);
  },
});
for (const [set, reason] of Object.entries(missing)) process.stderr.write(`left out: ${set}: ${reason}\n`);
for (const { title, finding } of findings) console.log(`${title}: ${finding}\n`);
console.log(report);
