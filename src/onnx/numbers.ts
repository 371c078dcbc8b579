// What the numbers of a tensor look like: from its first few, where these tell, since to read all numbers of a large
// model takes long.

import { sizeOf } from '../tensor/shape.ts';
import type { FileTensor } from './file.ts';

/** The first numbers: enough to see of most tensors that they are nothing special. */
export const headOf = (t: FileTensor): FileTensor['data'] => t.ends?.head ?? t.data.subarray(0, 64);

export const lastOf = (t: FileTensor): number | undefined => t.ends?.last ?? t.data.at(-1);

/** What was found out by looking at all numbers. */
const uniform = new WeakMap<FileTensor, boolean>();
const few = new WeakMap<FileTensor, readonly number[]>();

/** Whether all numbers are equal. */
export function isUniform(t: FileTensor): boolean {
  const [first] = headOf(t);
  if (!headOf(t).every((x) => x === first)) return false;
  let found = uniform.get(t);
  if (found === undefined) {
    const { data } = t;
    let i = 0;
    while (i < data.length && data[i] === first) i++;
    found = i === data.length;
    uniform.set(t, found);
  }
  return found;
}

/** Up to three different numbers; of more, four. */
export function fewValues(t: FileTensor): readonly number[] {
  const early = distinct(headOf(t), []);
  if (early.length > 3 || sizeOf(t.shape) <= headOf(t).length) return early;
  let found = few.get(t);
  if (!found) {
    found = early.length === 1 && isUniform(t) ? early : distinct(t.data, early);
    few.set(t, found);
  }
  return found;
}

function distinct(data: FileTensor['data'], known: readonly number[]): readonly number[] {
  const values = [...known];
  for (let i = 0; i < data.length && values.length <= 3; i++) {
    const x = data[i]!;
    if (!values.includes(x)) values.push(x);
  }
  return values;
}

export const areWhole = (t: FileTensor): boolean => headOf(t).every(Number.isInteger) && t.data.every(Number.isInteger);

/** Numbers at equal steps. */
export function isProgression(t: FileTensor): boolean {
  const head = headOf(t);
  if (sizeOf(t.shape) < 3) return false;
  const step = head[1]! - head[0]!;
  const slack = 1e-6 * Math.max(Math.abs(head[0]!), Math.abs(lastOf(t)!));
  if (Math.abs(step) <= slack) return false;
  const even = (data: FileTensor['data']) => {
    for (let i = 2; i < data.length; i++) if (Math.abs(data[i]! - data[i - 1]! - step) > slack) return false;
    return true;
  };
  return even(head) && even(t.data);
}

/** Positions as sines and cosines: at position 0 these are zeros and ones. */
export function isSinusoidal(t: FileTensor): boolean {
  const width = t.shape.at(-1) ?? 1;
  if (width < 2 || sizeOf(t.shape) < 2 * width) return false;
  const isEnd = (x: number) => x === 0 || x === 1;
  if (!headOf(t).subarray(0, width).every(isEnd)) return false;
  const first = t.data.subarray(0, width);
  return first.every(isEnd) && first.includes(0) && first.includes(1) && t.data.every((x) => Math.abs(x) <= 1);
}
