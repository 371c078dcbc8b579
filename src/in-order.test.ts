import { describe, expect, it } from 'vitest';
import { inOrder } from './in-order.ts';

const later = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
const failing = async (ms: number, what: string): Promise<never> => {
  await later(ms);
  throw new Error(what);
};

describe('inOrder', () => {
  it('gives what each gives', async () => {
    expect(await inOrder([later(5).then(() => 'a'), Promise.resolve(2)])).toEqual(['a', 2]);
    expect(await inOrder([])).toEqual([]);
  });

  it('throws the first error in order, not in time', async () => {
    await expect(inOrder([later(1), failing(20, 'first'), failing(0, 'second')])).rejects.toThrow('first');
  });
});
