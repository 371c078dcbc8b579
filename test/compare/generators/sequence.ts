// Configurations of ONNX's operators on sequences of tensors, between nodes that make one of tensors and take a tensor
// from it.

import { create, ValueInfoProtoSchema } from '../../../src/onnx/proto.ts';
import type { Attr } from '../../support/proto.ts';
import { graph, node } from '../../support/proto.ts';
import type { Element, Operand } from '../configuration.ts';
import type { Draw } from '../draw.ts';
import { anything, wide } from './elementwise.ts';
import type { Generator } from './generator.ts';

const anyType = (draw: Draw): Element =>
  draw.bool(0.5) ? 'float' : draw.pick(anything.filter((e) => e !== 'bfloat16'));

/** Some tensors of one shape, and the node that makes a sequence of them. */
function sequence(draw: Draw, least = 1): { tensors: Operand[]; made: ReturnType<typeof node> } {
  const element = anyType(draw);
  const shape = draw.shape(1, 3, 3);
  const tensors = draw.list(draw.int(least, 4), () => draw.tensor(shape, { element }));
  const names = tensors.map((_, i) => `a${i}`);
  return { tensors, made: node('SequenceConstruct', names, ['made']) };
}

/** The tensor at a place, from either end. */
const taken = (draw: Draw, from: string, length: number) => {
  const place = draw.int(-length, length - 1);
  return {
    operand: draw.fixed([place], [], draw.pick(wide)),
    node: (i: number) => node('SequenceAt', [from, `a${i}`], ['y0']),
  };
};

/** What one operator makes of a sequence of `length`, and how long the result is. */
const changed =
  (
    op: string,
    change: (
      draw: Draw,
      length: number,
    ) => { readonly place?: number; readonly after: number; readonly extra: boolean },
  ): Generator =>
  (draw) => {
    const { tensors, made } = sequence(draw, op === 'SequenceErase' ? 2 : 1);
    const { place, after, extra } = change(draw, tensors.length);
    const operands = [...tensors];
    const names = ['made'];
    if (extra) {
      names.push(`a${operands.length}`);
      operands.push(draw.tensor(tensors[0]!.shape, { element: tensors[0]!.element }));
    }
    if (place !== undefined) {
      names.push(`a${operands.length}`);
      operands.push(draw.fixed([place], [], draw.pick(wide)));
    }
    const last = taken(draw, 'changed', after);
    const nodes = [made, node(op, names, ['changed']), last.node(operands.length)];
    return { opset: draw.opset(11), operands: [...operands, last.operand], nodes };
  };

const joined: Generator = (draw) => {
  const { tensors, made } = sequence(draw);
  const rank = tensors[0]!.shape.length;
  const fresh = draw.bool();
  const axis = fresh ? draw.int(-rank - 1, rank) : draw.axis(rank);
  const attrs: Record<string, Attr> = { axis, ...(fresh || draw.bool() ? { new_axis: Number(fresh) } : {}) };
  return {
    opset: draw.opset(11),
    operands: tensors,
    nodes: [made, node('ConcatFromSequence', ['made'], ['y0'], attrs)],
  };
};

const splits: Generator = (draw) => {
  const shape = draw.shape(1, 3);
  const axis = draw.axis(shape.length);
  const at = axis < 0 ? axis + shape.length : axis;
  const length = draw.int(1, 6);
  const x = draw.tensor(shape.with(at, length), {
    element: draw.pick(['float', 'float', 'int64', 'int32', 'double'] as const),
  });
  const how = draw.pick(['each', 'size', 'list']);
  const attrs: Record<string, Attr> = axis === 0 && draw.bool() ? {} : { axis };
  if (how === 'each') {
    const last = taken(draw, 'parts', length);
    const more = draw.attrs({ keepdims: draw.int(0, 1) });
    const nodes = [node('SplitToSequence', ['a0'], ['parts'], { ...attrs, ...more }), last.node(1)];
    return { opset: draw.opset(11), operands: [x, last.operand], nodes };
  }
  const size = draw.int(1, length);
  const first = draw.int(0, length);
  const list = draw.bool() ? [first, length - first] : [length];
  const split = how === 'size' ? draw.fixed([size], []) : draw.fixed(list);
  const last = taken(draw, 'parts', how === 'size' ? Math.ceil(length / size) : list.length);
  const nodes = [node('SplitToSequence', ['a0', 'a1'], ['parts'], attrs), last.node(2)];
  return { opset: draw.opset(11), operands: [x, split, last.operand], nodes };
};

