// The published page, drawn again from the published numbers; and what is said of numbers that cannot be drawn.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseResults, type Results, reportOf } from '../../src/paper/index.ts';

const published = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../docs/results/${name}`, import.meta.url)), 'utf8');

/** Of each section: its sentences and tables as text, and the names of its figures. */
function contentOf(page: string) {
  return Object.fromEntries(
    [...page.matchAll(/<section id="(\w+)">(.*?)<\/section>/gs)].map(([, id, html]) => {
      const text = html!.replaceAll(/<svg.*?<\/svg>|<figure>.*?<\/figure>/gs, '').replaceAll(/<[^>]*>/g, ' ');
      const figures = [...html!.matchAll(/<svg[^>]* aria-label="([^"]*)"/g)].map(([, name]) => name!);
      return [id!, { text: text.replaceAll(/\s+/g, ' ').trim(), figures }];
    }),
  );
}

describe('the published page', () => {
  const results = parseResults(published('results.json'), 'results.json');
  const again = contentOf(reportOf(results, 'results.json'));
  const before = contentOf(published('report.html'));

  it.each(Object.keys(before))('has the same sentences, tables and figures in %s', (id) => {
    expect(again[id]).toEqual(before[id]);
  });

  it('has the same coordinates, but for the digits that numbers are rounded to', () => {
    const page = reportOf(results, 'results.json');
    const numbers = (html: string) => [...html.matchAll(/-?\d+\.?\d*(?:e-?\d+)?/g)].map(([text]) => Number(text));
    const drawings = (html: string) => html.replaceAll(/base64,[^"]*/g, '');
    const [a, b] = [numbers(drawings(published('report.html'))), numbers(drawings(page))];
    expect(b.length).toBe(a.length);
    // Shares of a histogram have four digits: 0.04 pixels of its height.
    expect(a.reduce((worst, value, k) => Math.max(worst, Math.abs(value - b[k]!)), 0)).toBeLessThan(0.05);
  });

  it('is headed by the same facts', () => {
    const head = (page: string) => /<header>.*?<\/header>/s.exec(page)![0];
    expect(head(reportOf(results, 'results.json'))).toBe(head(published('report.html')));
  });
});

describe('results that cannot be drawn', () => {
  const empty: Results = { version: 1, preset: 'smoke', seed: 0, missing: [], experiments: {} };

  it('are refused by the place in them', () => {
    expect(() => parseResults('{', 'r.json')).toThrow('r.json: is not valid JSON');
    expect(() => parseResults('{"version": 2}', 'r.json')).toThrow("r.json: at 'version'");
    const odd = { claim: 'c', finding: 'f', numbers: [{ model: 'glow' }] };
    expect(() => reportOf({ ...empty, experiments: { fisher: odd } }, 'r.json')).toThrow(
      'r.json: fisher: the numbers are not those that this version draws',
    );
    expect(() => reportOf({ ...empty, preset: 'mine' }, 'r.json')).toThrow("r.json: there is no preset 'mine'");
  });

  it('of a preset of one’s own say what heads them', () => {
    expect(reportOf({ ...empty, preset: 'mine', facts: [['seed', '<7>']] }, 'r')).toContain('<dd>&#60;7&#62;</dd>');
  });
});
