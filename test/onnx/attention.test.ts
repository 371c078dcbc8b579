// Attention and RotaryEmbedding: values against ONNX Runtime's, gradients against finite differences, refusals.

import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { interpret, type Value } from '../../src/graph/index.ts';
import { mul, reduceSum } from '../../src/ops/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { expectClose } from '../support/compare.ts';
import {
  bindingsOf,
  importNode,
  isFree,
  type NodeCase,
  newArena,
  type Operand,
  runtimeOutput,
} from '../support/onnx.ts';
import { finiteDifferences, randomData } from '../support/run.ts';

const f = (...shape: number[]): Operand => ({ shape });
const numbers = (shape: number[], ...data: number[]): Operand => ({ shape, data });
const bools = (shape: number[], ...data: number[]): Operand => ({ shape, data, dtype: 'bool' });
const positions = (shape: number[], ...data: number[]): Operand => ({ shape, data, dtype: 'int' });

const attention = (operands: (Operand | undefined)[], attrs: NodeCase['attrs'] = {}, outputs = 1): NodeCase => ({
  op: 'Attention',
  operands,
  attrs,
  opset: 23,
  outputs,
});
const rotary = (operands: Operand[], attrs: NodeCase['attrs'] = {}): NodeCase => ({
  op: 'RotaryEmbedding',
  operands,
  attrs,
  opset: 23,
});

const square = [f(1, 2, 3, 4), f(1, 2, 3, 4), f(1, 2, 3, 4)];
const LOWEST = -3.4028234663852886e38;

const cases: Record<string, NodeCase> = {
  '4-D, values of another width': attention([f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 5, 2)]),
  '3-D, four heads of queries to two of keys': attention([f(1, 3, 8), f(1, 5, 4), f(1, 5, 6)], {
    q_num_heads: 4,
    kv_num_heads: 2,
  }),
  '4-D, all heads of queries to one of keys': attention([f(2, 3, 2, 4), f(2, 1, 3, 4), f(2, 1, 3, 4)], {
    scale: { float: 0.7 },
  }),
  'keys and values named as outputs, not used': attention(square, {}, 3),
  'causal, more keys than queries': attention([f(1, 2, 3, 4), f(1, 2, 5, 4), f(1, 2, 5, 4)], { is_causal: 1 }),
  'causal, fewer keys than queries': attention([f(1, 2, 5, 4), f(1, 2, 3, 4), f(1, 2, 3, 4)], { is_causal: 1 }),
  'a mask of numbers per head': attention([...square, f(2, 3, 3)]),
  'a mask of numbers per example': attention([f(2, 2, 3, 4), f(2, 2, 3, 4), f(2, 2, 3, 4), f(2, 1, 3, 3)]),
  'a mask of numbers, a cap and the causal order': attention([...square, f(3, 3)], {
    softcap: { float: 1.5 },
    is_causal: 1,
  }),
  'a mask of numbers with −∞ and a cap': attention(
    [...square, numbers([3, 3], 0, -Infinity, 0.3, LOWEST, 1, -2, 0, 0, -Infinity)],
    { softcap: { float: 1.5 } },
  ),
  'a mask of truths per head': attention([
    ...square,
    bools([2, 3, 3], 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0),
  ]),
  'keys and values with a past, in causal order': attention(
    [f(1, 2, 3, 4), f(1, 2, 3, 4), f(1, 2, 3, 2), undefined, f(1, 2, 2, 4), f(1, 2, 2, 2)],
    { is_causal: 1 },
    3,
  ),
  'the scores before the softmax': attention(
    [...square, f(3, 3)],
    { qk_matmul_output_mode: 2, softcap: { float: 2 } },
    4,
  ),
  'padded keys of one sequence': {
    ...attention([f(2, 1, 3, 2), f(2, 1, 4, 2), f(2, 1, 4, 2), undefined, undefined, undefined, positions([2], 3, 4)]),
    opset: 24,
  },
  'a query without a key, by truths': attention([...square, bools([3, 3], 0, 0, 0, 1, 0, 1, 1, 1, 1)]),
  'a query without a key, by −∞': attention([
    ...square,
    numbers([3, 3], -Infinity, -Infinity, -Infinity, 0, 1, 0, LOWEST, LOWEST, LOWEST),
  ]),
  'a query without a key, by truths and the causal order': attention(
    [...square, bools([3, 3], 0, 1, 1, 1, 0, 1, 1, 1, 1)],
    { is_causal: 1 },
  ),
  'turned halves at given positions': rotary([f(2, 2, 3, 4), f(6, 2), f(6, 2), positions([2, 3], 0, 5, 2, 1, 1, 4)]),
  'turned neighbours at given positions': rotary([f(1, 2, 3, 4), f(6, 2), f(6, 2), positions([1, 3], 5, 0, 2)], {
    interleaved: 1,
  }),
  'turned in part, 3-D': rotary([f(1, 3, 12), f(5, 2), f(5, 2), positions([1, 3], 0, 4, 1)], {
    num_heads: 2,
    rotary_embedding_dim: 4,
  }),
  'turned neighbours in part, 3-D, tables as they are': rotary([f(2, 3, 12), f(2, 3, 1), f(2, 3, 1)], {
    num_heads: 3,
    rotary_embedding_dim: 2,
    interleaved: 1,
  }),
};

