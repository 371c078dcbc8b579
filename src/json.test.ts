// JSON that is none, or not what was expected, and what is said of it.

import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { ModelError } from './errors.ts';
import { parseAs, parseJson } from './json.ts';

describe('parseJson', () => {
  it('takes text and bytes', () => {
    expect(parseJson('[1]', 'f')).toEqual([1]);
    expect(parseJson(new TextEncoder().encode('"ä"'), 'f')).toBe('ä');
  });

  it('says whose text is none, why, and what to do', () => {
    expect(() => parseJson('{"a":', 'f')).toThrow(/^f: is not valid JSON: Unexpected end/);
    const latin = Uint8Array.of(0x22, 0xe4, 0x22);
    const read = () => parseJson(latin, 'f', ModelError, '; delete it');
    expect(read).toThrow('f: is not valid JSON: it is not text in UTF-8; delete it');
    expect(read).toThrow(ModelError);
  });
});

it('parseAs names the place, what was found and how much more is wrong', () => {
  const schema = z.strictObject({ a: z.array(z.int().min(1)), b: z.string() });
  expect(parseAs(schema, { a: [1], b: '' }, 'f')).toEqual({ a: [1], b: '' });
  const read = () => parseAs(schema, { a: [1, -2], b: 3 }, 'f', ModelError);
  expect(read).toThrow(/^f: at 'a\[1\]': .*, found -2 \(and 1 more\)$/);
  expect(read).toThrow(ModelError);
});
