// The structure of the figures: titles, axes, keys, one mark per number, and what sets series apart without colour.

import { decode } from 'fast-png';
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { compareFits } from '../eval/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { lookOf } from './frame.ts';
import { heatMap } from './heat-map.ts';
import { binsOfSets, distributionFigure, distributionNumbers, lineChart, setHistograms } from './paper-figures.ts';

function normals(n: number, mean: number): Float64Array {
  const out = new Float64Array(n);
  new RandomStream(0, 'figures').normal(n, out);
  return out.map((z) => z + mean);
}

/** What every figure must have, and its elements. */
function opened(svg: string, title: string) {
  const { document } = parseHTML(`<!doctype html><body>${svg}</body>`);
  const root = document.querySelector('svg')!;
  expect(root.getAttribute('role')).toBe('img');
  expect(root.getAttribute('aria-label')).toBe(title);
  const [, , width, height] = root.getAttribute('viewBox')!.split(' ').map(Number);
  expect([width, height]).toEqual([Number(root.getAttribute('width')), Number(root.getAttribute('height'))]);
  expect(svg).not.toMatch(/NaN|undefined|Infinity|\[object/);
  expect(document.querySelector('script, b')).toBeNull();
  const texts = [...document.querySelectorAll('text')].map((text) => text.textContent);
  expect(texts).toContain(title);
  const count = (selector: string) => document.querySelectorAll(selector).length;
  return { document, texts, count };
}

/** Solid lines, which have no such attribute, left out. */
const dashesIn = (svg: string) => new Set([...svg.matchAll(/stroke-dasharray="([^"]+)"/g)].map((m) => m[1]));

describe('setHistograms', () => {
  it('has a filled and a stroked curve per set, axes with units and a key', () => {
    const names = ['shirts', 'digits <b>', 'noise'];
    const sets = names.map((name, k) => ({ name, values: normals(200, 3 * k) }));
    const title = 'What the likelihood says & <b>why</b>';
    const bins = binsOfSets(sets);
    const svg = setHistograms(names, bins, { title, xLabel: 'negative log-likelihood, bits per dimension' });
    const { texts, count } = opened(svg, title);
    for (const name of names) expect(texts).toContain(name);
    expect(texts.join()).toContain('negative log-likelihood, bits per dimension');
    expect(texts.join()).toContain('share of the set, %');
    expect(count('[aria-label=area]')).toBe(3);
    expect(count('[aria-label=line]')).toBe(3);
    expect(dashesIn(svg)).toEqual(new Set(['7 3', '2 3']));
    expect(setHistograms(names, bins, { title, xLabel: 'negative log-likelihood, bits per dimension' })).toBe(svg);
  });
});

describe('setHistograms with a set far away', () => {
  it('says in the key how much of it lies beyond the axis', () => {
    const far = normals(200, 0).map((z) => 1e8 + z);
    const sets = [
      { name: 'shirts', values: normals(200, 0) },
      { name: 'noise', values: far },
    ];
    const svg = setHistograms(['shirts', 'noise'], binsOfSets(sets), { title: 'far', xLabel: 'x' });
    const { texts } = opened(svg, 'far');
    expect(texts).toContain('noise (100 % further right)');
    expect(texts).toContain('shirts');
  });
});

describe('distributionFigure', () => {
  it('has the bars, two fits, their quantiles and the diagonal', () => {
    const values = normals(300, 0).map((z) => Math.exp(z - 20));
    const svg = distributionFigure(distributionNumbers(values, compareFits(values, 12)), { title: 'conv1.weight' });
    const { document, texts, count } = opened(svg, 'conv1.weight');
    expect(texts).toEqual(expect.arrayContaining(['scaled χ²', 'log-normal', 'fitted quantile, log₁₀']));
    expect(texts.join()).toContain('log₁₀ of the squared norm, nats²');
    expect(texts.join()).toContain('observed quantile, log₁₀');
    expect(count('[aria-label=rect] rect')).toBe(40);
    expect(count('[aria-label=line]')).toBe(2 + 1);
    // 60 quantiles of each fit, one symbol each in the key; circles for one, paths for the other's squares.
    const dots = [...document.querySelectorAll('[aria-label=dot]')].map((group) => group.children.length);
    expect(dots).toEqual([60, 60, 1, 1]);
    expect(new Set([...document.querySelectorAll('[aria-label=dot]')].map((g) => g.innerHTML.slice(0, 5))).size).toBe(
      2,
    );
  });
});

describe('lineChart', () => {
  const steps = [1, 2, 4, 512, 999];
  const line = (name: string, base: number) => ({
    name,
    points: steps.map((x, k) => ({ x, y: base + k / 10, low: base + k / 10 - 0.05, high: base + k / 10 + 0.05 })),
  });
  const options = { title: 'AUROC by time step', xLabel: 'time step t', yLabel: 'AUROC' };

  it('has a line, its points and its band for every series, and every x on the axis', () => {
    const svg = lineChart([line('norms', 0.5), line('typicality', 0.3)], { ...options, logX: true, reference: 0.5 });
    const { document, texts, count } = opened(svg, options.title);
    expect(texts).toEqual(expect.arrayContaining(['norms', 'typicality', 'time step t', ...steps.map(String)]));
    expect(texts.join()).toContain('AUROC');
    expect(count('[aria-label=area]')).toBe(2);
    expect(count('[aria-label=line]')).toBe(2);
    expect([...document.querySelectorAll('[aria-label=dot]')].map((g) => g.children.length)).toEqual([5, 5, 1, 1]);
    expect(count('[aria-label=rule]')).toBe(1);
    expect(dashesIn(svg)).toEqual(new Set(['7 3', '3 3']));
  });

  it('puts equal factors at equal distances on a logarithmic axis', () => {
    const xs = (logX: boolean) => {
      const points = [1, 10, 100].map((x) => ({ x, y: 0.5 }));
      const { document } = opened(lineChart([{ name: 'a', points }], { ...options, logX }), options.title);
      return [...document.querySelector('[aria-label=dot]')!.children].map((dot) => Number(dot.getAttribute('cx')));
    };
    const [a, b, c] = xs(true) as [number, number, number];
    expect(b - a).toBeCloseTo(c - b, 6);
    const [d, e, f] = xs(false) as [number, number, number];
    expect((f - e) / (e - d)).toBeCloseTo(10, 6);
    expect(() => lineChart([{ name: 'a', points: [{ x: 0, y: 1 }] }], { ...options, logX: true })).toThrow(
      "line chart 'AUROC by time step': x is 0, a logarithmic axis needs x > 0",
    );
  });

  it('leaves out a band that is not whole', () => {
    const points = steps.map((x, k) => (k === 2 ? { x, y: 0.5 } : { x, y: 0.5, low: 0.4, high: 0.6 }));
    expect(opened(lineChart([{ name: 'a', points }], options), options.title).count('[aria-label=area]')).toBe(0);
  });
});

describe('heatMap', () => {
  const pixels = (svg: string) => {
    const [, base64] = svg.match(/data:image\/png;base64,([^"]+)/)!;
    return decode(Buffer.from(base64!, 'base64'));
  };
  const options = { title: 'Fisher matrix', rowLabel: 'weight', valueLabel: '|F_ab| / √(F_aa F_bb)' };
  const layers = ['in.weight', 'in.weight', 'in.bias', 'a.very.long.name.of.a.layer.weight'];
  const matrix = Float64Array.from({ length: 16 }, (_, k) => (k % 5 === 0 ? 1 : k === 1 ? -0.6 : k === 2 ? 0.6 : 0));

  it('paints |entries| pixel by pixel, darker for larger', () => {
    const { width, height, data } = pixels(heatMap(matrix, options));
    expect([width, height]).toEqual([4, 4]);
    const at = (k: number) => Array.from(data.slice(3 * k, 3 * k + 3));
    expect(at(3)).toEqual([255, 255, 255]);
    expect(at(1)).toEqual(at(2));
    const lightness = [3, 1, 0].map((k) => at(k).reduce((sum, v) => sum + v, 0));
    expect(lightness).toEqual(lightness.toSorted((a, b) => b - a));
    expect(new Set(lightness).size).toBe(3);
    expect(at(5)).toEqual(at(0));
    // Above the most, all is as dark as the most.
    const capped = pixels(heatMap(matrix, { ...options, max: 0.5 })).data;
    expect(Array.from(capped.slice(3, 6))).toEqual(at(0));
  });

  it('falls steadily in lightness over its whole range', () => {
    const d = 32;
    const ramp = Float64Array.from({ length: d * d }, (_, k) => k / (d * d - 1));
    const { data } = pixels(heatMap(ramp, options));
    let before = Infinity;
    for (let k = 0; k < d * d; k++) {
      const luma = 0.299 * data[3 * k]! + 0.587 * data[3 * k + 1]! + 0.114 * data[3 * k + 2]!;
      expect(luma).toBeLessThanOrEqual(before);
      before = luma;
    }
    expect(before).toBeLessThan(60);
  });

  it('names the layers and draws their boundaries, and has a colour bar with its unit', () => {
    const { texts, document } = opened(heatMap(matrix, { ...options, layers }), options.title);
    expect(texts.filter((text) => text === 'in.weight')).toHaveLength(2);
    expect(texts).toContain('…ng.name.of.a.layer.weight');
    expect(texts).toContain(options.valueLabel);
    const rules = [...document.querySelectorAll('[aria-label=rule]')].map((g) => g.children.length);
    expect(rules).toEqual([2, 2]);
  });

  it('counts rows where there are no layers, or too many', () => {
    const d = 60;
    const many = Array.from({ length: d }, (_, k) => `layer${k >> 1}`);
    const { texts, document } = opened(heatMap(new Float64Array(d * d), { ...options, layers: many }), options.title);
    expect(texts).toContain('weight (lines: layer boundaries)');
    expect(texts).not.toContain('layer0');
    expect([...document.querySelectorAll('[aria-label=rule]')].map((g) => g.children.length)).toEqual([29, 29]);
    const plain = opened(heatMap(matrix, { ...options, max: 0.5 }), options.title);
    expect(plain.texts).toEqual(expect.arrayContaining(['weight', '≥ 0.5']));
    expect(plain.count('[aria-label=rule]')).toBe(0);
    expect(() => heatMap(matrix, { ...options, layers: ['a'] })).toThrow("heat map 'Fisher matrix': 16 entries and 1");
  });
});

it('looks differ without colour for as many series as a figure can bear', () => {
  const looks = Array.from({ length: 35 }, (_, k) => lookOf(k));
  expect(new Set(looks.map(({ dash, symbol }) => `${dash} ${symbol}`)).size).toBe(35);
});
