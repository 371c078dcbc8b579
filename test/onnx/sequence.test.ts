// Sequences of tensors: the value of the whole model against ONNX Runtime's, its norms against finite differences.

import { describe, expect, it } from 'vitest';
import { normGraph } from '../../src/features/index.ts';
import { interpret } from '../../src/graph/index.ts';
import { openSession } from '../../src/node/runtime.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { expectSqNorms } from '../support/compare.ts';
import { BOOL, FLOAT, graph, INT64, modelBytes, node, sequenceValue, tensor, value } from '../support/proto.ts';
import { finiteDifferences, randomData, runLowered } from '../support/run.ts';

/**
 * x [1, 6] and weights w [6, 6], v [1, 2], u [2]; p = x·w; the nodes make h from p, whose weighted sum of squares is
 * the loss.
 */
function model(
  nodes: ReturnType<typeof node>[],
  constants: Readonly<Record<string, number | number[]>> = {},
): Uint8Array {
  const weights = [
    tensor('w', [6, 6], randomData('w', 36, 0.5)),
    tensor('v', [1, 2], randomData('v', 2)),
    tensor('u', [2], randomData('u', 2)),
  ];
  const numbers = Object.entries(constants).map(([name, n]) =>
    tensor(name, Array.isArray(n) ? [n.length] : [], BigInt64Array.from(Array.isArray(n) ? n : [n], BigInt)),
  );
  const ends = [
    node('Tanh', ['h'], ['t']),
    node('Exp', ['t'], ['e']),
    node('ReduceSum', ['e'], ['loss'], { keepdims: 0 }),
  ];
  const parts = {
    node: [node('MatMul', ['x', 'w'], ['p']), ...nodes, ...ends],
    initializer: [...weights, ...numbers],
    input: [value('x', FLOAT, [1, 6])],
    output: [value('loss', FLOAT, [])],
  };
  return modelBytes(parts, 17);
}

/** Each round adds the element that it has come to, times v, to the end of the sequence. */
const grow = graph({
  node: [
    node('SequenceAt', ['list', 'i'], ['now']),
    node('Mul', ['now', 'v'], ['next']),
    node('SequenceInsert', ['list', 'next'], ['longer']),
    node('Identity', ['going'], ['on']),
  ],
  input: [value('i', INT64, []), value('going', BOOL, []), sequenceValue('list', FLOAT)],
  output: [value('on', BOOL, []), sequenceValue('longer', FLOAT)],
});

const branch = (name: string, place: string) =>
  graph({ node: [node('SequenceErase', ['s', place], [name])], output: [sequenceValue(name, FLOAT)] });

const cases: Record<string, Uint8Array> = {
  'sizes as a list': model(
    [
      node('SplitToSequence', ['p', 'sizes'], ['s'], { axis: -1 }),
      node('SequenceAt', ['s', 'zero'], ['a']),
      node('SequenceAt', ['s', 'last'], ['b']),
      node('Mul', ['a', 'v'], ['c']),
      node('Concat', ['b', 'c'], ['h'], { axis: 1 }),
    ],
    { sizes: [2, 1, 3], zero: 0, last: -1 },
  ),
  'one size, the last piece smaller': model(
    [
      node('SplitToSequence', ['p', 'four'], ['s'], { axis: 1 }),
      node('SequenceAt', ['s', 'one'], ['a']),
      node('Mul', ['a', 'v'], ['h']),
    ],
    { four: 4, one: 1 },
  ),
  'pieces of one, kept': model(
    [
      node('SplitToSequence', ['p'], ['s'], { axis: 1 }),
      node('SequenceAt', ['s', 'two'], ['a']),
      node('Mul', ['a', 'v'], ['h']),
    ],
    { two: 2 },
  ),
  'pieces of one, their axis dropped, stacked again': model(
    [
      node('Reshape', ['p', 'shape'], ['q']),
      node('SplitToSequence', ['q'], ['s'], { axis: 0, keepdims: 0 }),
      node('SequenceErase', ['s'], ['fewer']),
      node('ConcatFromSequence', ['fewer'], ['m'], { axis: -1, new_axis: 1 }),
      node('MatMul', ['m', 'u'], ['h']),
    ],
    { shape: [3, 2] },
  ),
  'made, added to, joined': model(
    [
      node('Sigmoid', ['p'], ['q']),
      node('SequenceConstruct', ['p', 'q'], ['s']),
      node('SequenceInsert', ['s', 'q', 'zero'], ['more']),
      node('Identity', ['more'], ['same']),
      node('ConcatFromSequence', ['same'], ['h'], { axis: 1 }),
    ],
    { zero: 0 },
  ),
  'from nothing; its length': model(
    [
      node('SequenceEmpty', [], ['none']),
      node('SequenceInsert', ['none', 'p'], ['s']),
      node('SequenceLength', ['s'], ['length']),
      node('Cast', ['length'], ['f'], { to: FLOAT }),
      node('SequenceAt', ['s', 'zero'], ['a']),
      node('Mul', ['a', 'f'], ['h']),
    ],
    { zero: 0 },
  ),
  'carried by a loop': model(
    [
      node('SplitToSequence', ['p', 'two'], ['s'], { axis: 1 }),
      node('Loop', ['three', '', 's'], ['all'], { body: { graph: grow } }),
      node('ConcatFromSequence', ['all'], ['h'], { axis: 0 }),
    ],
    { two: 2, three: 3 },
  ),
  'chosen by a branch': model(
    [
      node('SplitToSequence', ['p', 'two'], ['s'], { axis: 1 }),
      node('Equal', ['two', 'three'], ['same']),
      node('If', ['same'], ['rest'], {
        then_branch: { graph: branch('first', 'zero') },
        else_branch: { graph: branch('second', 'one') },
      }),
      node('ConcatFromSequence', ['rest'], ['h'], { axis: 0 }),
    ],
    { two: 2, three: 3, zero: 0, one: 1 },
  ),
};

