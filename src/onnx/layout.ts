// Two tensors of the same numbers in; how one is the other with its axes in another order, out.

import { type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import type { FileTensor } from './file.ts';

/**
 * A tensor made of a parameter of shape `shape`: its axes in the order `perm`, then brought into the tensor's own
 * shape.
 */
export interface Layout {
  readonly shape: Shape;
  readonly perm: readonly number[];
}

/** The parameter of a tensor that was made of it. */
export function withoutLayout(t: FileTensor, { shape, perm }: Layout): FileTensor {
  return { shape, dtype: t.dtype, data: permuted(t.data, shape, perm, true) };
}

/**
 * How `to` is made of `from`; undefined where it is not, or where that is not clear: a matrix of equal numbers may have
 * been transposed or not, and gradients differ. `expected`: the order of axes that is taken where the numbers allow it.
 */
export function layoutOf(from: FileTensor, to: FileTensor, expected?: readonly number[]): Layout | undefined {
  if (sizeOf(from.shape) !== sizeOf(to.shape)) return undefined;
  if (from.data[0] !== to.data[0] || from.data.at(-1) !== to.data.at(-1)) return undefined; // the same in any order
  const wide = from.shape.flatMap((d, axis) => (d === 1 ? [] : [axis]));
  const target = to.shape.filter((d) => d !== 1);
  const fitting: (readonly number[])[] = [];
  for (const order of orders(wide)) {
    if (
      !sameShape(
        target,
        order.map((axis) => from.shape[axis]!),
      )
    )
      continue;
    const perm = [...order, ...from.shape.flatMap((d, axis) => (d === 1 ? [axis] : []))];
    if (sameNumbers(permuted(from.data, from.shape, perm, false), to.data)) fitting.push(perm);
  }
  const layouts = fitting.map((perm) => ({ shape: from.shape, perm }));
  if (layouts.length === 1) return layouts[0];
  const asIs = [...from.shape.keys()];
  if (layouts.length === 0) return sameNumbers(from.data, to.data) ? { shape: from.shape, perm: asIs } : undefined;
  const wideOf = (perm: readonly number[]) => perm.filter((axis) => from.shape[axis] !== 1).join();
  return expected && layouts.find(({ perm }) => wideOf(perm) === wideOf(expected));
}

/** All orders of a few axes; of many, only the given one. */
function orders(axes: readonly number[]): (readonly number[])[] {
  if (axes.length > 4) return [axes];
  if (axes.length <= 1) return [axes];
  return axes.flatMap((first) => orders(axes.filter((axis) => axis !== first)).map((rest) => [first, ...rest]));
}

function sameNumbers(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}

/**
 * A tensor of `shape` with its axes in the order `perm`; `back`: the tensor of `shape` whose transposition is `data`.
 */
function permuted(data: FileTensor['data'], shape: Shape, perm: readonly number[], back: boolean): FileTensor['data'] {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const sizes = perm.map((axis) => shape[axis]!);
  const steps = perm.map((axis) => strides[axis]!);
  const result = data.slice();
  const index = sizes.map(() => 0);
  let place = 0;
  for (let i = 0; i < data.length; i++) {
    if (back) result[place] = data[i]!;
    else result[i] = data[place]!;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      place += steps[axis]!;
      if (index[axis]! < sizes[axis]!) break;
      place -= steps[axis]! * sizes[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
