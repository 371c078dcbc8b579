// Matrices along the axes of a value in; their Kronecker product, and what is mixed by it, out.

import type { Lowering } from '../graph/index.ts';
import { type Shape, sizeOf } from '../tensor/shape.ts';

/** An axis of d places, and the matrix [d, d] by which they are mixed, if there is one. */
export interface Mixing {
  readonly d: number;
  readonly root: string | undefined;
}

const placesIn = (axes: readonly Mixing[]) => axes.reduce((n, { d }) => n * d, 1);
const areMixed = (axes: readonly Mixing[]) => axes.some(({ root }) => root !== undefined);

/** The Kronecker product of the matrices, [n, n] with n the product of the places; the identity where there is none. */
export function kronecker(ctx: Lowering, axes: readonly Mixing[]): string {
  const rootOf = ({ d, root }: Mixing) => root ?? ctx.float(identity(d), [d, d]);
  if (axes.length === 0) return ctx.float([1], [1, 1]);
  return axes.slice(1).reduce(
    ({ name, n }, axis) => {
      const [to, size] = [[n, axis.d, n, axis.d], n * axis.d];
      const [open, own] = [
        ctx.reshape(name, [n, n], [n, 1, n, 1]),
        ctx.reshape(rootOf(axis), [axis.d, axis.d], [1, axis.d, 1, axis.d]),
      ];
      return { name: ctx.reshape(ctx.emit('Mul', [open, own]), to, [size, size]), n: size };
    },
    { name: rootOf(axes[0]!), n: axes[0]!.d },
  ).name;
}

const identity = (d: number) => Float32Array.from({ length: d * d }, (_, k) => (k % (d + 1) === 0 ? 1 : 0));

/** The places behind the first axis are mixed together with it where they are so few. */
const FEW = 4;

const isTogether = (rows: readonly Mixing[]) => placesIn(rows.slice(1)) <= FEW;

/** Multiplications of `mixedMatrices` for one matrix. */
export function mixingCost(rows: readonly Mixing[], columns: readonly Mixing[]): number {
  const [r, c] = [placesIn(rows), placesIn(columns)];
  const ofColumns = areMixed(columns) ? r * c * c : 0;
  if (!areMixed(rows)) return ofColumns;
  if (isTogether(rows)) return ofColumns + r * r * c;
  const [first, ...taps] = rows as [Mixing, ...Mixing[]];
  return ofColumns + r * c * ((first.root ? first.d : 0) + (areMixed(taps) ? r / first.d : 0));
}

/** Matrices [m, r, c] whose rows lie along some axes and whose columns along others, mixed along all of them. */
export function mixedMatrices(
  ctx: Lowering,
  { name, shape }: { readonly name: string; readonly shape: Shape },
  rows: readonly Mixing[],
  columns: readonly Mixing[],
): string {
  const [r, c] = [placesIn(rows), placesIn(columns)];
  const m = sizeOf(shape) / r / c;
  const whole = [m, r, c];
  let made = ctx.reshape(name, shape, whole);
  if (areMixed(columns)) {
    const turned = ctx.emit('Transpose', [kronecker(ctx, columns)], { perm: [1, 0] });
    made = ctx.reshape(ctx.emit('MatMul', [ctx.reshape(made, whole, [m * r, c]), turned]), [m * r, c], whole);
  }
  if (!areMixed(rows)) return made;
  if (isTogether(rows)) return ctx.emit('MatMul', [kronecker(ctx, rows), made]);
  const [first, ...taps] = rows as [Mixing, ...Mixing[]];
  const [d, t] = [first.d, r / first.d];
  if (first.root) {
    const open = ctx.reshape(made, whole, [m, d, t * c]);
    made = ctx.reshape(ctx.emit('MatMul', [first.root, open]), [m, d, t * c], whole);
  }
  if (areMixed(taps)) {
    const open = ctx.reshape(made, whole, [m * d, t, c]);
    made = ctx.reshape(ctx.emit('MatMul', [kronecker(ctx, taps), open]), [m * d, t, c], whole);
  }
  return made;
}
