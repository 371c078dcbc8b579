// Rows of results in; text for a terminal out: one block per group size, detectors down, out-of-distribution sets
// across.

import { checkArguments, listOf, objectWith, type Rule, text, wholeFrom } from '../arguments.ts';
import type { EvalRow } from './evaluate.ts';

const row: Rule = objectWith({ detector: text, ood: text, group: wholeFrom(1) }, 'a row of evaluate');

/** What a cell can show. */
export type Metric = 'auroc' | 'aupr' | 'fpr95';

const titles = {
  auroc: 'AUROC, 95 % interval',
  aupr: 'average precision, in-distribution positive',
  fpr95: 'FPR at 95 % in-distribution accepted',
} as const satisfies Record<Metric, string>;

/**
 * Results as aligned columns, for example
 *
 *     B = 1: AUROC, 95 % interval (500 in-distribution)
 *                  mnist (n = 500)
 *     layer-norms  0.886 [0.865-0.905]
 *     likelihood   0.091 [0.073-0.110]
 *
 * Groups, sets and detectors stand in the order of their first row; a missing combination is a dash.
 */
export function formatResults(rows: readonly EvalRow[], metric: Metric = 'auroc'): string {
  checkArguments('formatResults', { rows }, { rows: listOf(row) });
  const blocks = distinct(rows.map((row) => row.group)).map((group) => {
    const block = rows.filter((row) => row.group === group);
    const sets = distinct(block.map((row) => row.ood));
    const head = sets.map((ood) => `${ood} (n = ${block.find((row) => row.ood === ood)!.nOod})`);
    const lines = distinct(block.map((row) => row.detector)).map((detector) => {
      const ofDetector = block.filter((row) => row.detector === detector);
      const cells = sets.map((ood) => {
        const row = ofDetector.find((candidate) => candidate.ood === ood);
        return row === undefined ? '-' : cell(row, metric);
      });
      return [detector, ...cells];
    });
    const counts = distinct(block.map((row) => row.nIn)).join(', ');
    return `B = ${group}: ${titles[metric]} (${counts} in-distribution)\n${alignColumns([['', ...head], ...lines])}`;
  });
  return blocks.join('\n\n');
}

function cell(row: EvalRow, metric: Metric): string {
  const value = row[metric].toFixed(3);
  return metric === 'auroc' ? `${value} [${row.aurocLow.toFixed(3)}-${row.aurocHigh.toFixed(3)}]` : value;
}

/** Pads every column to its widest cell, two spaces between; numbers to the right, all else to the left. */
export function alignColumns(lines: readonly (readonly string[])[]): string {
  const count = Math.max(0, ...lines.map((line) => line.length));
  const columns = Array.from({ length: count }, (_, c) => {
    const body = lines.map((line) => line[c] ?? '');
    const numeric = body.slice(1).every((text) => /^-?\d+(\.\d+)?$|^-$/.test(text));
    return { width: Math.max(...body.map((text) => text.length)), numeric };
  });
  return lines
    .map((line) =>
      columns
        .map(({ width, numeric }, c) => (numeric ? (line[c] ?? '').padStart(width) : (line[c] ?? '').padEnd(width)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
