// Files as other tools write them: what is read is what those tools read (scripts/make-format-goldens.py).

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { runOptions } from '../../src/cli/options.ts';
import { openData } from '../../src/node/index.ts';

interface Case {
  /** A DATA argument, within the folder. */
  readonly spec: string;
  /** As on a command line. */
  readonly options: Readonly<Record<string, string>>;
  /** Of all examples, [n, …]. */
  readonly shape: readonly number[];
  /** Base64 of float32. */
  readonly values: string;
  /** What the examples are called. */
  readonly ids?: readonly string[];
  /** How far values may be off; to the last bit where it is left out. */
  readonly within?: number;
}

/** What is not read, and the words that say so. */
interface Refused extends Pick<Case, 'spec' | 'options'> {
  readonly message: string;
}

const folder = fileURLToPath(new URL('formats/', import.meta.url));
const cases = JSON.parse(readFileSync(`${folder}cases.json`, 'utf8')) as Case[];
const refused = JSON.parse(readFileSync(`${folder}refused.json`, 'utf8')) as Refused[];
const floatsOf = (text: string) => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer);

describe.each(cases)('$spec $options', ({ spec, options, shape, values, ids, within = 0 }) => {
  it('is what another tool reads', async () => {
    const data = await openData(`${folder}${spec}`, runOptions(options).choices);
    const [n, ...example] = shape;
    expect([data.length, data.shapes]).toEqual([n, { x: example }]);
    const expected = floatsOf(values);
    for (const size of [1, 3, 1000]) {
      const found: number[] = [];
      for await (const { arrays } of data.batches(size)) for (const v of arrays.x!.data) found.push(Number(v));
      expect(found.length).toBe(expected.length);
      const worst = found.reduce((most, v, i) => Math.max(most, Math.abs(v - expected[i]!)), 0);
      expect(worst).toBeLessThanOrEqual(within);
    }
    const last = (await data.gather([n! - 1, 0])).arrays.x!.data;
    const stride = expected.length / n!;
    expect(Math.abs(Number(last[stride]) - expected[0]!)).toBeLessThanOrEqual(within);
    expect(Math.abs(Number(last[0]) - expected[(n! - 1) * stride]!)).toBeLessThanOrEqual(within);
    if (ids) expect(await data.ids?.([...ids.keys()])).toEqual(ids);
  });
});

it.each(refused)('$spec is refused: $message', async ({ spec, options, message }) => {
  await expect(openData(`${folder}${spec}`, runOptions(options).choices)).rejects.toThrow(
    `${folder}${spec}: ${message}`,
  );
});
