// A finished reproduction in; what we publish of it out: report, its picture, numbers, a summary, and checkpoints in
// half precision as far as they fit.
//
//     npx tsx scripts/publish-results.ts DIR     (DIR of `fisher-ood reproduce cpu --out DIR`)

import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from 'puppeteer-core';
import { readInfo } from '../src/node/index.ts';
import type { BeyondNumbers } from '../src/paper/beyond/numbers.ts';
import { presetNamed } from '../src/paper/index.ts';
import { readSafetensors, writeSafetensors } from '../src/store/index.ts';

const target = fileURLToPath(new URL('../docs/results', import.meta.url));
/** All checkpoints together. */
const MOST_BYTES = 25e6;
/** First come those that the report's main figures are of. */
const order = [
  /^glow-/,
  /^ddpm-/,
  /^pixel.*-(fashion-mnist|long)$/,
  /^transformer-/,
  /^vae-cifar10$/,
  /^pixel/,
  /^vae-/,
];

const [source] = process.argv.slice(2);
if (source === undefined) throw new Error('expected the directory of a reproduction');
const results = JSON.parse(await readFile(join(source, 'results.json'), 'utf8')) as Results;
const folders = await readdir(join(source, 'models'));
const preset = presetNamed(results.preset);
const plans = [...Object.values(preset.models).flat(), ...preset.beyond.further];
const made = plans.filter(({ id }) => folders.includes(id)); // others ship with the program, or their data were missing
for (const { id, steps } of made) {
  const { training } = await readInfo(join(source, 'models', id));
  if (training.steps !== steps) {
    throw new Error(`${source} also holds models of an earlier preset (${id}); publish from a folder of its own`);
  }
}

await rm(target, { recursive: true, force: true });
await mkdir(join(target, 'checkpoints'), { recursive: true });
for (const name of ['report.html', 'results.json']) await copyFile(join(source, name), join(target, name));

const rank = (name: string) => order.findIndex((pattern) => pattern.test(name));
let total = 0;
for (const { id: name } of made.toSorted((a, b) => rank(a.id) - rank(b.id))) {
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

interface Results {
  readonly preset: string;
  readonly experiments: Readonly<
    Record<string, { readonly claim: string; readonly finding: string; readonly numbers: unknown }>
  >;
}

/** Bits/dim that others report, by model and set, with what their models are. */
const published: Readonly<Record<string, string>> = {
  'glow fashion-mnist': '2.958 (Nalisnick et al. 2019)',
  'glow cifar10': '3.464 (Nalisnick et al. 2019), 3.35 (Kingma & Dhariwal 2018)',
  'ddpm cifar10': '≤ 3.75 (Ho et al. 2020)',
  'vae cifar10': '4.70 for one Gaussian over all pixels, < 4.13 for DRAW (van den Oord et al. 2016)',
};

function summary({ preset, experiments }: Results): string {
  const models = experiments.paradox!.numbers as readonly {
    readonly model: string;
    readonly in: string;
    readonly by: string;
    readonly bitsPerDim?: number;
    readonly bitsPerDimUnpadded?: number;
    readonly bound?: { readonly bitsPerDim: number; readonly examples: number };
  }[];
  const rows = models
    .filter((m) => m.bitsPerDim !== undefined)
    .map((m) => {
      const bits = m.bound
        ? `≤ ${m.bound.bitsPerDim.toFixed(2)} (${m.bound.examples} images)`
        : m.bitsPerDim!.toFixed(3) +
          (m.bitsPerDimUnpadded === undefined ? '' : ` (${m.bitsPerDimUnpadded.toFixed(3)} without the border)`);
      return `| ${m.model} | ${m.in} | ${bits} | ${published[`${m.model} ${m.in}`] ?? ''} |`;
    });
  const sections = Object.entries(experiments).map(
    ([id, { claim, finding }]) => `**${id}.** The paper: ${claim}\n\nHere: ${finding}\n`,
  );
  return `# Results of \`fisher-ood reproduce ${preset}\`

Made by \`scripts/publish-results.ts\` from [results.json](results.json); [report.html](report.html) has all tables and figures in one page,
[docs/reproducing.md](../reproducing.md) says how it was made and how long that takes. \`checkpoints/\` holds the models in half precision.

![The beginning of the report](report.png)

## Models

Test bits/dim, of the held-out half. Glow and the VAEs see grey images with a border, to 32×32, which is easily predicted: the number in brackets is the
same divided by the 28×28 pixels of the image, to compare with models without a border.

| model | learned | here | published, for models of other sizes |
| --- | --- | --- | --- |
${rows.join('\n')}

## What the paper claims and what we see

${sections.join('\n')}
${beyondThePaper(experiments['beyond-the-paper']?.numbers as BeyondNumbers | undefined)}`;
}

/** Averages and what was left out of them. */
function beyondThePaper(numbers: BeyondNumbers | undefined): string {
  if (!numbers) return '';
  const own = numbers.averages.filter(({ domain }) => domain === 'images');
  const groups = [...new Set(own.map(({ group }) => group))];
  const three = (v: number) => v.toFixed(3).replace(/^0/, '');
  const rows = [...new Set(own.map(({ detector }) => detector))].map((detector) => {
    const found = groups.map((group) => own.find((row) => row.detector === detector && row.group === group));
    const cells = found.map((row) => (row ? `${three(row.auroc)} (${three(row.low)}–${three(row.high)})` : ''));
    return `| ${[detector, found.find((row) => row)!.pairs, ...cells].join(' | ')} |`;
  });
  const seen = new Set(numbers.models.filter(({ domain }) => domain === 'images').map(({ model }) => model));
  const oracles = groups.map((group) => {
    const values = numbers.oracle.filter((row) => row.group === group && seen.has(row.model)).map((row) => row.auroc);
    return values.length > 0 ? three(values.reduce((sum, v) => sum + v, 0) / values.length) : '';
  });
  const without = numbers.without.length > 0 ? ` Left out, for want of the model: ${numbers.without.join(', ')}.` : '';
  return `## Beyond the paper

Mean AUROC over the pairs of natural images, with the 95 % interval of a bootstrap of inputs and pairs; the report has every pair, text, controls and costs.
Made from \`checkpoints/\`, and models trained anew where there is none, by \`npx tsx scripts/reproduce-one.ts beyond-the-paper\` (see [docs/reproducing.md](../reproducing.md)); the sections above are of the
run before it, on the models in full precision and on more inputs, so figures of the same detector differ.${without}

| detector | pairs | ${groups.map((group) => `B = ${group}`).join(' | ')} |
| --- | ---: | ${groups.map(() => '---').join(' | ')} |
${rows.join('\n')}
| *oracle: no detector, it has seen half of the other set* | | ${oracles.join(' | ')} |
`;
}

/** The report as a browser shows it. */
async function screenshot(): Promise<void> {
  const browser = await launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    const page = await browser.newPage();
    await page.setViewport({ width: 1000, height: 1900 });
    await page.goto(`file://${join(target, 'report.html')}`);
    await page.screenshot({ path: join(target, 'report.png') });
  } finally {
    await browser.close();
  }
}

await writeFile(join(target, 'README.md'), summary(results));
await screenshot();
