// An output of a file that is made for k examples, all of them the same one, in; the loss of that one out.

import { ModelError } from '../errors.ts';
import type { Value } from '../graph/index.ts';
import { mul, reshape, slice } from '../ops/index.ts';
import { shapeText, sizeOf } from '../tensor/shape.ts';
import type { FileModel, FileNode } from './file.ts';

const ADVICE = 'export it with a loss for every example, with a batch of one, or with one that is left open';

/** The file does not tell how one number for a batch is made of those of its examples. */
export class UnknownTotal extends ModelError {}

export interface LossOfCopies {
  readonly loss: Value;
  /** Where the output is one number: how it is made of those of the examples. */
  readonly total?: 'sum' | 'mean';
}

/**
 * Of a loss for every example the first. One number for the batch is the sum or the mean of its examples': for equal
 * ones both are told by the nodes that made it, and where these do not tell it is refused, since a sum taken for a mean
 * makes norms k² times too large.
 */
export function ofCopies(
  file: FileModel,
  name: string,
  values: ReadonlyMap<string, Value>,
  key: string,
  output: Value,
  copies: number,
): LossOfCopies {
  if (sizeOf(output.shape) === copies) return { loss: slice(reshape(output, [copies]), 0, 0, 1) };
  if (sizeOf(output.shape) !== 1) {
    throw new ModelError(
      `${name}: output '${key}' is ${shapeText(output.shape)} for the batch of ${copies} that the file is made for, expected one number for each: a loss per example`,
    );
  }
  const found = totalOf(file, values, key, copies)?.kind;
  if (found === 'mean') return { loss: output, total: found };
  if (found === 'sum') return { loss: mul(output, 1 / copies), total: found };
  throw new UnknownTotal(
    `${name}: output '${key}' is one number for the batch of ${copies} that the file is made for, and the file does not tell whether it is the sum of its examples' losses or their mean; ${ADVICE}`,
  );
}

interface Total {
  readonly kind: 'sum' | 'mean';
  /** Of how many numbers; 0 where it is made of several. */
  readonly of: number;
}

/** Operators that hand on what one operand has. */
const HANDS_ON = new Set(['Identity', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten', 'Cast', 'CastLike', 'Neg']);
const JOINS = new Set(['Add', 'Sub', 'Sum']);
const REDUCTIONS: ReadonlyMap<string, Total['kind']> = new Map([
  ['ReduceMean', 'mean'],
  ['ReduceSum', 'sum'],
  ['ReduceSumSquare', 'sum'],
  ['ReduceL1', 'sum'],
]);
const LOSSES = new Set(['SoftmaxCrossEntropyLoss', 'NegativeLogLikelihoodLoss']);

/**
 * From the output back, while there is one number: to where it is made of many. Undefined where that is nothing that is
 * known.
 */
function totalOf(
  file: FileModel,
  values: ReadonlyMap<string, Value>,
  output: string,
  copies: number,
): Total | undefined {
  const makers = new Map<string, FileNode>();
  for (const node of file.graph.nodes) for (const key of node.outputs) if (key !== '') makers.set(key, node);
  const visit = (key: string): Total | undefined => {
    const node = makers.get(key);
    if (node?.domain !== '') return undefined;
    const varying = node.inputs.filter((x) => values.get(x)?.lead === 'example');
    const [first] = varying;
    if (first === undefined) return undefined;
    const { shape } = values.get(first)!;
    if (sizeOf(shape) > 1) {
      if (shape[0] !== copies) return undefined;
      const { reduction = 'mean' } = node.attrs;
      const kind = LOSSES.has(node.op) ? reduction : varying.length === 1 ? REDUCTIONS.get(node.op) : undefined;
      return kind === 'sum' || kind === 'mean' ? { kind, of: sizeOf(shape) } : undefined;
    }
    if (HANDS_ON.has(node.op)) return visit(first);
    if (JOINS.has(node.op)) {
      // Each of them is one number by now, and all must be so in the same way.
      const parts = varying.map(visit);
      const [part] = parts;
      return parts.every((p) => p && p.kind === part?.kind) ? { kind: part!.kind, of: 0 } : undefined;
    }
    if ((node.op !== 'Mul' && node.op !== 'Div') || varying.length > 1) return undefined;
    const inner = visit(first);
    const other = node.inputs.find((x) => x !== first);
    const factor = other === undefined ? undefined : constantOf(values.get(other));
    if (!inner || !factor || (node.op === 'Div' && other === node.inputs[0])) return undefined;
    return scaled(inner, node.op === 'Div' ? factor : 1 / factor, copies);
  };
  return visit(output);
}

/** A sum or a mean divided by a number. */
function scaled(inner: Total, by: number, copies: number): Total | undefined {
  if (inner.kind === 'mean') return counts(1 / by, copies) ? undefined : { ...inner, of: 0 };
  if (!counts(by, copies)) return { ...inner, of: 0 };
  // Divided by the number of examples or of all elements it is a mean; but half of a sum of squares is no mean of two.
  return copies > 2 || (inner.of > 2 && Math.round(by) === inner.of) ? { kind: 'mean', of: 0 } : undefined;
}

/** Whether a number may count the examples, or their elements. */
const counts = (by: number, copies: number) =>
  by > 0 && Math.abs(by - Math.round(by)) < 1e-4 * by && Math.round(by) % copies === 0 && Math.round(by) > 0;

const constantOf = (v: Value | undefined): number | undefined =>
  v?.source.kind === 'constant' && sizeOf(v.shape) === 1 ? v.source.data[0] : undefined;
