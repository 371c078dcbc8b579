import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../tensor/random.ts';
import { representations } from './representation.ts';

/** log |det| of a small square matrix, by elimination with pivots. */
function logAbsDet(m: number[][]): number {
  let sum = 0;
  for (let k = 0; k < m.length; k++) {
    const pivot = m.findIndex(
      (row, i) => i >= k && Math.abs(row[k]!) === Math.max(...m.slice(k).map((r) => Math.abs(r[k]!))),
    );
    [m[k], m[pivot]] = [m[pivot]!, m[k]!];
    sum += Math.log(Math.abs(m[k]![k]!));
    for (let i = k + 1; i < m.length; i++) {
      const factor = m[i]![k]! / m[k]![k]!;
      for (let j = k; j < m.length; j++) m[i]![j]! -= factor * m[k]![j]!;
    }
  }
  return sum;
}

const z = new Float64Array(12);
new RandomStream(0, 'test').uniform(0, z);
for (let k = 0; k < z.length; k++) z[k] = 256 * z[k]!;

describe.each(representations([3, 2, 2], 0).map((r) => [r.name, r] as const))('%s', (_, t) => {
  it('is undone by its inverse', () => {
    const [y, back] = [new Float64Array(12), new Float64Array(12)];
    t.forward(z, y);
    t.backward(y, back);
    for (let k = 0; k < 12; k++) expect(back[k]).toBeCloseTo(z[k]!, 9);
  });

  it('has the log-determinant of its finite differences', () => {
    const step = 1e-4;
    const at = (k: number, shift: number) => {
      const y = new Float64Array(12);
      t.forward(
        z.map((v, i) => (i === k ? v + shift : v)),
        y,
      );
      return y;
    };
    const jacobian = Array.from({ length: 12 }, () => Array.from<number>({ length: 12 }));
    for (let k = 0; k < 12; k++) {
      const [up, down] = [at(k, step), at(k, -step)];
      for (let i = 0; i < 12; i++) jacobian[i]![k] = (up[i]! - down[i]!) / (2 * step);
    }
    expect(t.forward(z, new Float64Array(12))).toBeCloseTo(logAbsDet(jacobian), 5);
  });
});
