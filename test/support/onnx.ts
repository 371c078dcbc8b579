// ONNX models of one node: bytes for ONNX Runtime, and the same node as values of our graph.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from '../../src/data/index.ts';
import { Arena, interpret, type Value } from '../../src/graph/index.ts';
import { openExtractor } from '../../src/node/defaults.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { openSession } from '../../src/node/runtime.ts';
import {
  encode,
  NodeContext,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  operators,
} from '../../src/onnx/index.ts';
import { constantData } from '../../src/ops/index.ts';
import type { OnnxOptions, ScoringModel } from '../../src/store/index.ts';
import { type Shape, sizeOf } from '../../src/tensor/shape.ts';
import { inTemporaryFolder } from './cli.ts';
import { type Attr, FLOAT, modelBytes, node as protoNode, tensor, value } from './proto.ts';
import { randomData } from './run.ts';

export type { Attr } from './proto.ts';

/** An operand: random floats of a shape, or given numbers. */
export interface Operand {
  readonly shape: Shape;
  /** Given numbers; floats are random without. */
  readonly data?: readonly number[];
  readonly dtype?: 'float' | 'int' | 'bool';
  /** Random floats are made positive. */
  readonly positive?: boolean;
  /** Floats that are constants of the model, not something to differentiate. */
  readonly constant?: boolean;
}

export interface NodeCase {
  readonly op: string;
  /** undefined stands for an operand left out. */
  readonly operands: readonly (Operand | undefined)[];
  readonly attrs?: Readonly<Record<string, Attr>>;
  readonly opset?: number;
  readonly outputs?: number;
}

const dataOf = (operand: Operand, i: number): Float64Array => {
  if (operand.data) return Float64Array.from(operand.data);
  const random = randomData(`operand ${i}`, sizeOf(operand.shape));
  return Float64Array.from(random, (v) => Math.fround(operand.positive ? Math.exp(v / 2) + 0.2 : v));
};

export const isFree = (operand: Operand | undefined): boolean =>
  operand !== undefined && (operand.dtype ?? 'float') === 'float' && !operand.constant && operand.data === undefined;

function typed(dtype: 'float' | 'int' | 'bool', data: Float64Array): Float32Array | BigInt64Array | Uint8Array {
  if (dtype === 'bool') return Uint8Array.from(data);
  return dtype === 'float' ? Float32Array.from(data) : BigInt64Array.from(data as ArrayLike<number>, BigInt);
}

/** The node's first output as ONNX Runtime computes it, as floats. */
export async function runtimeOutput(c: NodeCase): Promise<Float32Array> {
  const outputs = Array.from({ length: c.outputs ?? 1 }, (_, k) => `y${k}`);
  const names = c.operands.map((operand, i) => (operand ? `a${i}` : ''));
  const initializer = c.operands.flatMap((operand, i) => {
    return operand ? [tensor(`a${i}`, operand.shape, typed(operand.dtype ?? 'float', dataOf(operand, i)))] : [];
  });
  const nodes = [protoNode(c.op, names, outputs, c.attrs), protoNode('Cast', ['y0'], ['result'], { to: FLOAT })];
  const bytes = modelBytes({ node: nodes, initializer, output: [value('result', FLOAT)] }, c.opset ?? 18);
  const session = await openSession(bytes, { threads: 1 });
  try {
    return (await session.run({})).result!.data;
  } finally {
    await session.dispose();
  }
}

/** The node's first output over operands made by `leaf`; those not free are constants. */
export function importNode(arena: Arena, c: NodeCase, leaf: (name: string, shape: Shape) => Value): Value {
  const values = c.operands.map((operand, i) => {
    if (!operand) return undefined;
    if (isFree(operand)) return leaf(`a${i}`, operand.shape);
    return arena.constant(dataOf(operand, i), operand.shape, operand.dtype ?? 'float');
  });
  const node = {
    op: c.op,
    domain: '',
    name: 'node',
    inputs: c.operands.map((operand, i) => (operand ? `a${i}` : '')),
    outputs: Array.from({ length: c.outputs ?? 1 }, (_, k) => `y${k}`),
    attrs: Object.fromEntries(
      Object.entries(c.attrs ?? {}).map(([name, v]) => {
        if (typeof v !== 'object' || Array.isArray(v)) return [name, v as number | string | readonly number[]];
        const w = v as { float: number } | { floats: readonly number[] } | { strings: readonly string[] };
        return [name, 'float' in w ? w.float : 'floats' in w ? w.floats : w.strings];
      }),
    ),
  };
  const importer = {
    arena,
    opset: c.opset ?? 18,
    known: (v: Value) => {
      if (constantData(v)) return constantData(v);
      return v.lead === 'none' && !reachesParam(v) ? interpret({ arena, outputs: { v } }, {}).v!.data : undefined;
    },
    inline: () => [],
    draw: (name: string, shape: readonly number[], from: 'normal' | 'uniform') => arena.input(name, shape, from),
  };
  const result = operators[c.op]!(new NodeContext(importer, node, values));
  return Array.isArray(result) ? (result[0] as Value) : (result as Value);
}

function reachesParam(v: Value): boolean {
  if (v.source.kind === 'node') return v.source.inputs.some(reachesParam);
  return v.source.kind !== 'constant';
}

export function bindingsOf(c: NodeCase): Record<string, Float64Array> {
  return Object.fromEntries(
    c.operands.flatMap((operand, i) => (operand && isFree(operand) ? [[`a${i}`, dataOf(operand, i)] as const] : [])),
  );
}

export const newArena = () => new Arena();

/** A network of named nodes with random weights; all sizes are for one example. */
export function network(
  inputs: Record<string, readonly number[]>,
  weights: Record<string, readonly number[]>,
  nodes: readonly OnnxNode[],
  outputs: readonly string[],
  whole: readonly string[] = [],
): OnnxModel {
  const initializers = Object.entries(weights).map(([name, dims]): OnnxTensor => {
    const size = dims.reduce((a, b) => a * b, 1);
    return { name, dims, dtype: 'float', data: randomData(name, size, 0.5) };
  });
  return {
    inputs: Object.entries(inputs).map(([name, dims]) => ({
      name,
      dims: [1, ...dims],
      dtype: whole.includes(name) ? 'int64' : 'float',
    })),
    outputs: outputs.map((name) => ({ name, dims: [1], dtype: 'float' })),
    nodes,
    initializers,
  };
}

export const node = (op: string, inputs: string[], output: string, attrs: OnnxNode['attrs'] = {}): OnnxNode => ({
  op,
  inputs,
  output,
  attrs,
});

/** The model in a file with this network. */
export async function openNetwork(model: OnnxModel, options: OnnxOptions): Promise<ScoringModel> {
  return inTemporaryFolder(async (dir) => {
    await writeFile(join(dir, 'm.onnx'), encode(model));
    return loadOnnx(join(dir, 'm.onnx'), options);
  });
}

/** Losses and squared norms, one thread, a seed of its own. */
export async function tableOf(model: ScoringModel, data: Dataset) {
  const extractor = await openExtractor(model, { seed: 5, threads: 1 });
  const { nll, sqNorms } = await extractor.table(data);
  await extractor.dispose();
  return { nll, sqNorms };
}
