// The smoke preset as a user runs it: whole, killed and resumed, and its report in a real browser.

import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import puppeteer from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BeyondNumbers } from '../../src/paper/beyond/numbers.ts';
import { type Preset, presets, redraw } from '../../src/paper/index.ts';
import { killWhen, runCli, temporaryFolder } from '../support/cli.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const [whole, killed] = [join(folder.path, 'whole'), join(folder.path, 'killed')];
/** Sets that do not ship with the program: where they are missing, the report does without. */
const shared = fileURLToPath(new URL('../../../shared/data', import.meta.url));
const data = existsSync(shared) ? ['--data-dir', shared] : [];
const command = (out: string) => ['reproduce', 'smoke', '--out', out, '--threads', '1', ...data];
const read = (dir: string, name: string) => readFileSync(join(dir, name), 'utf8');
const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

interface Results {
  readonly missing: readonly string[];
  readonly experiments: Readonly<Record<string, { claim: string; finding: string; numbers: unknown }>>;
}

beforeAll(async () => {
  const { code, stderr } = await runCli(...command(whole));
  expect(code, stderr).toBe(0);
}, 300_000);

describe('reproduce smoke', () => {
  it('has numbers, a claim and a finding of all nine experiments', () => {
    const { experiments } = JSON.parse(read(whole, 'results.json')) as Results;
    expect(Object.keys(experiments)).toEqual([
      'paradox',
      'tables',
      'fisher',
      'chi2',
      'correlation',
      'invariance',
      'ablations',
      'beyond',
      'beyond-the-paper',
    ]);
    for (const { claim, finding, numbers } of Object.values(experiments)) {
      expect(claim).toMatch(/\.$/);
      expect(finding).not.toMatch(/NaN|undefined|Infinity/);
      expect(numbers).not.toEqual([]);
    }
  });

  it('has every model, set, group size and detector in its tables', () => {
    const { experiments, missing } = JSON.parse(read(whole, 'results.json')) as Results;
    const { rows } = experiments.tables!.numbers as { rows: { auroc: number }[] };
    const pairs = presets
      .smoke!.models.images.filter(({ set }) => !missing.includes(set))
      .flatMap(({ ood }) => ood.filter((name) => !missing.includes(name)));
    expect(rows).toHaveLength(pairs.length * 2 * 8);
    for (const { auroc } of rows) expect(auroc >= 0 && auroc <= 1).toBe(true);
  });

  it('finds norms that do not move with the representation while the likelihood does', () => {
    const { experiments } = JSON.parse(read(whole, 'results.json')) as Results;
    const rows = experiments.invariance!.numbers as {
      representation: string;
      bitsPerDimIn: number;
      medianChange: number;
      mostChange: number;
      norms: number;
    }[];
    const base = rows.find((row) => row.representation === 'as it is')!;
    const logit = rows.find((row) => row.representation.startsWith('logit'))!;
    expect(Math.abs(logit.bitsPerDimIn - base.bitsPerDimIn)).toBeGreaterThan(1);
    const control = rows.find((row) => row.representation.startsWith('control'))!;
    expect(control.medianChange).toBeGreaterThan(0);
    for (const { medianChange, mostChange } of rows) {
      expect(medianChange).toBeLessThan(1e-5);
      expect(mostChange).toBeLessThan(1e-3);
    }
  });

  it('has the combined detectors, an oracle and both controls for every pair of natural sets', () => {
    const { experiments, missing } = JSON.parse(read(whole, 'results.json')) as Results;
    const { models, pairs, oracle, averages, behind, shuffled, remade, costs, without } = experiments[
      'beyond-the-paper'
    ]!.numbers as BeyondNumbers;
    const { sets, models: all, beyond } = presets.smoke!;
    const plans = Object.values(all)
      .flat()
      .filter(({ set }) => !missing.includes(set));
    const natural = plans.flatMap(({ id, ood }) =>
      ood.flatMap((name) => (sets[name]!.synthetic || missing.includes(name) ? [] : [`${id} ${name}`])),
    );
    expect(new Set(pairs.map(({ model, ood }) => `${model} ${ood}`))).toEqual(new Set(natural));
    for (const pair of natural) {
      for (const group of beyond.groups) {
        const own = pairs.filter((row) => `${row.model} ${row.ood}` === pair && row.group === group);
        const detectors = own.map(({ detector }) => detector);
        expect(detectors).toEqual(
          expect.arrayContaining(['combined', 'combined-gradient', 'layer-norms', 'typicality']),
        );
        for (const { auroc, low, high } of own)
          expect(0 <= low && low <= auroc && auroc <= high && high <= 1).toBe(true);
        expect(oracle.filter((row) => `${row.model} ${row.ood}` === pair && row.group === group)).toHaveLength(1);
      }
    }
    expect(models.map(({ model }) => model)).toEqual(costs.map(({ model }) => model));
    const images = averages.filter(({ domain, detector }) => domain === 'images' && detector === 'combined');
    expect(images.map(({ group }) => group)).toEqual(beyond.groups);
    expect(behind.every(({ clearly, behind: ahead, pairs: of }) => clearly <= ahead && ahead <= of)).toBe(true);
    expect(shuffled.map(({ model }) => model)).toContain('vae-fashion-mnist');
    expect(new Set(remade.map(({ as }) => as))).toEqual(new Set(['mnist']));
    expect(without.every((id) => !models.some(({ model }) => model === id))).toBe(true);
  });

  it('is drawn again from its results alone', async () => {
    const alone = join(folder.path, 'alone');
    mkdirSync(alone);
    copyFileSync(join(whole, 'results.json'), join(alone, 'results.json'));
    await redraw(alone);
    expect(readdirSync(alone).sort()).toEqual(['report.html', 'results.json']);
    expect(read(alone, 'report.html')).toBe(read(whole, 'report.html'));
  });

  it('does nothing twice', async () => {
    const before = read(whole, 'report.html');
    const { code, stderr } = await runCli(...command(whole));
    expect(code).toBe(0);
    expect(stderr).not.toMatch(/trains|features of|fits/);
    expect(read(whole, 'report.html')).toBe(before);
  }, 60_000);

  it('comes to the same after being killed in training, in features, in stages, beyond the paper and before the report', async () => {
    const has = (sub: string, wanted: RegExp) => () => {
      const path = join(killed, sub);
      return existsSync(path) && readdirSync(path).some((name) => wanted.test(name));
    };
    await killWhen(command(killed), has('models', /^glow/));
    await killWhen(command(killed), has('features', /\.partial$/));
    await killWhen(command(killed), has('stages', /^auroc-ddpm/));
    await killWhen(command(killed), has('stages', /^fisher-/));
    await killWhen(command(killed), has('features', /-views-/));
    await killWhen(command(killed), has('stages', /^beyond-vae/));
    await killWhen(command(killed), has('.', /^results\.json$/));
    const { code, stderr } = await runCli(...command(killed));
    expect(code, stderr).toBe(0);
    for (const name of ['results.json', 'report.html']) expect(read(killed, name)).toBe(read(whole, name));
  }, 600_000);

  it('refuses a preset that is none', async () => {
    const { code, stderr } = await runCli('reproduce', 'all', '--out', whole);
    expect(code).toBe(2);
    expect(stderr).toContain("there is no preset 'all'; there are smoke, cpu, paper");
  });
});

