// ONNX's operators that put windows back into images: Col2Im adds them up, MaxUnpool puts maxima where they were.

import type { Value } from '../../graph/index.ts';
import { add, matmul, place, reshape, sliceRaw, sub } from '../../ops/index.ts';
import { sameShape, shapeText, sizeOf } from '../../tensor/shape.ts';
import type { NodeContext, Operators } from './context.ts';
import { oneHot } from './gather.ts';

/** Windows [n, c · kernel, count] added up in an image [n, c, ...space], each where it was cut out: `fold`. */
function folded(ctx: NodeContext): Value {
  const x = ctx.in(0);
  const [space, kernel] = [[...ctx.known(1)], [...ctx.known(2)]];
  const r = space.length;
  const list = (name: string, otherwise: number, length = r) =>
    ctx.listOf(name, length) ?? new Array<number>(length).fill(otherwise);
  const [strides, dilations, pads] = [list('strides', 1), list('dilations', 1), list('pads', 0, 2 * r)];
  const taps = ctx.sized(
    kernel.reduce((a, b) => a * b, 1),
    'a window',
    4096,
  );
  for (const d of [...space, ...pads]) ctx.sized(d, 'a size', 2 ** 16);
  for (const s of [...strides, ...dilations, ...kernel])
    if (ctx.sized(s, 'a step', 2 ** 16) === 0) ctx.refuse('a step of 0');
  // ONNX Runtime puts these elsewhere.
  if (r !== 2 && dilations.some((d) => d > 1)) ctx.refuse(`dilated windows over ${r} axes, of which readings differ`);
  const padded = space.map((d, s) => d + pads[s]! + pads[s + r]!);
  const moves = padded.map((d, s) => Math.floor((d - (dilations[s]! * (kernel[s]! - 1) + 1)) / strides[s]!) + 1);
  const [n, width, count] = x.shape as [number, number, number];
  if (
    kernel.length !== r ||
    x.shape.length !== 3 ||
    width % taps !== 0 ||
    moves.some((m) => m < 1) ||
    count !== sizeOf(moves)
  ) {
    ctx.refuse(`${shapeText(x.shape)} as windows of ${shapeText(kernel)} in an image of ${shapeText(space)}`);
  }
  const c = width / taps;
  const windows = reshape(x, [n, c, taps, ...moves]);
  const full = [n, c, ...padded];
  const each = Array.from({ length: taps }, (_, flat) => {
    const starts = new Array<number>(r);
    for (let s = r - 1, rest = flat; s >= 0; s--) {
      starts[s] = (rest % kernel[s]!) * dilations[s]!;
      rest = Math.floor(rest / kernel[s]!);
    }
    const tap = sliceRaw(
      windows,
      [0, 0, flat, ...moves.map(() => 0)],
      [n, c, 1, ...moves],
      windows.shape.map(() => 1),
    );
    return place(reshape(tap, [n, c, ...moves]), full, [0, 0, ...starts], [1, 1, ...strides]);
  });
  return sliceRaw(
    each.reduce((a, b) => add(a, b)),
    [0, 0, ...pads.slice(0, r)],
    [n, c, ...space],
    full.map(() => 1),
  );
}

/**
 * Maxima [n, c, ...] at their places, counted through the whole image [n, c, ...space]; zeros elsewhere. Each is in its
 * own channel, as MaxPool has it.
 */
function unpooled(ctx: NodeContext): Value {
  const [x, indices] = [ctx.in(0), ctx.in(1)];
  const kernel = ctx.ints('kernel_shape') ?? ctx.refuse('no kernel_shape');
  const r = kernel.length;
  if (x.shape.length !== r + 2) ctx.refuse(`${shapeText(x.shape)} has not ${r} spatial axes`);
  ctx.expectShape(1, x.shape);
  const strides = ctx.listOf('strides', r) ?? kernel.map(() => 1);
  const pads = ctx.listOf('pads', 2 * r) ?? new Array<number>(2 * r).fill(0);
  const [n, c, ...small] = x.shape as [number, number, ...number[]];
  const inferred = small.map((d, s) =>
    ctx.sized((d - 1) * strides[s]! + kernel[s]! - pads[s]! - pads[s + r]!, 'a size', 2 ** 16),
  );
  const asked = ctx.maybeKnown(2);
  const shape = asked ?? [n, c, ...inferred];
  // Another shape than the inferred one: ONNX says how places are counted in it, and runtimes do not agree.
  if (!sameShape(shape, [n, c, ...inferred]))
    ctx.refuse(`an output ${shapeText(shape)}, where the kernel makes ${shapeText([n, c, ...inferred])}`);
  const [places, count] = [sizeOf(inferred), sizeOf(small)];
  const channel = ctx.constant(
    Array.from({ length: n * c }, (_, k) => k * places),
    [n * c, 1],
    'int',
  );
  const own = sub(reshape(indices, [n * c, count]), channel);
  const hot = oneHot(ctx, own, places); // [n c, count, places]
  const y = matmul(reshape(x, [n * c, 1, count]), hot);
  return reshape(y, [n, c, ...inferred]);
}

export const unpoolOperators = {
  Col2Im: folded,
  MaxUnpool: unpooled,
} satisfies Operators;
