// Branches and loops that fold: the value of the whole model against ONNX Runtime's, its gradient against finite
// differences.

import { describe, expect, it } from 'vitest';
import { normGraph } from '../../src/features/index.ts';
import { interpret } from '../../src/graph/index.ts';
import { openSession } from '../../src/node/runtime.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { expectSqNorms } from '../support/compare.ts';
import { BOOL, FLOAT, graph, INT64, modelBytes, node, tensor, value } from '../support/proto.ts';
import { finiteDifferences, randomData, runLowered } from '../support/run.ts';

/** x [1, 3] and weights w, v [3, 3]; the nodes make h, whose sum of squares is the loss. */
function model(nodes: ReturnType<typeof node>[], constants: ReturnType<typeof tensor>[], opset = 17): Uint8Array {
  const w = tensor('w', [3, 3], randomData('w', 9, 0.5));
  const v = tensor('v', [3, 3], randomData('v', 9, 0.5));
  const ends = [node('Mul', ['h', 'h'], ['h2']), node('ReduceSum', ['h2'], ['loss'], { keepdims: 0 })];
  const parts = {
    node: [...nodes, ...ends],
    initializer: [w, v, ...constants],
    input: [value('x', FLOAT, [1, 3])],
    output: [value('loss', FLOAT, [])],
  };
  return modelBytes(parts, opset);
}

const branch = (op: string, weight: string) =>
  graph({ node: [node('MatMul', ['x', weight], ['m']), node(op, ['m'], ['r'])], output: [value('r', FLOAT, [1, 3])] });

const body = graph({
  node: [
    node('MatMul', ['carried', 'w'], ['m']),
    node('Tanh', ['m'], ['next']),
    node('Identity', ['going'], ['on']),
    node('Mul', ['next', 'v0'], ['kept']),
  ],
  initializer: [tensor('v0', [3], Float32Array.of(1, 2, 3))],
  input: [value('i', INT64, []), value('going', BOOL, []), value('carried', FLOAT, [1, 3])],
  output: [value('on', BOOL, []), value('next', FLOAT, [1, 3]), value('kept', FLOAT, [1, 3])],
});

/** Goes on while its round is before the outer `two`: three rounds. */
const untilTwo = graph({
  node: [
    node('MatMul', ['carried', 'w'], ['m']),
    node('Tanh', ['m'], ['next']),
    node('Less', ['i', 'two'], ['on']),
    node('Identity', ['next'], ['kept']),
  ],
  input: [value('i', INT64, []), value('going', BOOL, []), value('carried', FLOAT, [1, 3])],
  output: [value('on', BOOL, []), value('next', FLOAT, [1, 3]), value('kept', FLOAT, [1, 3])],
});

/** Collects nothing. */
const silent = graph({
  node: [node('MatMul', ['carried', 'w'], ['m']), node('Tanh', ['m'], ['next']), node('Identity', ['going'], ['on'])],
  input: [value('i', INT64, []), value('going', BOOL, []), value('carried', FLOAT, [1, 3])],
  output: [value('on', BOOL, []), value('next', FLOAT, [1, 3])],
});

/** A branch whose loop's body sees the weights of the whole model. */
const around = graph({
  node: [node('Tanh', ['x'], ['start']), node('Loop', ['four', 'yes', 'start'], ['r'], { body: { graph: silent } })],
  output: [value('r', FLOAT, [1, 3])],
});

const step = graph({
  node: [
    node('MatMul', ['row', 'w'], ['m']),
    node('Add', ['m', 'state'], ['s']),
    node('Tanh', ['s'], ['next']),
    node('Identity', ['next'], ['out']),
  ],
  input: [value('state', FLOAT, [3]), value('row', FLOAT, [3])],
  output: [value('next', FLOAT, [3]), value('out', FLOAT, [3])],
});

const yes = tensor('yes', [], Uint8Array.of(1));
const no = tensor('no', [], Uint8Array.of(0));
const four = tensor('four', [], BigInt64Array.of(4n));

/** Whether the input's sum is positive. */
const onData = [
  node('ReduceSum', ['x'], ['s'], { keepdims: 0 }),
  node('Sign', ['s'], ['sign']),
  node('Relu', ['sign'], ['positive']),
  node('Cast', ['positive'], ['cond'], { to: BOOL }),
];