/** The names of all figures that a preset has without the sets that are missing. */
function figuresOf({ models, fisher }: Preset, missing: readonly string[]): Record<string, string[]> {
  const plans = models.images.filter(({ set }) => !missing.includes(set));
  const families = plans.filter(({ family }, k) => plans.findIndex((plan) => plan.family === family) === k);
  return {
    paradox: plans.flatMap(({ family, set, bound }) => [
      `${family} trained on ${set}`,
      ...(bound ? [`${family} trained on ${set}, by its bound`] : []),
    ]),
    fisher: fisher.models.map((id) => `Fisher matrix of ${id.replace('-', ' of ')}`),
    chi2: families.flatMap(({ family, set }) => Array<string>(3).fill(`${family} of ${set}: `)),
    correlation: [
      ...families.map(({ family, set }) => `Correlation of log-norms, ${family} of ${set}`),
      'Autocorrelation of standardised log-norms over depth',
    ],
    ablations: [
      'Diffusion: step t',
      'Diffusion: number',
      'Group size',
      'Number of inputs',
      'Training time',
      'Model size',
    ],
    // A figure for each set that two models have learned.
    'beyond-the-paper': [...new Set(plans.map(({ set }) => set))]
      .filter((set) => plans.filter((plan) => plan.set === set).length > 1)
      .map((set) => `Models that learned ${set}: AUROC over bits/dim`),
  };
}

describe.skipIf(browser === undefined && process.env.CI === undefined)('the report in a browser', () => {
  const published = fileURLToPath(new URL('../../docs/results', import.meta.url));
  it.each([
    ['smoke', whole],
    ['cpu', published],
  ])(
    'of the preset %s shows every figure and table, and nothing goes wrong',
    async (name, dir) => {
      const chromium = await puppeteer.launch({
        executablePath: browser ?? 'chromium',
        args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
      });
      try {
        const page = await chromium.newPage();
        const wrong: string[] = [];
        page.on('console', (message) => wrong.push(message.text()));
        page.on('pageerror', (error) => wrong.push(String(error)));
        page.on('request', (request) => {
          if (!/^(file|data):/.test(request.url())) wrong.push(`asks for ${request.url()}`);
        });
        page.on('requestfailed', (request) => wrong.push(`${request.url()} failed`));
        await page.goto(pathToFileURL(join(dir, 'report.html')).href, { waitUntil: 'load' });
        const found = (await page.evaluate(`[...document.querySelectorAll('section')].map((section) => ({
        id: section.id,
        tables: section.querySelectorAll('tbody tr').length,
        figures: [...section.querySelectorAll('svg[aria-label]')].filter((svg) => svg.parentElement.closest('svg') === null)
          .map((svg) => ({ name: svg.getAttribute('aria-label'), marks: svg.querySelectorAll('path, rect, circle, image, line').length,
            width: svg.getBoundingClientRect().width, height: svg.getBoundingClientRect().height })),
      }))`)) as {
          id: string;
          tables: number;
          figures: { name: string; marks: number; width: number; height: number }[];
        }[];
        expect(wrong).toEqual([]);
        const { missing, experiments } = JSON.parse(read(dir, 'results.json')) as Results;
        expect(found.map(({ id }) => id)).toEqual(['reading', ...Object.keys(experiments)]);
        const preset = presets[name]!;
        const expected = figuresOf(preset, missing);
        const { text, audio } = preset.models;
        const beyond = [...text, ...audio].some(({ set }) => !missing.includes(set));
        for (const { id, figures, tables } of found) {
          if (id !== 'reading' && (id !== 'beyond' || beyond)) expect(tables, id).toBeGreaterThan(0);
          const names = expected[id] ?? [];
          expect(figures.map((figure, k) => figure.name.slice(0, names[k]?.length))).toEqual(names);
          for (const { name, marks, width, height } of figures) {
            expect(marks, name).toBeGreaterThan(4);
            expect(Math.min(width, height), name).toBeGreaterThan(150);
          }
        }
      } finally {
        await chromium.close();
      }
    },
    60_000,
  );
});
