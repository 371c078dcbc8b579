// LSTM, GRU and RNN: every output against ONNX Runtime's, gradients through all of them against finite differences,
// refusals.

import { describe, expect, it } from 'vitest';
import { differentiate } from '../../src/autodiff/index.ts';
import { Arena, interpret, type Value } from '../../src/graph/index.ts';
import { openSession } from '../../src/node/runtime.ts';
import { NodeContext, operators } from '../../src/onnx/index.ts';
import { add, constantData, mul, reduceSum } from '../../src/ops/index.ts';
import { type Shape, sizeOf } from '../../src/tensor/shape.ts';
import { expectClose } from '../support/compare.ts';
import { FLOAT, modelBytes, node, tensor, value } from '../support/proto.ts';
import { finiteDifferences, randomData } from '../support/run.ts';

type Attr = number | string | readonly string[];

/** TensorProto.DataType: lengths of sequences are of no other type. */
const INT32 = 6;

interface Layer {
  readonly op: 'LSTM' | 'GRU' | 'RNN';
  /** Shapes of the operands, undefined for those left out; whole numbers for the lengths of the sequences. */
  readonly operands: readonly (Shape | { readonly lengths: readonly number[] } | undefined)[];
  readonly attrs?: Readonly<Record<string, Attr>>;
  readonly opset?: number;
}

const gatesOf = { LSTM: 4, GRU: 3, RNN: 1 } as const;
const [T, N, I, H] = [4, 2, 3, 2];
type Part = 'bias' | 'lengths' | 'h' | 'c' | 'peepholes';

/** A layer with some of its optional operands. */
function layer(op: Layer['op'], attrs: Record<string, Attr>, parts: readonly Part[], opset = 14): Layer {
  const D = attrs.direction === 'bidirectional' ? 2 : 1;
  const size = gatesOf[op] * H;
  const optional = <V>(part: Part, v: V) => (parts.includes(part) ? v : undefined);
  const batchFirst = attrs.layout === 1;
  const start = batchFirst ? [N, D, H] : [D, N, H];
  const all = [
    batchFirst ? [N, T, I] : [T, N, I],
    [D, size, I],
    [D, size, H],
    optional('bias', [D, 2 * size]),
    optional('lengths', { lengths: new Array<number>(N).fill(T) }),
    optional('h', start),
    ...(op === 'LSTM' ? [optional('c', start), optional('peepholes', [D, 3 * H])] : []),
  ];
  return { op, operands: all, attrs: { hidden_size: H, ...attrs }, opset };
}

const outputsOf = (l: Layer) => (l.op === 'LSTM' ? ['Y', 'Y_h', 'Y_c'] : ['Y', 'Y_h']);
const isShape = (o: Layer['operands'][number]): o is Shape => Array.isArray(o);
const dataOf = (shape: Shape, i: number) => randomData(`operand ${i}`, sizeOf(shape), 0.8);

/** The outputs by name, as values over parameters a0, a1, … */
function imported(l: Layer): { arena: Arena; outputs: Record<string, Value>; bindings: Record<string, Float32Array> } {
  const arena = new Arena();
  const inputs = l.operands.map((o, i) => {
    if (o === undefined) return undefined;
    return isShape(o) ? arena.param(`a${i}`, o) : arena.constant(o.lengths, [o.lengths.length], 'int');
  });
  const names = outputsOf(l);
  const file = { op: l.op, domain: '', name: 'layer', inputs: [], outputs: names, attrs: l.attrs ?? {} };
  const importer = {
    arena,
    opset: l.opset ?? 14,
    known: (v: Value) => constantData(v),
    inline: () => [],
    draw: (name: string, shape: readonly number[], from: 'normal' | 'uniform') => arena.input(name, shape, from),
  };
  const results = operators[l.op]!(new NodeContext(importer, file, inputs)) as readonly Value[];
  const bound = l.operands.flatMap((o, i) => (isShape(o) ? [[`a${i}`, dataOf(o, i)] as const] : []));
  return {
    arena,
    outputs: Object.fromEntries(names.map((name, k) => [name, results[k]!])),
    bindings: Object.fromEntries(bound),
  };
}