const cases: Record<string, Uint8Array> = {
  'If, on the data': model(
    [
      ...onData,
      node('If', ['cond'], ['h'], {
        then_branch: { graph: branch('Tanh', 'w') },
        else_branch: { graph: branch('Exp', 'v') },
      }),
    ],
    [],
  ),
  'If, on the data, the other branch': model(
    [
      ...onData,
      node('If', ['cond'], ['h'], {
        then_branch: { graph: branch('Exp', 'v') },
        else_branch: { graph: branch('Tanh', 'w') },
      }),
    ],
    [],
  ),
  'If, the first branch': model(
    [
      node('If', ['yes'], ['h'], {
        then_branch: { graph: branch('Tanh', 'w') },
        else_branch: { graph: branch('Exp', 'v') },
      }),
    ],
    [yes],
  ),
  'If, the second branch': model(
    [
      node('If', ['no'], ['h'], {
        then_branch: { graph: branch('Tanh', 'w') },
        else_branch: { graph: branch('Exp', 'v') },
      }),
    ],
    [no],
  ),
  'If, on a shape': model(
    [
      node('Shape', ['x'], ['shape']),
      node('Gather', ['shape', 'four'], ['size']),
      node('Less', ['size', 'four'], ['cond']),
      node('If', ['cond'], ['h'], {
        then_branch: { graph: branch('Tanh', 'w') },
        else_branch: { graph: branch('Exp', 'v') },
      }),
    ].map((n) => (n.opType === 'Gather' ? node('Gather', ['shape', 'last'], ['size']) : n)),
    [four, tensor('last', [], BigInt64Array.of(1n))],
  ),
  'Loop, a number of rounds': model(
    [
      node('Loop', ['four', 'yes', 'x'], ['last', 'all'], { body: { graph: body } }),
      node('MatMul', ['all', 'v'], ['h']),
    ],
    [four, yes],
  ),
  'Loop, until its condition says so': model(
    [
      node('Loop', ['four', 'yes', 'x'], ['last', 'all'], { body: { graph: untilTwo } }),
      node('MatMul', ['all', 'v'], ['h']),
    ],
    [four, yes, tensor('two', [], BigInt64Array.of(2n))],
  ),
  'Loop, no round at all': model(
    [node('MatMul', ['x', 'w'], ['start']), node('Loop', ['four', 'no', 'start'], ['h'], { body: { graph: silent } })],
    [four, no],
  ),
  'Loop, within a branch': model(
    [node('If', ['yes'], ['h'], { then_branch: { graph: around }, else_branch: { graph: branch('Exp', 'v') } })],
    [four, yes],
  ),
  Scan: model(
    [
      node('Tanh', ['w'], ['rows']),
      node('Squeeze', ['x', 'axes'], ['start']),
      node('Scan', ['start', 'rows'], ['last', 'all'], { body: { graph: step }, num_scan_inputs: 1 }),
      node('MatMul', ['all', 'v'], ['h']),
    ],
    [tensor('axes', [1], BigInt64Array.of(0n))],
  ),
  'Scan, backwards': model(
    [
      node('Squeeze', ['x', 'axes'], ['start']),
      node('Scan', ['start', 'v'], ['last', 'h'], {
        body: { graph: step },
        num_scan_inputs: 1,
        scan_input_directions: [1],
        scan_output_directions: [1],
        scan_input_axes: [1],
        scan_output_axes: [1],
      }),
    ],
    [tensor('axes', [1], BigInt64Array.of(0n))],
  ),
};

describe.each(Object.entries(cases))('%s', (_name, bytes) => {
  it('has the value of ONNX Runtime and the norms of finite differences', async () => {
    const { loss, weights } = importModel(decode(bytes, 'm'), 'm');
    const x = randomData('x', 3);
    const bindings = { x, ...Object.fromEntries(Object.entries(weights).map(([name, t]) => [name, t.data])) };
    const found = interpret({ arena: loss.arena, outputs: { loss } }, bindings).loss!.data[0]!;
    const session = await openSession(bytes, { threads: 1 });
    const expected = (await session.run({ x: { data: x, shape: [1, 3] } })).loss!.data[0]!;
    await session.dispose();
    expect(Math.abs(found - expected)).toBeLessThan(1e-5 * Math.abs(expected));

    const { graph: norms, names } = normGraph(loss);
    const { sqnorm } = await runLowered(norms, { x: Float32Array.of(...x, ...x) }, { examples: 2, weights });
    const squares = names.map((name) => finiteDifferences(loss, bindings, name).reduce((sum, d) => sum + d * d, 0));
    expectSqNorms(sqnorm!.data, [...squares, ...squares], names);
  });
});

