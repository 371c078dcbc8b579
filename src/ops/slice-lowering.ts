// Slices and their adjoint, the ONNX nodes that take them for all examples; where axes are stored.

import type { Attrs, Lowered, Lowering, NodeSource, Value } from '../graph/index.ts';
import type { Shape } from '../tensor/shape.ts';

/**
 * The axis in which axis `a` of the one-example shape is stored; undefined for the first axis where that is dropped.
 */
export function storageAxis(
  x: { readonly shape: Shape; readonly lead: Lowered['lead'] },
  a: number,
): number | undefined {
  if (x.lead === 'none') return a;
  if (x.shape[0] !== 1) return a + 1;
  return a === 0 ? undefined : a;
}

export const list = (attrs: Attrs, key: string): readonly number[] => attrs[key] as readonly number[];

/** ONNX's "until before the first element" for slices that run backwards. */
const BEFORE_FIRST = -(2 ** 31);

/** Slice, whose starts an int64 of one element is added to, where there is one. */
export function lowerSlice(ctx: Lowering, x: Lowered, { attrs }: NodeSource, y: Value, offset?: string): Lowered {
  const [starts, sizes, steps] = [list(attrs, 'starts'), list(attrs, 'sizes'), list(attrs, 'steps')];
  const cut = x.shape.flatMap((d, a) => (sizes[a] === d && steps[a] === 1 ? [] : [a]));
  if (!offset && cut.length === 1 && cut[0] === 0 && x.shape[0] !== 1 && y.shape[0] === 1 && x.lead !== 'none') {
    // One place of the first axis, which goes with it.
    const name = ctx.emit('Gather', [x.name, ctx.int(starts[0]!)], { axis: 1 });
    return { name, ...typeOf(y), lead: x.lead };
  }
  const direct = !cut.includes(0) || x.lead === 'none' || x.shape[0] !== 1;
  const source = direct ? x.name : ctx.full(x);
  const axes = cut.map((a) => (direct ? storageAxis(x, a)! : a + 1));
  const ends = cut.map((a) => {
    const end = starts[a]! + sizes[a]! * steps[a]!;
    return end < 0 ? BEFORE_FIRST : end;
  });
  const from = ctx.ints(cut.map((a) => starts[a]!));
  let name = ctx.emit('Slice', [
    source,
    offset ? ctx.emit('Add', [from, offset]) : from,
    ctx.ints(ends),
    ctx.ints(axes),
    ctx.ints(cut.map((a) => steps[a]!)),
  ]);
  if (x.lead === 'none') return { name, ...typeOf(y), lead: 'none' };
  const dropped = direct && x.shape[0] === 1;
  const dims = [ctx.leadSize(x.lead), ...(dropped ? y.shape.slice(1) : y.shape)];
  // The runtime does not infer its size where it does not know the starts, and plans without what it does not know.
  if (offset) name = ctx.emit('Reshape', [name, ctx.ints(dims)]);
  return ctx.stored(name, dims, y, x.lead);
}

/** The adjoint of Slice: zeros with x in its places. */
export function lowerPlace(ctx: Lowering, x: Lowered, { attrs }: NodeSource, y: Value): Lowered {
  const [starts, steps] = [list(attrs, 'starts'), list(attrs, 'steps')];
  let name = ctx.full(x);
  const n = ctx.leadSize(x.lead);
  let dims = [...x.shape];
  const before = [0];
  const after = [0];
  for (let a = 0; a < dims.length; a++) {
    const step = Math.abs(steps[a]!);
    if (steps[a]! < 0 && dims[a]! > 1) {
      name = ctx.emit('Slice', [name, ctx.ints([-1]), ctx.ints([BEFORE_FIRST]), ctx.ints([a + 1]), ctx.ints([-1])]);
    }
    const first = steps[a]! < 0 ? starts[a]! + (dims[a]! - 1) * steps[a]! : starts[a]!;
    if (step > 1 && dims[a]! > 1) {
      // step - 1 zeros behind every element: pad a new axis after this one, merge the two, cut the zeros behind the
      // last.
      const open = [n, ...dims.slice(0, a + 1), 1, ...dims.slice(a + 1)];
      name = ctx.reshape(name, [n, ...dims], open);
      const zeros = open.map((_, i) => (i === a + 2 ? step - 1 : 0));
      name = ctx.emit('Pad', [name, ctx.ints([...open.map(() => 0), ...zeros]), ctx.zero(y.dtype)]);
      const merged = dims.map((d, i) => (i === a ? d * step : d));
      name = ctx.reshape(
        name,
        open.map((d, i) => d + zeros[i]!),
        [n, ...merged],
      );
      const size = (dims[a]! - 1) * step + 1;
      name = ctx.emit('Slice', [name, ctx.ints([0]), ctx.ints([size]), ctx.ints([a + 1]), ctx.ints([1])]);
      dims = dims.map((d, i) => (i === a ? size : d));
    }
    before.push(first);
    after.push(y.shape[a]! - first - dims[a]!);
  }
  if ([...before, ...after].some((p) => p !== 0)) {
    name = ctx.emit('Pad', [name, ctx.ints([...before, ...after]), ctx.zero(y.dtype)]);
  }
  return x.lead === 'none'
    ? { name: ctx.reshape(name, [1, ...y.shape], y.shape), ...typeOf(y), lead: 'none' }
    : ctx.stored(name, [n, ...y.shape], y, x.lead);
}

const typeOf = ({ shape, dtype }: Value) => ({ shape, dtype });