/** The outputs by name, as ONNX Runtime computes them. */
async function expectedOf(l: Layer): ReturnType<Awaited<ReturnType<typeof openSession>>['run']> {
  const attrs = Object.entries(l.attrs ?? {}).map(([name, v]) => {
    return [name, typeof v === 'object' ? { strings: v } : v] as const;
  });
  const inputs = l.operands.map((o, i) => (o ? `a${i}` : ''));
  const casts = l.operands.flatMap((o, i) =>
    o && !isShape(o) ? [node('Cast', [`whole${i}`], [`a${i}`], { to: INT32 })] : [],
  );
  const initializer = l.operands.flatMap((o, i) => {
    if (o === undefined) return [];
    if (isShape(o)) return [tensor(`a${i}`, o, dataOf(o, i))];
    return [tensor(`whole${i}`, [o.lengths.length], BigInt64Array.from(o.lengths, BigInt))];
  });
  const nodes = [...casts, node(l.op, inputs, outputsOf(l), Object.fromEntries(attrs))];
  const output = outputsOf(l).map((name) => value(name, FLOAT));
  const session = await openSession(modelBytes({ node: nodes, initializer, output }, l.opset ?? 14), { threads: 1 });
  try {
    return await session.run({});
  } finally {
    await session.dispose();
  }
}

/** Gradients of Σ y·c over all outputs, c random, against finite differences. */
function expectGradients({ arena, outputs, bindings }: ReturnType<typeof imported>): void {
  const loss = Object.entries(outputs)
    .map(([name, y]) => reduceSum(mul(y, arena.constant(randomData(`c ${name}`, sizeOf(y.shape)), y.shape))))
    .reduce(add);
  const params = Object.entries(bindings).map(([name, data]) => ({ name, data }));
  const leaves = params.map(({ name }) => leafNamed(loss, name));
  const gradients = Object.fromEntries(differentiate(loss, leaves).map((d, k) => [params[k]!.name, d]));
  const found = interpret({ arena, outputs: gradients }, bindings);
  for (const { name } of params) {
    expectClose(found[name]!.data, finiteDifferences(loss, bindings, name), 2e-5, `d/d${name}`, 1e-3);
  }
}

function leafNamed(v: Value, name: string): Value {
  const seen = new Set<Value>();
  const stack = [v];
  for (let x = stack.pop(); x; x = stack.pop()) {
    if (x.source.kind === 'param' && x.source.name === name) return x;
    if (seen.has(x) || x.source.kind !== 'node') continue;
    seen.add(x);
    stack.push(...x.source.inputs);
  }
  throw new Error(`${name} does not matter`);
}

/** The same with sequences that end early. */
const ending = (l: Layer): Layer => ({
  ...l,
  operands: l.operands.map((o) => (o === undefined || isShape(o) ? o : { lengths: [T - 2, T] })),
});

const layers: Record<string, Layer> = {
  'LSTM, sequences that end early': ending(
    layer('LSTM', { direction: 'bidirectional' }, ['bias', 'lengths', 'h', 'c', 'peepholes']),
  ),
  'GRU, sequences that end early': ending(layer('GRU', { direction: 'bidirectional' }, ['bias', 'lengths', 'h'])),
  'RNN, sequences that end early, backwards': ending(layer('RNN', { direction: 'reverse' }, ['lengths'])),
  'LSTM, coupled gates': layer('LSTM', { input_forget: 1 }, ['bias', 'c']),
  'RNN, an activation with its own numbers': layer('RNN', { activations: ['LeakyRelu'] }, ['bias', 'h']),
  'LSTM, opset 7, nothing optional': layer('LSTM', {}, [], 7),
  'LSTM, everything': layer('LSTM', {}, ['bias', 'lengths', 'h', 'c', 'peepholes'], 22),
  'LSTM, reverse with peepholes': layer('LSTM', { direction: 'reverse' }, ['bias', 'c', 'peepholes']),
  'LSTM, bidirectional with everything': layer('LSTM', { direction: 'bidirectional' }, [
    'bias',
    'lengths',
    'h',
    'c',
    'peepholes',
  ]),
  'LSTM, other activations': layer(
    'LSTM',
    { direction: 'bidirectional', activations: ['Sigmoid', 'Relu', 'Tanh', 'Tanh', 'Tanh', 'Sigmoid'] },
    ['bias', 'c'],
  ),
  'GRU, opset 7, nothing optional': layer('GRU', {}, [], 7),
  'GRU, bidirectional with everything': layer('GRU', { direction: 'bidirectional' }, ['bias', 'lengths', 'h'], 22),
  'GRU, reset after the product': layer('GRU', { linear_before_reset: 1 }, ['bias', 'h']),
  'GRU, reset after the product, no bias, reverse': layer('GRU', { linear_before_reset: 1, direction: 'reverse' }, []),
  'GRU, other activations': layer('GRU', { activations: ['Tanh', 'Sigmoid'] }, ['bias', 'h']),
  'RNN, opset 7, nothing optional': layer('RNN', {}, [], 7),
  'RNN, reverse with everything': layer('RNN', { direction: 'reverse' }, ['bias', 'lengths', 'h'], 22),
  'RNN, bidirectional, an activation each': layer(
    'RNN',
    { direction: 'bidirectional', activations: ['Relu', 'Sigmoid'] },
    ['bias', 'h'],
  ),
};

