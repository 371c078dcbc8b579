// ONNX's operators that make numbers of no operand that varies: constants, ranges, diagonals, windows of signals.

import type { DType, Value } from '../../graph/index.ts';
import { expand, where } from '../../ops/index.ts';
import { shapeText } from '../../tensor/shape.ts';
import { TensorProto_DataType } from '../proto.ts';
import type { NodeContext, Operator, Operators } from './context.ts';

function range(ctx: NodeContext): Value {
  const [start, limit, delta] = [0, 1, 2].map((i) => ctx.single(i)) as [number, number, number];
  if (delta === 0) ctx.refuse('steps of 0');
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!(count < 2 ** 24)) ctx.refuse(`a range of ${count} numbers`);
  ctx.arena.spend(2 * count);
  return ctx.constant(
    Array.from({ length: count }, (_, k) => start + k * delta),
    [count],
    ctx.in(0).dtype,
  );
}

/** Ones on one diagonal. */
function eyeLike(ctx: NodeContext): Value {
  const [rows, columns, ...more] = ctx.in(0).shape as [number, number, ...number[]];
  if (columns === undefined || more.length > 0) ctx.refuse(`${shapeText(ctx.in(0).shape)}, expected two axes`);
  const k = ctx.int('k', 0);
  ctx.sized(rows * columns, 'a number of elements', 2 ** 22);
  const data = Array.from({ length: rows * columns }, (_, at) =>
    Number((at % columns) - Math.floor(at / columns) === k),
  );
  const element = ctx.has('dtype') ? ctx.int('dtype') : ctx.element(0);
  ctx.declare(0, element);
  const floats: readonly (number | undefined)[] = [undefined, FLOAT, DOUBLE, FLOAT16, BFLOAT16];
  const dtype = element === BOOL ? 'bool' : floats.includes(element) ? 'float' : 'int';
  return ctx.constant(data, [rows, columns], dtype);
}

const { BFLOAT16, BOOL, DOUBLE, FLOAT, FLOAT16, INT64 } = TensorProto_DataType;

function constant(ctx: NodeContext): Value {
  const t = ctx.tensor('value');
  ctx.declare(0, t?.element ?? (ctx.has('value_int') || ctx.has('value_ints') ? INT64 : FLOAT));
  if (t) return ctx.constant(t.data, t.shape, t.dtype);
  if (ctx.has('value_float')) return ctx.constant(ctx.float('value_float'));
  if (ctx.has('value_int')) return ctx.constant(ctx.int('value_int'), [], 'int');
  const floats = ctx.ints('value_floats');
  if (floats) return ctx.constant(floats, [floats.length]);
  return ctx.list(ctx.ints('value_ints') ?? ctx.refuse('no value of a kind that is supported'));
}

function filled(ctx: NodeContext): Value {
  const t = ctx.tensor('value');
  ctx.declare(0, t ? t.element : FLOAT);
  const shape = Array.from(ctx.known(0), (d) => ctx.sized(d, 'a size'));
  return expand(ctx.constant(t?.data[0] ?? 0, [], t?.dtype ?? 'float'), shape);
}

/** Upper or lower triangle of the last two axes. */
function triangle(ctx: NodeContext): Value {
  const x = ctx.in(0);
  if (x.shape.length < 2) ctx.refuse(`${shapeText(x.shape)}, expected two axes at least`);
  const k = ctx.maybe(1) ? ctx.single(1) : 0;
  const upper = ctx.int('upper', 1) === 1;
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  ctx.sized(rows * columns, 'a number of elements', 2 ** 24);
  const mask = Array.from({ length: rows * columns }, (_, at) => {
    const offset = (at % columns) - Math.floor(at / columns);
    return Number(upper ? offset >= k : offset <= k);
  });
  const kept = ctx.constant(mask, [rows, columns], 'bool');
  return where(kept, x, x.dtype === 'bool' ? ctx.constant(0, [], 'bool') : 0);
}

/** What numbers of a type of the file are here. */
function dtypeOf(element: number): DType {
  if (element === BOOL) return 'bool';
  const floats: readonly number[] = [FLOAT, DOUBLE, FLOAT16, BFLOAT16];
  return floats.includes(element) ? 'float' : 'int';
}

/** Σ ± a · cos(2 π k i / N) over i: a window of a signal, periodic or symmetric. */
const cosines =
  (...amplitudes: readonly number[]): Operator =>
  (ctx) => {
    const size = ctx.sized(ctx.single(0), 'a window', 2 ** 20);
    const period = Math.max(1, ctx.int('periodic', 1) === 1 ? size : size - 1);
    const data = Array.from({ length: size }, (_, i) =>
      amplitudes.reduce((sum, a, k) => sum + (k % 2 === 0 ? a : -a) * Math.cos((2 * Math.PI * k * i) / period), 0),
    );
    const element = ctx.int('output_datatype', FLOAT);
    ctx.declare(0, element);
    const dtype = dtypeOf(element);
    return ctx.constant(dtype === 'float' ? data : data.map(Math.trunc), [size], dtype);
  };

/** Triangles over the frequencies of a transform, [⌊length / 2⌋ + 1, bands], whose corners are evenly spaced in mel. */
function melWeights(ctx: NodeContext): Value {
  const [bands, length, rate, low, high] = [0, 1, 2, 3, 4].map((i) => ctx.single(i)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  ctx.sized(bands, 'a number of bands', 2 ** 12);
  const rows = Math.floor(ctx.sized(length, 'a length', 2 ** 16) / 2) + 1;
  ctx.sized(rows * bands, 'a number of weights', 2 ** 22);
  const mel = (hertz: number) => 2595 * Math.log10(1 + hertz / 700);
  const [from, to] = [mel(low), mel(high)];
  const step = (to - from) / (bands + 2);
  const corner = (k: number) => Math.floor(((length + 1) * 700 * (10 ** ((from + k * step) / 2595) - 1)) / rate);
  const data = new Float64Array(rows * bands);
  for (let band = 0; band < bands; band++) {
    const [start, peak, end] = [corner(band), corner(band + 1), corner(band + 2)];
    if (end > rows) ctx.refuse(`a band up to frequency ${end} of ${rows}`);
    if (peak === start) data[peak * bands + band] = 1;
    for (let i = start; i <= peak && peak > start; i++) data[i * bands + band] = (i - start) / (peak - start);
    for (let i = peak; i < end && end > peak; i++) data[i * bands + band] = (end - i) / (end - peak);
  }
  ctx.declare(0, ctx.int('output_datatype', FLOAT));
  return ctx.constant(data, [rows, bands]);
}

export const constantOperators = {
  Constant: constant,
  ConstantOfShape: filled,
  Range: range,
  EyeLike: eyeLike,
  Trilu: triangle,
  HannWindow: cosines(0.5, 0.5),
  HammingWindow: cosines(25 / 46, 21 / 46),
  BlackmanWindow: cosines(0.42, 0.5, 0.08),
  MelWeightMatrix: melWeights,
} satisfies Operators;
