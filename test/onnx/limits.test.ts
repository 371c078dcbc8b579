// Files of a few hundred bytes that ask for more work or more room than there is: refused by name, after a bounded
// effort.

import { describe, expect, it } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { decode, importModel } from '../../src/onnx/index.ts';
import { BOOL, FLOAT, graph, INT64, modelBytes, node, tensor, value } from '../support/proto.ts';
import { randomData } from '../support/run.ts';

type Nodes = ReturnType<typeof node>[];
const ints = (name: string, data: number[], dims = [data.length]) =>
  tensor(name, dims, BigInt64Array.from(data.map(BigInt)));

const big = 2 ** 21;

/**
 * A loop of 4,096 rounds k whose body makes `r`, one whole number, of nothing but constants and k; the loss does not
 * need it.
 */
const looped = (body: Nodes) =>
  modelBytes(
    {
      input: [value('x', FLOAT, ['n', 2])],
      initializer: [
        tensor('w', [2, 2], randomData('w', 4)),
        ints('rounds', [4096], []),
        ints('start', [0], []),
        ints('axis', [1]),
        ints('length', [big]),
        ints('limit', [big], []),
        ints('zero', [0], []),
        ints('one', [1], []),
        ints('square', [256, 256]),
      ],
      node: [
        node('Loop', ['rounds', '', 'start'], ['sum'], {
          body: {
            graph: graph({
              input: [value('k', INT64, []), value('going', BOOL, []), value('s', INT64, [])],
              node: [node('Identity', ['going'], ['on']), ...body, node('Add', ['s', 'r'], ['t'])],
              output: [value('on', BOOL), value('t', INT64)],
            }),
          },
        }),
        node('MatMul', ['x', 'w'], ['h']),
        node('Cast', ['sum'], ['f'], { to: FLOAT }),
        node('Add', ['h', 'f'], ['g']),
        node('ReduceSum', ['g', 'axis'], ['y'], { keepdims: 0 }),
      ],
      output: [value('y', FLOAT, ['n'])],
    },
    18,
  );

const cases: Record<string, [Uint8Array, RegExp]> = {
  'makes a long constant in every round': [
    looped([
      node('Add', ['limit', 'k'], ['end']),
      node('Range', ['k', 'end', 'one'], ['list']),
      node('Gather', ['list', 'zero'], ['r'], { axis: 0 }),
    ]),
    /constants of more than \d+ numbers|more than \d+ steps/,
  ],
  'computes a long value in every round': [
    looped([
      node('Expand', ['k', 'length'], ['many']),
      node('Cast', ['many'], ['floats'], { to: FLOAT }),
      node('ReduceSum', ['floats'], ['total'], { keepdims: 0 }),
      node('Cast', ['total'], ['count'], { to: INT64 }),
      node('Sub', ['count', 'count'], ['none']),
      node('Add', ['none', 'one'], ['end']),
      node('Range', ['zero', 'end', 'one'], ['list']),
      node('Gather', ['list', 'zero'], ['r'], { axis: 0 }),
    ]),
    /computing constants takes more than \d+ steps|constants of more than/,
  ],
  'multiplies matrices in every round': [
    looped([
      node('Cast', ['k'], ['f'], { to: FLOAT }),
      node('Expand', ['f', 'square'], ['m']),
      node('MatMul', ['m', 'm'], ['p']),
      node('ReduceMax', ['p'], ['q'], { keepdims: 0 }),
      node('Cast', ['q'], ['i'], { to: INT64 }),
      node('Sub', ['i', 'i'], ['none']),
      node('Add', ['none', 'one'], ['end']),
      node('Range', ['zero', 'end', 'one'], ['list']),
      node('Gather', ['list', 'zero'], ['r'], { axis: 0 }),
    ]),
    /computing constants takes more than \d+ steps/,
  ],
  'looks for what is not zero in every round': [
    looped([
      node('Expand', ['k', 'length'], ['many']),
      node('NonZero', ['many'], ['places']),
      node('Size', ['places'], ['r']),
    ]),
    /computing constants takes more than \d+ steps|constants of more than \d+ numbers/,
  ],
  'takes a table apart by a million places': [
    modelBytes({
      input: [value('x', FLOAT, ['n', 2])],
      initializer: [
        tensor('w', [2, 2], randomData('w', 4)),
        ints('shape', [2 ** 20, 2]),
        ints('id', [0], [1, 1]),
        ints('spread', [2 ** 20, 1]),
      ],
      node: [
        node('MatMul', ['x', 'w'], ['h']),
        node('Expand', ['h', 'shape'], ['many']),
        node('Expand', ['id', 'spread'], ['places']),
        node('GatherND', ['many', 'places'], ['e'], { batch_dims: 1 }),
        node('ReduceSum', ['e'], ['y'], { keepdims: 0 }),
      ],
      output: [value('y', FLOAT, [])],
    }),
    /more than \d+ (values|steps)/,
  ],
};

describe('a file that', () => {
  it.each(Object.entries(cases))('%s is refused', (_, [bytes, message]) => {
    const began = performance.now();
    let error: unknown;
    try {
      importModel(decode(bytes, 'm.onnx'), 'm.onnx');
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(ModelError);
    expect(String(error)).toMatch(message);
    // a second or two where the machine is free; without limits for hours
    expect((performance.now() - began) / 1000).toBeLessThan(120);
  });
});