function imported(c: NodeCase): { y: Value; leaves: Map<string, Value> } {
  const arena = newArena();
  const leaves = new Map<string, Value>();
  const y = importNode(arena, c, (name, shape) => {
    const leaf = arena.param(name, shape);
    leaves.set(name, leaf);
    return leaf;
  });
  return { y, leaves };
}

describe.each(Object.entries(cases))('%s', (_name, c) => {
  const { y, leaves } = imported(c);
  const bindings = bindingsOf(c);

  it('has the value of ONNX Runtime', async () => {
    const value = interpret({ arena: y.arena, outputs: { y } }, bindings).y!;
    const expected = await runtimeOutput(c);
    expectClose(value.data, expected, 1e-5, c.op, Math.max(...expected.map(Math.abs)));
  });

  it('has the gradients of finite differences', () => {
    const loss = reduceSum(mul(y, y.arena.constant(randomData('c', sizeOf(y.shape)), y.shape)));
    expect(leaves.size).toBe(c.operands.filter(isFree).length);
    const gradients = differentiate(loss, [...leaves.values()]);
    const outputs = Object.fromEntries([...leaves.keys()].map((name, k) => [name, gradients[k]!]));
    const found = interpret({ arena: y.arena, outputs }, bindings);
    for (const name of leaves.keys()) {
      expectClose(found[name]!.data, finiteDifferences(loss, bindings, name), 2e-5, `d/d${name}`, 1e-3);
    }
  });
});

describe('a window of keys around each query, which ONNX Runtime does not know', () => {
  it.each([
    { left: 1, right: 0, seen: [1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0] },
    { left: -1, right: 1, seen: [1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1] },
    { left: 0, right: -1, seen: [1, 1, 1, 1, 0, 1, 1, 1, 0, 0, 1, 1] },
  ])('is a mask: $left, $right', ({ left, right, seen }) => {
    const operands = [f(1, 2, 3, 4), f(1, 2, 4, 4), f(1, 2, 4, 2)];
    const attrs = { left_window_size: left, right_window_size: right };
    const value = (c: NodeCase) => {
      const { y } = imported(c);
      return interpret({ arena: y.arena, outputs: { y } }, bindingsOf(c)).y!.data;
    };
    expect(value(attention(operands, attrs))).toEqual(value(attention([...operands, bools([3, 4], ...seen)])));
  });
});

describe('what is refused', () => {
  const turned = [f(1, 2, 3, 4), f(6, 2), f(6, 2)];
  const refusals: Record<string, [NodeCase, RegExp]> = {
    'past keys alone': [attention([...square, undefined, f(1, 2, 1, 4)]), /past keys or past values alone/],
    'past keys of another width': [
      attention([...square, undefined, f(1, 2, 1, 3), f(1, 2, 1, 4)]),
      /operand 4 is \[1,2,1,3\], expected \[1,2,1,4\]/,
    ],
    'a single causal query for several keys behind a past': [
      attention([f(1, 1, 1, 2), f(1, 1, 3, 2), f(1, 1, 3, 2), undefined, f(1, 1, 1, 2), f(1, 1, 1, 2)], {
        is_causal: 1,
      }),
      /one causal query for several keys behind those of the past/,
    ],
    'heads that do not divide': [attention([f(1, 3, 2, 4), f(1, 2, 2, 4), f(1, 2, 2, 4)]), /3 heads of queries for 2/],
    'widths that do not divide': [
      attention([f(1, 3, 7), f(1, 3, 8), f(1, 3, 8)], { q_num_heads: 2, kv_num_heads: 2 }),
      /\[1,3,7\] for 2 heads/,
    ],
    '3-D without a number of heads': [attention([f(1, 3, 8), f(1, 3, 8), f(1, 3, 8)]), /'q_num_heads' is missing/],
    'a mask for fewer keys': [attention([...square, f(3, 1)]), /a mask \[3,1\] for 3 keys/],
    'a position beyond the table': [rotary([...turned, positions([1, 3], 0, 6, 1)]), /position 6 of 6/],
    'a negative position': [rotary([...turned, positions([1, 3], 0, -1, 1)]), /position -1 of 6/],
    'a table of positions without positions': [rotary(turned), /operand 1 is \[6,2\], expected \[1,3,2\]/],
    'an odd number to turn': [
      rotary([...turned, positions([1, 3], 0, 1, 2)], { rotary_embedding_dim: 3 }),
      /3 of 4 numbers to turn in pairs/,
    ],
  };
  it.each(Object.entries(refusals))('%s', (_name, [c, message]) => {
    expect(() => imported(c)).toThrow(message);
  });
});
