// Configurations of ONNX's operators that pick, place and order elements, and of the losses that pick by class.

import type { Attr } from '../../support/proto.ts';
import type { Element } from '../configuration.ts';
import type { Draw } from '../draw.ts';
import { floats, wide } from './elementwise.ts';
import type { Generator } from './generator.ts';

const anyType = (draw: Draw): Element =>
  draw.bool(0.7) ? 'float' : draw.pick(['double', 'int64', 'int32', 'float16', 'uint8', 'bool']);

const gatherND: Generator = (draw) => {
  const opset = draw.opset(11);
  const x = draw.shape(1, 4);
  const batch = opset >= 12 ? draw.int(0, Math.min(2, x.length - 1)) : 0;
  const k = draw.int(1, x.length - batch);
  const least = Math.min(...x.slice(batch, batch + k));
  const indices = draw.indices([...x.slice(0, batch), ...draw.shape(0, 2, 3), k], -least, least - 1);
  return {
    opset,
    operands: [draw.tensor(x, { element: anyType(draw) }), indices],
    attrs: batch > 0 ? { batch_dims: batch } : {},
  };
};

/** Places that are all different, in a random order. */
function places(draw: Draw, count: number, of: number): number[] {
  return draw.shuffled([...new Array(of).keys()]).slice(0, count);
}

const reductions = (opset: number): readonly string[] =>
  opset >= 18 ? ['none', 'add', 'mul', 'max', 'min'] : opset >= 16 ? ['none', 'add', 'mul'] : ['none'];

const scatterND: Generator = (draw) => {
  const opset = draw.opset(11);
  const x = draw.shape(1, 4);
  const k = draw.int(1, x.length);
  const outer = x.slice(0, k).reduce((a, b) => a * b, 1);
  const reduction = draw.pick(reductions(opset));
  const count = draw.int(1, Math.min(4, outer));
  // Twice the same place is defined only where the updates are combined.
  const flat = reduction === 'none' ? places(draw, count, outer) : draw.list(count, () => draw.int(0, outer - 1));
  const rows = flat.flatMap((at) => {
    let rest = at;
    const row: number[] = [];
    for (let a = k - 1; a >= 0; a--) {
      const i = rest % x[a]!;
      row.unshift(draw.bool(0.3) ? i - x[a]! : i);
      rest = Math.floor(rest / x[a]!);
    }
    return row;
  });
  const element = anyType(draw);
  return {
    opset,
    operands: [
      draw.tensor(x, { element }),
      draw.fixed(rows, [count, k]),
      draw.tensor([count, ...x.slice(k)], { element }),
    ],
    attrs: reduction === 'none' && draw.bool() ? {} : { reduction },
  };
};

const scatterElements =
  (since: number, until?: number): Generator =>
  (draw) => {
    const opset = draw.opset(since, until);
    const x = draw.shape(1, 3);
    const axis = opset >= 11 ? draw.axis(x.length) : draw.int(0, x.length - 1);
    const at = axis < 0 ? axis + x.length : axis;
    const reduction = draw.pick(reductions(opset));
    const count = draw.int(1, x[at]!);
    const part = x.map((d, a) => (a === at ? count : draw.int(1, d)));
    const lines = part.reduce((a, b) => a * b, 1) / count;
    const inner = part.slice(at + 1).reduce((a, b) => a * b, 1);
    const perLine = draw.list(lines, () =>
      reduction === 'none' ? places(draw, count, x[at]!) : draw.list(count, () => draw.int(0, x[at]! - 1)),
    );
    const low = opset >= 11 ? x[at]! : 0;
    const index = draw.list(lines * count, (i) => {
      const line = Math.floor(i / (inner * count)) * inner + (i % inner);
      const place = perLine[line]![Math.floor(i / inner) % count]!;
      return draw.bool(0.3) && low > 0 ? place - low : place;
    });
    const element = anyType(draw);
    const attrs: Record<string, Attr> = axis === 0 && draw.bool() ? {} : { axis };
    return {
      opset,
      operands: [draw.tensor(x, { element }), draw.fixed(index, part, draw.pick(wide)), draw.tensor(part, { element })],
      attrs: reduction === 'none' ? attrs : { ...attrs, reduction },
    };
  };

