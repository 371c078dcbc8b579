// What an interrupted run of `features` left: a line of JSON and rows of numbers, the last of which may be cut short.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkTable } from '../../src/features/table.ts';
import { firstLine, openPartial, partialTables, readPartial } from '../../src/node/partial.ts';
import { join2 } from './bytes.ts';
import { check, type Damaged, type Dice, type Format, type Sample } from './format.ts';
import { insideJson } from './json.ts';
import { table } from './tables.ts';

const tables = [table(12, 1, true), table(7, 5, false)];
const lines = tables.map((t) => firstLine(t, { end: 60, origin: 'ef'.repeat(32), plan: 'auto', version: 1 }));

export const partial: Format = { extension: 'partial', samples, inside: insideLine, read };

async function samples(): Promise<Sample[]> {
  const dir = mkdtempSync(join(tmpdir(), 'fuzz-partial-'));
  try {
    const files: Sample[] = [];
    for (const [k, t] of tables.entries()) {
      const path = join(dir, `${k}.partial`);
      const writer = await openPartial(path, lines[k]!, undefined);
      await writer.append(t);
      await writer.close();
      files.push({ bytes: new Uint8Array(readFileSync(path)) });
    }
    return files;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** The first line, the rows whole. */
function insideLine(dice: Dice, bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(10);
  return join2(insideJson(dice, bytes.subarray(0, end)), bytes.subarray(end));
}

async function read({ bytes, path }: Damaged): Promise<undefined> {
  writeFileSync(path, bytes);
  const found = await readPartial(path, lines[0]!);
  if (!found) return;
  let rows = 0;
  for await (const t of found.rows === 0 ? [] : partialTables(path, found)) {
    rows += t.nll.length;
    // A row is what was written, or its check fails; what it holds is checked where the table is made.
    if (found.head.names.length === tables[0]!.names.length) checkTable(t, path);
  }
  check(rows === found.rows, `${rows} rows came, expected ${found.rows}`);
  check(found.validBytes <= bytes.length, `rows end at byte ${found.validBytes} of ${bytes.length}`);
}
