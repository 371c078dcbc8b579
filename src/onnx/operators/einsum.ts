// Einsum as transpositions, sums and matrix products, operands taken in from left to right.

import type { Value } from '../../graph/index.ts';
import { concat, matmul, reduceSum, reshape, slice, transpose } from '../../ops/index.ts';
import { sizeOf } from '../../tensor/shape.ts';
import type { NodeContext } from './context.ts';

/** A value whose axes have names. */
interface Labelled {
  readonly value: Value;
  readonly labels: readonly string[];
}

export function einsum(ctx: NodeContext): Value {
  const equation = ctx.text('equation').replaceAll(' ', '');
  const [left, right] = equation.split('->') as [string, string | undefined];
  const terms = left.split(',');
  if (terms.length !== ctx.count) ctx.refuse(`'${equation}' is for ${terms.length} operands, there are ${ctx.count}`);
  const given = terms.map((term, i): Labelled => ({ value: ctx.in(i), labels: labelsOf(ctx, term, ctx.in(i)) }));
  const operands = given.map((operand) => withoutDiagonals(ctx, operand));
  const all = given.flatMap((operand) => operand.labels);
  const sizes = new Map<string, number>();
  for (const { value, labels } of operands) {
    for (const [axis, l] of labels.entries()) {
      const [d, before] = [value.shape[axis]!, sizes.get(l)];
      if (before !== undefined && before !== d)
        ctx.refuse(`an axis of the sizes ${before} and ${d} ('${l}' of '${equation}')`);
      sizes.set(l, d);
    }
  }
  const dots = [...new Set(all.filter((label) => label.startsWith('.')))].sort(
    (a, b) => Number(b.slice(1)) - Number(a.slice(1)),
  );
  const once = [...new Set(all)].filter((l) => !l.startsWith('.') && all.filter((k) => k === l).length === 1).sort();
  // Without an arrow: what appears once, in alphabetical order, behind what the dots stand for.
  const wanted = right === undefined ? [...dots, ...once] : expand(right, dots);

  let result = operands[0]!;
  for (const [k, next] of operands.slice(1).entries()) {
    const later = new Set([...wanted, ...operands.slice(k + 2).flatMap((operand) => operand.labels)]);
    result = product(
      summed(result, (l) => later.has(l) || next.labels.includes(l)),
      summed(next, (l) => later.has(l) || result.labels.includes(l)),
      later,
    );
  }
  const { value, labels } = summed(result, (l) => wanted.includes(l));
  return transpose(
    value,
    wanted.map((l) => {
      const axis = labels.indexOf(l);
      return axis < 0 ? ctx.refuse(`'${equation}': '${l}' is in no operand`) : axis;
    }),
  );
}

/** The dots of a term stand for the axes that its letters leave over, named from the last: '.1', '.0'. */
function labelsOf(ctx: NodeContext, term: string, value: Value): string[] {
  const rest = value.shape.length - term.replace('...', '').length;
  const labels = expand(
    term,
    Array.from({ length: Math.max(0, rest) }, (_, k) => `.${rest - 1 - k}`),
  );
  if (labels.length !== value.shape.length) ctx.refuse(`'${term}' for a value of ${value.shape.length} axes`);
  return labels;
}

/** Of axes with one name only what is at equal places of both. */
function withoutDiagonals(ctx: NodeContext, { value, labels }: Labelled): Labelled {
  const again = labels.findIndex((l, a) => labels.indexOf(l) < a);
  if (again < 0) return { value, labels };
  const first = labels.indexOf(labels[again]!);
  const d = value.shape[first]!;
  if (value.shape[again] !== d) ctx.refuse(`an axis of the sizes ${d} and ${value.shape[again]} ('${labels[again]}')`);
  const order = [...labels.keys()].filter((a) => a !== first && a !== again);
  const rest = order.map((a) => value.shape[a]!);
  const flat = reshape(transpose(value, [first, again, ...order]), [d * d, ...rest]);
  const diagonal = Array.from({ length: d }, (_, i) => slice(flat, 0, i * (d + 1), i * (d + 1) + 1));
  const left = [labels[first]!, ...order.map((a) => labels[a]!)];
  return withoutDiagonals(ctx, { value: d === 0 ? reshape(flat, [0, ...rest]) : concat(diagonal, 0), labels: left });
}

function expand(term: string, dots: readonly string[]): string[] {
  const [before, after] = term.split('...') as [string, string | undefined];
  return after === undefined ? [...before] : [...before, ...dots, ...after];
}

function summed({ value, labels }: Labelled, keep: (label: string) => boolean): Labelled {
  const axes = labels.flatMap((l, a) => (keep(l) ? [] : [a]));
  return axes.length === 0 ? { value, labels } : { value: reduceSum(value, axes), labels: labels.filter(keep) };
}

function product(a: Labelled, b: Labelled, later: ReadonlySet<string>): Labelled {
  const shared = a.labels.filter((l) => b.labels.includes(l));
  const batch = shared.filter((l) => later.has(l));
  const inner = shared.filter((l) => !later.has(l));
  const [rows, columns] = [a, b].map((x) => x.labels.filter((l) => !shared.includes(l))) as [string[], string[]];
  const size = ({ value, labels }: Labelled, l: string) => value.shape[labels.indexOf(l)]!;
  const shapeOf = (x: Labelled, labels: readonly string[]) => labels.map((l) => size(x, l));
  const ordered = (x: Labelled, first: readonly string[], second: readonly string[]) => {
    const order = [...batch, ...first, ...second];
    const moved = transpose(
      x.value,
      order.map((l) => x.labels.indexOf(l)),
    );
    return reshape(moved, [...shapeOf(x, batch), sizeOf(shapeOf(x, first)), sizeOf(shapeOf(x, second))]);
  };
  const y = matmul(ordered(a, rows, inner), ordered(b, inner, columns));
  const shape = [...shapeOf(a, batch), ...shapeOf(a, rows), ...shapeOf(b, columns)];
  return { value: reshape(y, shape), labels: [...batch, ...rows, ...columns] };
}
