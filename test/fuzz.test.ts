// Damaged files of every format: each is refused with an error that names the file, or holds sound content. The long
// version, in a process that may hang or crash, is `npm run fuzz`.

import { describe, expect, it } from 'vitest';
import type { Format } from '../scripts/fuzz/format.ts';
import { formatNames, formats, makeFile, tryFile } from '../scripts/fuzz/index.ts';

const [COUNT, SEED] = [300, 4];

describe.each(formatNames)('%s', (format) => {
  it(`damaged in ${COUNT} ways is refused, or read`, async () => {
    const kinds = { read: 0, refused: 0, finding: 0 };
    const findings: string[] = [];
    for (let k = 0; k < COUNT; k++) {
      const { kind, text } = await tryFile(format, SEED, k);
      kinds[kind]++;
      if (kind === 'finding') findings.push(`--format ${format} --seed ${SEED} --only ${k}: ${text}`);
    }
    expect(findings).toEqual([]);
    // Damage that is never seen, or always, would test nothing.
    expect(kinds.read).toBeGreaterThan(COUNT / 50);
    const { tolerant = false }: Format = formats[format];
    if (!tolerant) expect(kinds.refused).toBeGreaterThan(COUNT / 4);
  });

  it('is damaged in the same way for the same seed', async () => {
    const [first, second] = [await makeFile(format, 3, 7), await makeFile(format, 3, 7)];
    expect(second).toEqual(first);
  });
});

// Files that were read as something else once: a directory that lost an array, scores that are no numbers.
it.each([
  ['npz', 77123, 8791],
  ['detector', 77123, 7014],
] as const)('%s --seed %i --only %i is no finding', async (format, seed, k) => {
  const { kind, text } = await tryFile(format, seed, k);
  expect(kind, text).not.toBe('finding');
});