/** A value that is made optional and taken as it is, or asked whether it is there. */
const optional =
  (op: string): Generator =>
  (draw) => ({
    opset: draw.opset(18),
    operands: [draw.tensor(draw.shape(0, 3))],
    nodes: [
      node('Optional', ['a0'], ['maybe']),
      op === 'OptionalHasElement'
        ? node(op, [draw.pick(['maybe', 'a0'])], ['y0'])
        : node('OptionalGetElement', ['maybe'], ['y0']),
    ],
  });

export const sequences = {
  SequenceConstruct: (draw) => {
    const { tensors, made } = sequence(draw);
    const last = taken(draw, 'made', tensors.length);
    return { opset: draw.opset(11), operands: [...tensors, last.operand], nodes: [made, last.node(tensors.length)] };
  },
  SequenceAt: (draw) => {
    const { tensors, made } = sequence(draw);
    const last = taken(draw, 'made', tensors.length);
    return { opset: draw.opset(11), operands: [...tensors, last.operand], nodes: [made, last.node(tensors.length)] };
  },
  SequenceEmpty: (draw) => ({
    opset: draw.opset(11),
    operands: [draw.tensor(draw.shape(0, 3))],
    nodes: [
      node('SequenceEmpty', [], ['none']),
      node('SequenceInsert', ['none', 'a0'], ['one']),
      node('ConcatFromSequence', ['one'], ['y0'], { axis: 0, new_axis: 1 }),
    ],
  }),
  SequenceInsert: changed('SequenceInsert', (draw, n) => ({
    ...(draw.bool(0.7) ? { place: draw.int(-n, n) } : {}),
    after: n + 1,
    extra: true,
  })),
  SequenceErase: changed('SequenceErase', (draw, n) => ({
    ...(draw.bool(0.7) ? { place: draw.int(-n, n - 1) } : {}),
    after: n - 1,
    extra: false,
  })),
  SequenceLength: (draw) => {
    const { tensors, made } = sequence(draw);
    return { opset: draw.opset(11), operands: tensors, nodes: [made, node('SequenceLength', ['made'], ['y0'])] };
  },
  ConcatFromSequence: joined,
  SplitToSequence: splits,
  SequenceMap: (draw) => {
    const shape = draw.shape(1, 3, 3);
    const tensors = draw.list(draw.int(1, 3), () => draw.tensor(shape));
    const made = node(
      'SequenceConstruct',
      tensors.map((_, i) => `a${i}`),
      ['made'],
    );
    const body = graph({
      node: [node('Mul', ['element', 'element'], ['square']), node('Add', ['square', 'a0'], ['out'])],
      input: [create(ValueInfoProtoSchema, { name: 'element' })],
      output: [create(ValueInfoProtoSchema, { name: 'out' })],
    });
    const k = draw.int(0, tensors.length - 1);
    return {
      opset: draw.opset(17),
      operands: [...tensors, draw.fixed([k], [])],
      nodes: [
        made,
        node('SequenceMap', ['made'], ['mapped'], { body: { graph: body } }),
        node('SequenceAt', ['mapped', `a${tensors.length}`], ['y0']),
      ],
    };
  },
  Optional: optional('Optional'),
  OptionalGetElement: optional('OptionalGetElement'),
  OptionalHasElement: optional('OptionalHasElement'),
} satisfies Record<string, Generator>;