describe.each(Object.entries(cases))('%s', (_name, bytes) => {
  it('has the value of ONNX Runtime and the norms of finite differences', async () => {
    const { loss, weights } = importModel(decode(bytes, 'm'), 'm');
    const x = randomData('x', 6);
    const bindings = { x, ...Object.fromEntries(Object.entries(weights).map(([name, t]) => [name, t.data])) };
    const found = interpret({ arena: loss.arena, outputs: { loss } }, bindings).loss!.data[0]!;
    const session = await openSession(bytes, { threads: 1 });
    const expected = (await session.run({ x: { data: x, shape: [1, 6] } })).loss!.data[0]!;
    await session.dispose();
    expect(Math.abs(found - expected)).toBeLessThan(1e-5 * Math.abs(expected));

    const { graph: norms, names } = normGraph(loss);
    expect(names).toContain('w');
    const { sqnorm } = await runLowered(norms, { x: Float32Array.of(...x, ...x) }, { examples: 2, weights });
    const squares = names.map((name) => finiteDifferences(loss, bindings, name).reduce((sum, d) => sum + d * d, 0));
    expectSqNorms(sqnorm!.data, [...squares, ...squares], names);
  });
});

describe('refusals name the place', () => {
  const refusal = (...args: Parameters<typeof model>) => {
    try {
      importModel(decode(model(...args), 'm'), 'm');
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing was refused';
  };
  const splitInTwo = node('SplitToSequence', ['p', 'two'], ['s'], { axis: 1 });

  it.each<[string, Parameters<typeof model>]>([
    [
      "SequenceAt 'SequenceAt h': place 3 in a sequence of 3",
      [[splitInTwo, node('SequenceAt', ['s', 'three'], ['h'])], { two: 2, three: 3 }],
    ],
    [
      "Tanh 'Tanh h': operand 0 is a sequence of tensors, expected a tensor",
      [[splitInTwo, node('Tanh', ['s'], ['h'])], { two: 2 }],
    ],
    [
      "SequenceAt 'SequenceAt h': operand 0 is a tensor, expected a sequence of tensors",
      [[node('SequenceAt', ['p', 'two'], ['h'])], { two: 2 }],
    ],
    ["SplitToSequence 'SplitToSequence s': pieces of 2, 2 of an axis of 6 in [1,6]", [[splitInTwo], { two: [2, 2] }]],
    ["SplitToSequence 'SplitToSequence s': pieces of 0 elements", [[splitInTwo], { two: 0 }]],
    [
      "ConcatFromSequence 'ConcatFromSequence h': an empty sequence",
      [[node('SequenceEmpty', [], ['s']), node('ConcatFromSequence', ['s'], ['h'], { axis: 0 })]],
    ],
    [
      "SequenceErase 'SequenceErase h': nothing to take out of an empty sequence",
      [[node('SequenceEmpty', [], ['s']), node('SequenceErase', ['s'], ['h'])]],
    ],
  ])('%s', (message, args) => {
    expect(refusal(...args)).toContain(`m: ${message}`);
  });

  it('a sequence as the loss', () => {
    const parts = {
      node: [node('SplitToSequence', ['x'], ['s'])],
      input: [value('x', FLOAT, [1, 6])],
      output: [sequenceValue('s', FLOAT)],
    };
    expect(() => importModel(decode(modelBytes(parts, 17), 'm'), 'm')).toThrow(/output 's' is a sequence of tensors/);
  });
});