describe.each(Object.entries(layers))('%s', (_name, l) => {
  it('has the outputs of ONNX Runtime', async () => {
    const { arena, outputs, bindings } = imported(l);
    const found = interpret({ arena, outputs }, bindings);
    const expected = await expectedOf(l);
    for (const name of outputsOf(l)) {
      expect(found[name]!.shape, name).toEqual(expected[name]!.shape);
      const { data } = expected[name]!;
      expectClose(found[name]!.data, data, 1e-5, name, Math.max(...data.map(Math.abs)));
    }
  });

  it('has the gradients of finite differences', () => expectGradients(imported(l)));
});

/** Element [i, j, …] of the result is element [j, i, …] of the operand: ONNX Runtime has no kernel for layout 1. */
function swapped(shape: Shape, data: ArrayLike<number>): number[] {
  const [a, b, ...rest] = shape as [number, number, ...number[]];
  const inner = sizeOf(rest);
  return Array.from({ length: a * b * inner }, (_, at) => {
    const [j, i, k] = [Math.floor(at / (a * inner)), Math.floor(at / inner) % a, at % inner];
    return data[(i * b + j) * inner + k]!;
  });
}

describe.each(['LSTM', 'GRU', 'RNN'] as const)('%s with the batch first', (op) => {
  const parts: readonly Part[] = ['bias', 'h', 'c', 'peepholes'];
  const first = imported(layer(op, { direction: 'bidirectional', layout: 1 }, parts));
  const last = imported(layer(op, { direction: 'bidirectional', layout: 0 }, parts));

  it('is the other layout with its axes exchanged', () => {
    const a = interpret({ arena: first.arena, outputs: first.outputs }, first.bindings);
    const exchanged = Object.entries(first.bindings).map(([name, data]): [string, ArrayLike<number>] => {
      const shape = name === 'a0' ? [N, T, I] : [N, 2, H];
      return [name, ['a0', 'a5', 'a6'].includes(name) ? swapped(shape, data) : data];
    });
    const b = interpret({ arena: last.arena, outputs: last.outputs }, Object.fromEntries(exchanged));
    expect(a.Y!.shape).toEqual([N, T, 2, H]);
    for (const [n, t, d, h] of everyIndex([N, T, 2, H])) {
      expect(a.Y!.data[((n! * T + t!) * 2 + d!) * H + h!]).toBeCloseTo(
        b.Y!.data[((t! * 2 + d!) * N + n!) * H + h!]!,
        12,
      );
    }
    for (const name of Object.keys(a).filter((k) => k !== 'Y')) {
      expect(a[name]!.shape).toEqual([N, 2, H]);
      expectClose(a[name]!.data, swapped([2, N, H], b[name]!.data), 1e-12, name, 1);
    }
  });

  it('has the gradients of finite differences', () => expectGradients(first));
});

function everyIndex(shape: Shape): number[][] {
  return shape.reduce<number[][]>(
    (all, d) => all.flatMap((index) => Array.from({ length: d }, (_, i) => [...index, i])),
    [[]],
  );
}

describe('what is refused', () => {
  const refusals: Record<string, [Layer, RegExp]> = {
    'a clip at 0': [layer('LSTM', { clip: 0 }, []), /LSTM 'layer': clip 0, expected a number above 0/],
    'an unknown activation': [layer('RNN', { activations: ['Selu'] }, []), /activation 'Selu'/],
    'an activation without its numbers': [
      layer('RNN', { activations: ['Affine'] }, []),
      /activation 'Affine' without its alpha and beta/,
    ],
    'too few activations': [layer('LSTM', { activations: ['Sigmoid'] }, []), /1 activations, expected 3/],
    'an unknown direction': [layer('GRU', { direction: 'backward' }, []), /direction 'backward'/],
    'an unknown layout': [layer('GRU', { layout: 2 }, []), /layout 2/],
    'another size than the weights have': [layer('RNN', { hidden_size: 5 }, []), /hidden_size 5, .* \[1,2,2\]/],
    'weights of one direction for two': [
      { ...layer('RNN', {}, []), attrs: { direction: 'bidirectional' } },
      /operand 1 is \[1,2,3\], expected \[2,2,3\]/,
    ],
    'a sequence longer than there are steps': [
      { op: 'RNN', operands: [[T, N, I], [1, H, I], [1, H, H], undefined, { lengths: [T, T + 1] }] },
      /takes whole numbers from 0 to 4, and is given 5/,
    ],
    'a sequence without elements': [
      {
        op: 'RNN',
        operands: [
          [0, N, I],
          [1, H, I],
          [1, H, H],
        ],
      },
      /of length 0/,
    ],
  };
  it.each(Object.entries(refusals))('%s', (_name, [l, message]) => {
    expect(() => imported(l)).toThrow(message);
  });
});