describe('initialisers of branches', () => {
  it('of one name and different numbers are different parameters', () => {
    const own = (number: number) =>
      graph({
        node: [node('Mul', ['x', 'scale'], ['r'])],
        initializer: [tensor('scale', [3], Float32Array.of(number, 1, 1))],
        output: [value('r', FLOAT, [1, 3])],
      });
    const choose = (number: number, out: string) =>
      node('If', ['yes'], [out], { then_branch: { graph: own(number) }, else_branch: { graph: own(-1) } });
    const bytes = model([choose(2, 'p'), choose(5, 'q'), node('Add', ['p', 'q'], ['h'])], [yes]);
    const { loss, weights } = importModel(decode(bytes, 'm'), 'm');
    const bindings = {
      x: [1, 0, 0],
      ...Object.fromEntries(Object.entries(weights).map(([name, t]) => [name, t.data])),
    };
    expect(interpret({ arena: loss.arena, outputs: { loss } }, bindings).loss!.data[0]).toBe(49); // (2 + 5)²
    expect(Object.keys(weights).sort()).toEqual(['scale', 'scale#2']);
  });
});

describe('what does not fold is refused', () => {
  it('branches of different shapes where the condition depends on the input', () => {
    const wide = graph({
      node: [node('Concat', ['x', 'x'], ['r'], { axis: 0 })],
      output: [value('r', FLOAT, [2, 3])],
    });
    const bytes = model(
      [
        ...onData,
        node('If', ['cond'], ['h'], { then_branch: { graph: branch('Tanh', 'w') }, else_branch: { graph: wide } }),
      ],
      [],
    );
    expect(() => importModel(decode(bytes, 'm'), 'm')).toThrow(
      "m: If 'If h': result 0 is float [1,3] or float [2,3], as the data have it; expected one shape",
    );
  });

  it('a loop without end', () => {
    const bytes = model(
      [node('Loop', ['', 'yes', 'x'], ['last', 'all'], { body: { graph: body } }), node('MatMul', ['all', 'v'], ['h'])],
      [yes],
    );
    expect(() => importModel(decode(bytes, 'm'), 'm')).toThrow(/more than 4096 rounds/);
  });

  it('a loop without a round whose results are wanted', () => {
    const bytes = model(
      [
        node('Loop', ['four', 'no', 'x'], ['last', 'all'], { body: { graph: body } }),
        node('MatMul', ['all', 'v'], ['h']),
      ],
      [four, no],
    );
    expect(() => importModel(decode(bytes, 'm'), 'm')).toThrow(
      /m: Loop 'Loop last': no rounds, but results to collect/,
    );
  });

  it('a loop whose body takes other values than it is given', () => {
    const bytes = model([node('Loop', ['four', 'yes'], ['h'], { body: { graph: body } })], [four, yes]);
    expect(() => importModel(decode(bytes, 'm'), 'm')).toThrow(/a body of 3 inputs and 3 outputs for 0 values/);
  });

  const axes = tensor('axes', [1], BigInt64Array.of(0n));
  const scans: Record<string, [Record<string, number | number[]>, number, RegExp]> = {
    'before opset 9': [{ num_scan_inputs: 1 }, 8, /before opset 9/],
    'of more operands than there are': [{ num_scan_inputs: 3 }, 17, /2 operands, 3 of them scanned/],
    'along an axis that is not there': [{ num_scan_inputs: 1, scan_input_axes: [2] }, 17, /axis 2/],
    'with a result along an axis that is not there': [{ num_scan_inputs: 1, scan_output_axes: [2] }, 17, /axis 2/],
    'in another direction': [{ num_scan_inputs: 1, scan_input_directions: [2] }, 17, /2, expected 0 or 1/],
    'with directions for more inputs': [{ num_scan_inputs: 1, scan_input_directions: [0, 1] }, 17, /has 2 numbers/],
  };
  it.each(Object.entries(scans))('a scan %s', (_name, [attrs, opset, message]) => {
    const start =
      opset < 13 ? node('Squeeze', ['x'], ['start'], { axes: [0] }) : node('Squeeze', ['x', 'axes'], ['start']);
    const bytes = model(
      [start, node('Scan', ['start', 'v'], ['last', 'h'], { body: { graph: step }, ...attrs })],
      [axes],
      opset,
    );
    expect(() => importModel(decode(bytes, 'm'), 'm')).toThrow(message);
  });

  it('a scan over axes of different lengths', () => {
    const two = graph({
      node: [node('Add', ['a', 'b'], ['out'])],
      input: [value('a', FLOAT, [3]), value('b', FLOAT, [3])],
      output: [value('out', FLOAT, [3])],
    });
    const bytes = model([node('Scan', ['x', 'v'], ['h'], { body: { graph: two }, num_scan_inputs: 2 })], []);
    expect(() => importModel(decode(bytes, 'm'), 'm')).toThrow(/scanned axes of different lengths, 1, 3/);
  });
});
