// The page and the picture from a small synthetic comparison.

import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { fitDetectors } from '../detectors/index.ts';
import { evaluate } from '../eval/index.ts';
import { type FeatureTable, sliceTable } from '../features/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { overviewSvg, type ReportContent, type ReportSet, reportHtml } from './index.ts';

const names = ['conv1.weight', 'conv1.bias', 'out <weight>'];

/** Log-norms shifted by `shift`, nll around `nll`. */
function table(name: string, group: number, shift: number, nll: number): FeatureTable {
  const n = 60;
  const noise = new Float64Array(n * 4);
  new RandomStream(1, `${name} ${group}`).normal(0, noise);
  return {
    names,
    dims: [9, 3, 12],
    nll: Float64Array.from({ length: n }, (_, i) => group * (nll + noise[i * 4]!)),
    sqNorms: Float64Array.from({ length: n * 3 }, (_, k) =>
      Math.exp(noise[Math.floor(k / 3) * 4 + 1 + (k % 3)]! + shift),
    ),
    group,
    meta: { model: 'm', data: name, dataFingerprint: name, seed: 0, start: 0, bitsPerDimFactor: 0.01 },
  };
}

function content(groups: readonly number[], images = true): ReportContent {
  const tile = { data: new Float32Array(4).fill(99), shape: [1, 2, 2], score: 12.34, note: 'example 3' };
  const set = (name: string, shift: number, nll: number): ReportSet => ({
    name,
    tables: groups.map((group) => table(name, group, shift, nll)),
    ...(images ? { images: { most: [tile], least: [{ ...tile, score: Infinity }] } } : {}),
  });
  const fit = groups.map((group) => table('shirts', group, 0, 300));
  const detector = fitDetectors(fit.map((t) => sliceTable(t, 0, 40)));
  const inSet = set('shirts', 0, 300);
  const oodSets = [set('digits & <co>', 2, 200), set('noise', -4, 900)];
  const rows = evaluate(detector, inSet.tables, oodSets, { seed: 0 });
  return { title: 'A <model> & others', facts: [['Model', 'a "glow"']], detector, rows, inSet, oodSets };
}

describe('reportHtml', () => {
  const html = reportHtml(content([1, 5]));
  const { document } = parseHTML(html);

  it('has every section with its figures and all results', () => {
    const titles = [...document.querySelectorAll('h2')].map((h) => h.textContent);
    expect(titles).toEqual([
      'Results',
      'What the likelihood says',
      'What the layers say',
      'ROC curves',
      'The most and the least surprising images',
    ]);
    expect(document.querySelectorAll('svg[role=img]')).toHaveLength(1 + 3 + 1 + 2);
    for (const svg of document.querySelectorAll('svg[role=img]')) {
      expect(svg.getAttribute('aria-label')).toBeTruthy();
      expect(svg.querySelectorAll('path').length).toBeGreaterThan(1);
    }
    expect(document.querySelectorAll('table')).toHaveLength(3);
    expect(document.querySelectorAll('.tile img')).toHaveLength(6);
  });

  it('escapes what comes from outside, and shows no holes', () => {
    expect(document.querySelector('h1')!.textContent).toBe('A <model> & others');
    for (const tag of ['co', 'weight', 'model']) expect(document.querySelector(tag)).toBeNull();
    expect(html).not.toMatch(/NaN|undefined|\[object/);
  });

  it('needs nothing from outside and no scripts', () => {
    const addresses = [...html.matchAll(/https?:\/\/[^"'\s)]+/g)].map((m) => m[0]);
    expect(addresses.filter((a) => !a.startsWith('http://www.w3.org/'))).toEqual([]);
    expect(document.querySelector('script')).toBeNull();
    expect(html).not.toMatch(/@import|url\(/);
  });

  it('says what the numbers say', () => {
    expect(html).toContain('100.0 % of digits &#38; &#60;co&#62;');
    expect(html).toContain('0.0 % of noise');
  });

  it('is the same for the same content, and leaves out what there is nothing for', () => {
    expect(reportHtml(content([1, 5]))).toBe(html);
    const bare = reportHtml(content([5], false));
    expect(bare).not.toContain('What the likelihood says');
    expect(bare).not.toContain('images</h2>');
    expect(bare).toContain('ROC curves');
  });
});

describe('overviewSvg', () => {
  it('is one well-formed picture with both histograms', () => {
    const svg = overviewSvg(content([1]));
    const { document } = parseHTML(svg);
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg"')).toBe(true);
    expect(document.querySelectorAll('svg svg')).toHaveLength(2);
    expect(svg).toMatch(/Likelihood: AUROC 0\.00/);
    expect(svg).not.toMatch(/NaN|undefined/);
  });
});
