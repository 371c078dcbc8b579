// ONNX's branches and loops, where the condition or the number of rounds does not depend on the inputs.

import type { Value } from '../../graph/index.ts';
import { concat, reshape, slice, where } from '../../ops/index.ts';
import { normaliseAxis, sameShape, shapeText } from '../../tensor/shape.ts';
import { type NodeContext, type Operators, Sequence } from './context.ts';
import { axisOf } from './shape.ts';

/** Rounds that are unrolled at most. */
const MOST = 4096;

/**
 * The branch that is known to be taken, or both where that depends on the data: then every result is one of the two.
 */
function branch(ctx: NodeContext): readonly Value[] {
  const condition = ctx.in(0);
  const known = ctx.importer.known(condition);
  if (known) return ctx.importer.inline(ctx.graph(known[0] !== 0 ? 'then_branch' : 'else_branch'), []);
  const [yes, no] = ['then_branch', 'else_branch'].map((name) => ctx.importer.inline(ctx.graph(name), [])) as [
    readonly Value[],
    readonly Value[],
  ];
  return yes.map((a, k) => {
    const b = no[k] ?? ctx.refuse(`branches of ${yes.length} and ${no.length} results`);
    if (a instanceof Sequence || b instanceof Sequence || !sameShape(a.shape, b.shape) || a.dtype !== b.dtype) {
      const text = (v: Value) => (v instanceof Sequence ? 'a sequence' : `${v.dtype} ${shapeText(v.shape)}`);
      ctx.refuse(`result ${k} is ${text(a)} or ${text(b)}, as the data have it; expected one shape`);
    }
    return where(reshape(condition, []), a, b);
  });
}

const stacked = (values: readonly Value[], axis: number): Value =>
  concat(
    values.map((v) => reshape(v, [...v.shape.slice(0, axis), 1, ...v.shape.slice(axis)])),
    axis,
  );

/** Body: (round, condition, carried …) -> (condition, carried …, collected …). */
function loop(ctx: NodeContext): Value[] {
  const body = ctx.graph('body');
  const most = ctx.maybeKnown(0)?.[0] ?? Number.POSITIVE_INFINITY;
  let going = (ctx.maybeKnown(1)?.[0] ?? 1) !== 0;
  const carriedCount = ctx.count - 2;
  let carried = Array.from({ length: Math.max(0, carriedCount) }, (_, k) => ctx.any(k + 2));
  if (body.outputs.length < 1 + carried.length || body.inputs.length !== 2 + carried.length) {
    ctx.refuse(
      `a body of ${body.inputs.length} inputs and ${body.outputs.length} outputs for ${carried.length} values`,
    );
  }
  const collected: Value[][] = Array.from({ length: body.outputs.length - 1 - carried.length }, () => []);
  for (let round = 0; going && round < most; round++) {
    if (round >= MOST) ctx.refuse(`more than ${MOST} rounds`);
    const results = ctx.importer.inline(body, [
      ctx.constant(round, [], 'int'),
      ctx.constant(1, [], 'bool'),
      ...carried,
    ]);
    const goesOn = ctx.importer.known(results[0]!) ?? ctx.refuse('a condition that depends on the inputs');
    going = goesOn[0] !== 0;
    carried = results.slice(1, 1 + carried.length);
    for (const [k, list] of collected.entries()) list.push(results[1 + carried.length + k]!);
  }
  if (collected.some((list) => list.length === 0)) ctx.refuse('no rounds, but results to collect');
  return [...carried, ...collected.map((list) => stacked(list, 0))];
}

/** Body: (state …, slice …) -> (state …, slice …), over the scanned axes of equal length. */
function scan(ctx: NodeContext): Value[] {
  if (ctx.opset < 9) ctx.refuse('the form before opset 9, which goes through the batch one by one');
  const body = ctx.graph('body');
  const scanned = ctx.int('num_scan_inputs');
  const states = ctx.count - scanned;
  const kept = body.outputs.length - states;
  if (scanned < 1 || states < 0 || kept < 0 || body.inputs.length !== ctx.count) {
    ctx.refuse(
      `${ctx.count} operands, ${scanned} of them scanned, for a body of ${body.inputs.length} inputs and ${body.outputs.length} outputs`,
    );
  }
  const list = (name: string, length: number): readonly number[] => {
    const given = ctx.ints(name) ?? new Array<number>(length).fill(0);
    return given.length === length ? given : ctx.refuse(`${name} has ${given.length} numbers, expected ${length}`);
  };
  const backwards = (name: string, length: number) =>
    list(name, length).map((d) => (d === 0 || d === 1 ? d === 1 : ctx.refuse(`${name} ${d}, expected 0 or 1`)));
  const axes = list('scan_input_axes', scanned);
  const inputs = backwards('scan_input_directions', scanned).map((reverse, k) => {
    const v = ctx.in(states + k);
    return { v, axis: axisOf(ctx, v, axes[k]!), reverse };
  });
  const outAxes = list('scan_output_axes', kept);
  const outReverse = backwards('scan_output_directions', kept);
  const lengths = inputs.map(({ v, axis }) => v.shape[axis]!);
  const rounds = lengths[0]!;
  if (lengths.some((l) => l !== rounds)) ctx.refuse(`scanned axes of different lengths, ${lengths.join(', ')}`);
  if (rounds === 0 && kept > 0) ctx.refuse('no rounds, but results to collect');
  if (rounds > MOST) ctx.refuse(`more than ${MOST} rounds`);
  let state = Array.from({ length: states }, (_, k) => ctx.in(k));
  const collected: Value[][] = Array.from({ length: kept }, () => []);
  for (let round = 0; round < rounds; round++) {
    const slices = inputs.map(({ v, axis, reverse }) => {
      const at = reverse ? rounds - 1 - round : round;
      return reshape(
        slice(v, axis, at, at + 1),
        v.shape.filter((_, a) => a !== axis),
      );
    });
    const results = ctx.importer.inline(body, [...state, ...slices]);
    state = results.slice(0, states);
    for (const [k, values] of collected.entries()) values.push(results[states + k]!);
  }
  const outputs = collected.map((values, k) => {
    const rank = values[0]!.shape.length + 1;
    const axis = normaliseAxis(outAxes[k]!, rank) ?? ctx.refuse(`axis ${outAxes[k]} of a result of ${rank} axes`);
    return stacked(outReverse[k] ? values.toReversed() : values, axis);
  });
  return [...state, ...outputs];
}

/**
 * Body: (element …) -> (element …), for each place of a sequence; other sequences give their elements, tensors stay the
 * same.
 */
function mapped(ctx: NodeContext): Value[] {
  const body = ctx.graph('body');
  const first = ctx.sequence(0);
  const rest = Array.from({ length: ctx.count - 1 }, (_, k) => ctx.any(k + 1));
  if (first.length > MOST) ctx.refuse(`more than ${MOST} rounds`);
  if (body.inputs.length !== ctx.count) ctx.refuse(`a body of ${body.inputs.length} inputs for ${ctx.count} operands`);
  const rounds = first.map((element, k) => {
    const others = rest.map((v) => (v instanceof Sequence ? (v.elements[k] ?? ctx.refuse(`no element ${k}`)) : v));
    return ctx.importer.inline(body, [element, ...others]);
  });
  return body.outputs.map(
    (_, at) =>
      new Sequence(
        ctx.arena,
        rounds.map((results) => results[at]!),
      ),
  );
}

export const controlOperators = {
  If: branch,
  Loop: loop,
  Scan: scan,
  SequenceMap: mapped,
} satisfies Operators;