const comparable: readonly Element[] = [...floats, ...wide, 'int8', 'int16', 'uint8'];

/** The count is an attribute before opset 10. Unsorted results may come in any order, so they are not asked for. */
const topK: Generator = (draw) => {
  const opset = draw.opset();
  const x = draw.shape(1, 4, 5);
  const axis = opset >= 10 ? draw.axis(x.length) : draw.int(0, x.length - 1);
  const k = draw.int(draw.bool(0.1) ? 0 : 1, x.at(axis)!);
  const kind = draw.pick(['normal', 'small'] as const);
  const element = opset >= 11 ? draw.pick(comparable) : draw.pick(['float', 'double'] as const);
  const attrs: Record<string, Attr> = axis === -1 || axis === x.length - 1 ? draw.attrs({ axis }) : { axis };
  const outputs = [true, draw.bool(0.7)];
  const tensor = draw.tensor(x, { kind, element });
  if (opset < 10) return { opset, operands: [tensor], attrs: { ...attrs, k }, outputs };
  const more = opset >= 11 ? draw.attrs({ largest: draw.int(0, 1), sorted: 1 }) : {};
  return { opset, operands: [tensor, draw.fixed([k])], attrs: { ...attrs, ...more }, outputs };
};

const argument: Generator = (draw) => {
  const opset = draw.opset();
  const x = draw.shape(1, 4);
  const axis = opset >= 11 ? draw.axis(x.length) : draw.int(0, x.length - 1);
  const kind = draw.pick(['normal', 'small', 'small'] as const);
  const last = opset >= 12 ? draw.attrs({ select_last_index: draw.int(0, 1) }, 0.5) : {};
  const element = draw.pick(['float', 'float', 'double', 'int32', 'float16', 'int64', 'uint8'] as const);
  return {
    opset,
    operands: [draw.tensor(x, { kind, element })],
    attrs: { ...draw.attrs({ axis }, 0.8), ...draw.attrs({ keepdims: draw.int(0, 1) }), ...last },
  };
};

const classLoss = (draw: Draw, least: number) => {
  const classes = draw.int(1, 5);
  const [n, ...space] = [draw.int(1, 3), ...draw.shape(least, 2, 3)] as [number, ...number[]];
  const ignored = draw.pick([undefined, undefined, 0, classes - 1, -1, -100]);
  const weights = draw.bool(0.4) ? [draw.tensor([classes], { kind: 'positive' })] : [];
  const labels = draw.indices([n, ...space], 0, classes - 1, { element: draw.pick(wide) });
  const some =
    ignored === undefined
      ? labels
      : { ...labels, examples: labels.examples.map((e) => e.map((l, i) => (i % 3 === 1 ? ignored : l))) as never };
  return {
    scores: draw.tensor([n, classes, ...space]),
    labels: some,
    weights,
    attrs: {
      ...draw.attrs<Attr>({ reduction: draw.pick(['none', 'mean', 'sum']) }, 0.8),
      ...(ignored === undefined ? {} : { ignore_index: ignored }),
    },
  };
};

export const select = {
  GatherND: gatherND,
  ScatterND: scatterND,
  ScatterElements: scatterElements(11),
  Scatter: scatterElements(9, 10),
  TopK: topK,
  ArgMax: argument,
  ArgMin: argument,
  NegativeLogLikelihoodLoss: (draw) => {
    const { scores, labels, weights, attrs } = classLoss(draw, 0);
    return { opset: draw.opset(12), operands: [scores, labels, ...weights], attrs };
  },
  SoftmaxCrossEntropyLoss: (draw) => {
    const { scores, labels, weights, attrs } = classLoss(draw, 0);
    return { opset: draw.opset(12), operands: [scores, labels, ...weights], attrs, outputs: [true, draw.bool(0.4)] };
  },
} satisfies Record<string, Generator>;
