// Elements of constants moved, as ONNX's Transpose and Slice move them: operands of such a node in, its result out.

import type { OnnxAttr } from '../graph/index.ts';
import type { OnnxTensor } from '../onnx/index.ts';
import { walk } from '../tensor/ndarray.ts';
import { type Shape, sizeOf, stridesOf } from '../tensor/shape.ts';

export type Constant = Pick<OnnxTensor, 'dims' | 'data'>;

/** Larger tensors are left to the runtime: what it moves as part of a product it need not move at all. */
const MOST_NUMBERS = 2 ** 14;

/** Undefined for any other node, and where it is not known what it is made from. */
export function movedConstant(
  op: string,
  operands: readonly (Constant | undefined)[],
  attrs: Readonly<Record<string, OnnxAttr>>,
): { readonly dims: Shape; readonly data: Float32Array } | undefined {
  const [x, ...rest] = operands;
  if (!x || !(x.data instanceof Float32Array) || x.data.length > MOST_NUMBERS) return undefined;
  const own = stridesOf(x.dims);
  if (op === 'Transpose') {
    const perm = attrs.perm as readonly number[];
    return view(
      x.data,
      perm.map((a) => x.dims[a]!),
      perm.map((a) => own[a]!),
    );
  }
  if (op !== 'Slice' || rest.length !== 4 || rest.some((list) => list === undefined)) return undefined;
  const [starts, ends, axes, steps] = rest.map((list) => Array.from(list!.data, Number)) as [
    number[],
    number[],
    number[],
    number[],
  ];
  const [dims, strides] = [[...x.dims], [...own]];
  let offset = 0;
  axes.forEach((a, k) => {
    const [size, step] = [x.dims[a]!, steps[k]!];
    const place = (at: number, low: number, high: number) => Math.min(Math.max(at < 0 ? at + size : at, low), high);
    const start = step > 0 ? place(starts[k]!, 0, size) : place(starts[k]!, 0, size - 1);
    const end = step > 0 ? place(ends[k]!, 0, size) : place(ends[k]!, -1, size - 1);
    dims[a] = Math.max(0, Math.ceil((end - start) / step));
    offset += start * own[a]!;
    strides[a] = own[a]! * step;
  });
  return view(x.data, dims, strides, offset);
}

/** The elements at `offset` and these strides from it, in order. */
function view(from: Float32Array, dims: Shape, strides: readonly number[], offset = 0) {
  const data = new Float32Array(sizeOf(dims));
  const axes = joined(dims, strides);
  const { size: width, stride: step } = axes.pop() ?? { size: 1, stride: 1 };
  const rows = axes.map(({ size }) => size);
  walk(rows, [axes.map(({ stride }) => stride)], (row, [at]) => {
    for (let i = 0; i < width; i++) data[row * width + i] = from[offset + at! + i * step]!;
  });
  return { dims, data };
}

/** Fewer axes for the same elements: those that are as far apart as if they were one are one. */
function joined(dims: Shape, strides: readonly number[]) {
  const axes: { size: number; stride: number }[] = [];
  dims.forEach((size, a) => {
    if (size === 1) return;
    const last = axes.at(-1);
    if (last && last.stride === strides[a]! * size)
      axes[axes.length - 1] = { size: last.size * size, stride: strides[a]! };
    else axes.push({ size, stride: strides[a]! });
  });
  return axes;
}
