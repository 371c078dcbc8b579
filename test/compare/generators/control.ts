// Configurations of ONNX's branches and loops, with small bodies.

import { create, TensorProto_DataType, ValueInfoProtoSchema } from '../../../src/onnx/proto.ts';
import { graph, node, value } from '../../support/proto.ts';
import { initializer } from '../configuration.ts';
import type { Generator } from './generator.ts';

const { FLOAT, INT64, BOOL } = TensorProto_DataType;
const untyped = (name: string) => create(ValueInfoProtoSchema, { name });

/** Two branches that know constants of their own; the condition is a constant or, rarely, data. */
const branches: Generator = (draw) => {
  const shape = draw.shape(0, 3);
  const branch = (k: number) => {
    const op = draw.pick(['Add', 'Mul', 'Max']);
    const constants = [
      initializer(
        `c${k}`,
        shape,
        'float',
        draw.list(
          shape.reduce((a, b) => a * b, 1),
          () => Math.fround(draw.normal()),
        ),
      ),
    ];
    return graph({
      node: [node('Neg', [`c${k}`], [`n${k}`]), node(op, [`c${k}`, `n${k}`], [`r${k}`])],
      initializer: constants,
      output: [value(`r${k}`, FLOAT, shape)],
    });
  };
  return {
    opset: draw.opset(),
    operands: [
      draw.bool(0.9)
        ? draw.fixed([draw.int(0, 1)], draw.bool(0.8) ? [] : [1], 'bool')
        : draw.tensor([1], { element: 'bool', role: 'input' }),
    ],
    attrs: { then_branch: { graph: branch(0) }, else_branch: { graph: branch(1) } },
  };
};

/** Rounds that carry one value and collect another; ended by a count, a condition, or both. */
const loops: Generator = (draw) => {
  const shape = draw.shape(0, 3);
  const rounds = draw.int(draw.bool(0.1) ? 0 : 1, 4);
  const [byCondition, collects] = [draw.bool(), draw.bool()];
  const body = graph({
    node: [
      node('Cast', ['i'], ['k'], { to: FLOAT }),
      node(draw.pick(['Add', 'Mul', 'Sub']), ['v', 'k'], ['w']),
      ...(byCondition ? [node('Less', ['i', 'last'], ['go.out'])] : [node('Identity', ['go'], ['go.out'])]),
      ...(collects ? [node('Neg', ['w'], ['seen'])] : []),
    ],
    initializer: [initializer('last', [], 'int64', [draw.int(0, 3)])],
    input: [value('i', INT64, []), value('go', BOOL, []), value('v', FLOAT, shape)],
    output: [value('go.out', BOOL, []), value('w', FLOAT, shape), ...(collects ? [value('seen', FLOAT, shape)] : [])],
  });
  const started = draw.pick([undefined, 1, 1, 0]);
  return {
    opset: draw.opset(11),
    operands: [
      byCondition && draw.bool(0.3) ? undefined : draw.fixed([rounds], []),
      started === undefined ? undefined : draw.fixed([started], [], 'bool'),
      draw.tensor(shape),
    ],
    attrs: { body: { graph: body } },
    outputs: collects ? [true, true] : [true],
  };
};

/** A running sum along one axis, forwards or backwards, with and without what is collected on another axis. */
const scans: Generator = (draw) => {
  const rest = draw.shape(0, 2, 3);
  const length = draw.int(1, 4);
  const axis = draw.int(0, rest.length);
  const x = [...rest.slice(0, axis), length, ...rest.slice(axis)];
  const out = draw.int(0, rest.length);
  const opset = draw.opset(9);
  const from = (a: number, rank: number) => (opset >= 11 && draw.bool(0.3) ? a - rank : a);
  const body = graph({
    node: [node('Add', ['s', 'x'], ['s.out']), node('Mul', ['s.out', 'x'], ['y'])],
    input: [value('s', FLOAT, rest), value('x', FLOAT, rest)],
    output: [untyped('s.out'), untyped('y')],
  });
  return {
    opset,
    operands: [draw.tensor(rest), draw.tensor(x)],
    attrs: {
      body: { graph: body },
      num_scan_inputs: 1,
      ...(axis === 0 && draw.bool() ? {} : { scan_input_axes: [from(axis, x.length)] }),
      ...draw.attrs({ scan_input_directions: [draw.int(0, 1)], scan_output_directions: [draw.int(0, 1)] }),
      ...(out === 0 && draw.bool() ? {} : { scan_output_axes: [from(out, x.length)] }),
    },
    outputs: [true, true],
  };
};

export const control = { If: branches, Loop: loops, Scan: scans } satisfies Record<string, Generator>;
