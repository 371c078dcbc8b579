// ONNX's recurrent layers, unrolled over their (static) time axis.

import type { Value } from '../../graph/index.ts';
import {
  add,
  clamp,
  concat,
  expand,
  less,
  matmul,
  mul,
  reshape,
  slice,
  sub,
  transpose,
  where,
} from '../../ops/index.ts';
import { type Shape, sameShape, shapeText } from '../../tensor/shape.ts';
import { type Activation, activationsOf } from './activations.ts';
import type { NodeContext, Operators } from './context.ts';

/** One direction of a layer: operands without the axis of directions. */
interface Direction {
  /**
   * [T · N, gates · H]: the input's part of the gates, biases included: both where the state's part is only ever added
   * to it.
   */
  readonly gates: Value;
  /** [H, gates · H] */
  readonly recurrence: Value;
  /** [gates · H]: what is added to the state's part of the gates, where that is apart from the input's. */
  readonly bias: Value;
  /** The layer's activations in their order. */
  readonly f: readonly Activation[];
  readonly hidden: number;
  readonly index: number;
}

interface State {
  readonly h: Value;
  readonly c?: Value;
}

type Step = (d: Direction, x: Value, state: State) => State;

/** Y [T, directions, N, H], Y_h and, with a cell, Y_c [directions, N, H]; batch first where `layout` says so. */
function recurrent(
  ctx: NodeContext,
  gates: number,
  defaults: readonly string[],
  biases: 'together' | 'apart',
  step: Step,
): Value[] {
  const layout = ctx.int('layout', 0);
  if (layout !== 0 && layout !== 1) ctx.refuse(`layout ${layout}`);
  const batchFirst = layout === 1;
  const swap = (v: Value) => (batchFirst ? transpose(v, [1, 0, 2]) : v);
  if (ctx.in(0).shape.length !== 3) ctx.refuse(`the sequence ${shapeText(ctx.in(0).shape)}, expected three axes`);
  const x = swap(ctx.in(0)); // [T, N, I]
  const [T, N, width] = x.shape as [number, number, number];
  ctx.sized(T, 'a sequence', 4096);
  if (T === 0) ctx.refuse('a sequence of length 0');
  const hidden = ctx.in(2).shape[2] ?? ctx.refuse(`recurrence weights ${shapeText(ctx.in(2).shape)}`);
  if (ctx.int('hidden_size', hidden) !== hidden) {
    ctx.refuse(`hidden_size ${ctx.int('hidden_size')}, its recurrence weights are ${shapeText(ctx.in(2).shape)}`);
  }
  const kind = ctx.text('direction', 'forward');
  if (!['forward', 'reverse', 'bidirectional'].includes(kind)) ctx.refuse(`direction '${kind}'`);
  const directions = kind === 'bidirectional' ? 2 : 1;
  const start = batchFirst ? [N, directions, hidden] : [directions, N, hidden];
  const expected: readonly (readonly [operand: number, shape: Shape])[] = [
    [1, [directions, gates * hidden, width]],
    [2, [directions, gates * hidden, hidden]],
    [3, [directions, 2 * gates * hidden]],
    [5, start],
    [6, start],
    [7, [directions, 3 * hidden]],
  ];
  for (const [i, shape] of expected) {
    const given = ctx.maybe(i);
    if (given && !sameShape(given.shape, shape)) {
      ctx.refuse(`operand ${i} is ${shapeText(given.shape)}, expected ${shapeText(shape)}`);
    }
  }
  const ends = endsOf(ctx, T, N);
  const names = ctx.texts('activations') ?? Array.from({ length: directions }, () => defaults).flat();
  if (names.length !== directions * defaults.length) {
    ctx.refuse(`${names.length} activations, expected ${directions * defaults.length}`);
  }
  const clip = clipped(ctx);
  // As ONNX Runtime has it, what a cell gives to its output is not clipped.
  const all = activationsOf(ctx, names).map((f, k) => (k % defaults.length < 2 ? clip(f) : f));

  const results = Array.from({ length: directions }, (_, index) => {
    const own = (v: Value) => reshape(slice(v, 0, index, index + 1), v.shape.slice(1));
    const bias = ctx.maybe(3) ? own(ctx.in(3)) : undefined;
    const size = gates * hidden;
    const flat = matmul(reshape(x, [T * N, width]), transpose(own(ctx.in(1))));
    const zeros = expand(ctx.constant(0), [size]);
    const [ofInput, ofState] = bias ? [slice(bias, 0, 0, size), slice(bias, 0, size, 2 * size)] : [zeros, zeros];
    const d: Direction = {
      gates: add(flat, biases === 'together' ? add(ofInput, ofState) : ofInput),
      recurrence: transpose(own(ctx.in(2))),
      bias: ofState,
      f: all.slice(index * defaults.length, (index + 1) * defaults.length),
      hidden,
      index,
    };
    const initial = (i: number) => {
      const given = ctx.maybe(i);
      return given ? own(swap(given)) : expand(ctx.constant(0), [N, hidden]);
    };
    let state: State = { h: initial(5), c: initial(6) };
    const reverse = kind === 'reverse' || index === 1;
    const order = Array.from({ length: T }, (_, k) => (reverse ? T - 1 - k : k));
    const outputs = new Array<Value>(T);
    for (const t of order) {
      const next = step(d, slice(d.gates, 0, t * N, (t + 1) * N), state);
      const going = ends && less(ends.times[t]!, ends.lengths);
      // A sequence that has ended keeps its state and gives zeros; one that goes backwards has not begun.
      state = going ? kept(going, next, state) : next;
      outputs[t] = going ? where(going, next.h, 0) : next.h;
    }
    return { outputs, state };
  });

  const stack = (values: readonly Value[]) =>
    concat(
      values.map((v) => reshape(v, [1, ...v.shape])),
      0,
    );
  const each = results.map((r) => reshape(concat(r.outputs, 0), [T, 1, N, hidden]));
  const y = concat(each, 1); // [T, D, N, H]
  const last = [stack(results.map((r) => r.state.h))];
  if (results[0]!.state.c) last.push(stack(results.map((r) => r.state.c!)));
  return batchFirst ? [transpose(y, [2, 0, 1, 3]), ...last.map((v) => transpose(v, [1, 0, 2]))] : [y, ...last];
}

/** The lengths of sequences [N, 1] and the times that they are compared with; undefined where all are of length T. */
function endsOf(
  ctx: NodeContext,
  T: number,
  N: number,
): { readonly lengths: Value; readonly times: readonly Value[] } | undefined {
  const given = ctx.maybe(4);
  if (!given) return undefined;
  ctx.expectShape(4, [N]);
  const known = ctx.importer.known(given);
  if (known?.every((l) => l === T)) return undefined;
  const lengths = reshape(given, [N, 1]);
  ctx.within(given, 0, T, lengths);
  return { lengths, times: Array.from({ length: T }, (_, t) => ctx.constant(t, [], 'int')) };
}

function kept(going: Value, next: State, before: State): State {
  const c = next.c && { c: where(going, next.c, before.c!) };
  return { h: where(going, next.h, before.h), ...c };
}

/** What activations are given is kept within ± clip. */
const clipped =
  (ctx: NodeContext) =>
  (f: Activation): Activation => {
    if (!ctx.has('clip')) return f;
    const most = ctx.float('clip');
    if (!(most > 0)) ctx.refuse(`clip ${most}, expected a number above 0`);
    return (x) => f(clamp(x, -most, most));
  };

/** Gate k of the gates side by side. */
const gate = (all: Value, k: number, hidden: number): Value => slice(all, 1, k * hidden, (k + 1) * hidden);

/** Gates in the order input, output, forget, cell; peepholes in the order input, output, forget. */
const lstmStep =
  (ctx: NodeContext): Step =>
  ({ recurrence, f, hidden, index }, x, state) => {
    const all = add(x, matmul(state.h, recurrence));
    const [sigma, g, out] = f as [Activation, Activation, Activation];
    const before = state.c!;
    const given = ctx.maybe(7);
    const coupled = ctx.int('input_forget', 0) !== 0;
    const cell = g(gate(all, 3, hidden));
    if (!given) {
      const three = sigma(slice(all, 1, 0, 3 * hidden)); // one step for the gates that have the same activation
      const [i, o, forget] = [0, 1, 2].map((k) => gate(three, k, hidden)) as [Value, Value, Value];
      const c = add(mul(coupled ? sub(1, i) : forget, before), mul(i, cell));
      return { h: mul(o, out(c)), c };
    }
    const p = reshape(slice(given, 0, index, index + 1), [3 * hidden]);
    const peep = (c: Value, k: number) =>
      sigma(add(gate(all, k, hidden), mul(slice(p, 0, k * hidden, (k + 1) * hidden), c)));
    const i = peep(before, 0);
    const c = add(mul(coupled ? sub(1, i) : peep(before, 2), before), mul(i, cell));
    return { h: mul(peep(c, 1), out(c)), c };
  };

/** Gates in the order update, reset, hidden. */
const gruStep =
  (ctx: NodeContext): Step =>
  ({ recurrence, bias, f, hidden }, x, { h }) => {
    const [sigma, g] = f as [Activation, Activation];
    const through = add(matmul(h, recurrence), bias);
    const z = sigma(add(gate(x, 0, hidden), gate(through, 0, hidden)));
    const r = sigma(add(gate(x, 1, hidden), gate(through, 1, hidden)));
    const inner =
      ctx.int('linear_before_reset', 0) === 1
        ? mul(r, gate(through, 2, hidden))
        : add(matmul(mul(r, h), slice(recurrence, 1, 2 * hidden, 3 * hidden)), slice(bias, 0, 2 * hidden, 3 * hidden));
    const next = g(add(gate(x, 2, hidden), inner));
    return { h: add(mul(sub(1, z), next), mul(z, h)) };
  };

const rnnStep: Step = ({ recurrence, f }, x, { h }) => ({ h: f[0]!(add(x, matmul(h, recurrence))) });

export const recurrentOperators = {
  LSTM: (ctx) => recurrent(ctx, 4, ['Sigmoid', 'Tanh', 'Tanh'], 'together', lstmStep(ctx)),
  GRU: (ctx) => recurrent(ctx, 3, ['Sigmoid', 'Tanh'], 'apart', gruStep(ctx)),
  RNN: (ctx) => recurrent(ctx, 1, ['Tanh'], 'together', rnnStep),
} satisfies Operators;
