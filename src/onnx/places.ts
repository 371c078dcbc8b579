// A decoded ONNX file in; in which places of which operators each of its initialisers ends up, out.

import type { FileModel, FileNode } from './file.ts';
import { graphsWithin, type Use, usesOf } from './roles.ts';

/**
 * Where a tensor is used. `weight`, `bias`, `scale`: operands that exist to be learned; `affine`: the last two of a
 * normalisation that is written out; `table`: rows are read at places that the inputs give; `add`, `multiply`:
 * arithmetic with values that depend on the inputs; `statistics`: of a batch normalisation; `bound`: exponents, limits,
 * what is filled in; `none`: no gradient goes there.
 */
export type Place =
  | 'weight'
  | 'table'
  | 'bias'
  | 'scale'
  | 'affine'
  | 'add'
  | 'multiply'
  | 'statistics'
  | 'bound'
  | 'none';

/** By operator and operand. */
const places: Readonly<Record<string, readonly (Place | undefined)[]>> = {
  Conv: [undefined, 'weight', 'bias'],
  ConvTranspose: [undefined, 'weight', 'bias'],
  DeformConv: [undefined, 'weight', undefined, 'bias'],
  Gemm: ['weight', 'weight', 'bias'],
  MatMul: ['weight', 'weight'],
  Einsum: ['weight', 'weight', 'weight'],
  Gather: ['table', 'none'],
  GatherND: ['table', 'none'],
  GatherElements: ['table', 'none'],
  LSTM: [undefined, 'weight', 'weight', 'bias', 'none', undefined, undefined, 'weight'],
  GRU: [undefined, 'weight', 'weight', 'bias', 'none'],
  RNN: [undefined, 'weight', 'weight', 'bias', 'none'],
  BatchNormalization: [undefined, 'scale', 'bias', 'statistics', 'statistics'],
  InstanceNormalization: [undefined, 'scale', 'bias'],
  GroupNormalization: [undefined, 'scale', 'bias'],
  LayerNormalization: [undefined, 'scale', 'bias'],
  SimplifiedLayerNormalization: [undefined, 'scale'],
  RMSNormalization: [undefined, 'scale'],
  PRelu: [undefined, 'scale'],
  Add: ['add', 'add'],
  Sub: ['add', 'add'],
  Pow: [undefined, 'bound'],
  Clip: [undefined, 'bound', 'bound'],
  Max: ['bound', 'bound'],
  Min: ['bound', 'bound'],
  Mod: [undefined, 'bound'],
  Pad: [undefined, 'none', 'bound'],
  Where: ['none', 'multiply', 'multiply'],
  Resize: [undefined, 'none', 'none', 'none'],
  Upsample: [undefined, 'none'],
  Dropout: [undefined, 'none', 'none'],
  OneHot: ['none', 'none', 'none'],
  Range: ['none', 'none', 'none'],
  TopK: [undefined, 'none'],
  QuantizeLinear: [undefined, 'none', 'none'],
  DequantizeLinear: [undefined, 'bound', 'none'],
  STFT: [undefined, 'none', 'multiply', 'none'],
  TensorScatter: [undefined, undefined, 'none'],
  ...Object.fromEntries(
    ['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Shape', 'Size'].map((op) => [op, ['none', 'none']]),
  ),
};

/** Operators whose first operand's elements go on as they are. */
const moving: ReadonlySet<string> = new Set([
  'Cast',
  'Expand',
  'Flatten',
  'Identity',
  'Reshape',
  'Slice',
  'Split',
  'Squeeze',
  'Tile',
  'Transpose',
  'Unsqueeze',
]);

/** Operators whose result has a bias added to it where nothing else is. */
const linear: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Einsum', 'MatMul', 'Gemm']);
const normalising: ReadonlySet<string> = new Set(['InstanceNormalization', 'LayerNormalization', 'BatchNormalization']);

/** Operators that a variance is made with. */
const averaging: ReadonlySet<string> = new Set(['GlobalAveragePool', 'ReduceMean', 'ReduceSum', 'ReduceSumSquare']);

/** By name of an initialiser, or of another value that depends on no input. */
export function placesOf(file: FileModel): ReadonlyMap<string, ReadonlySet<Place>> {
  const graphs = graphsWithin(file.graph);
  const nodes = graphs.flatMap((graph) => graph.nodes);
  const uses = usesOf(file.graph);
  const makers = new Map(nodes.flatMap((node) => node.outputs.map((key) => [key, node] as const)));
  const constants = new Set(graphs.flatMap((graph) => [...graph.initializers.keys()]));
  // In the order of the nodes every operand comes before its use, except in a file that the import refuses.
  for (const node of nodes) {
    const kept = moving.has(node.op) && constants.has(node.inputs[0] ?? ''); // its shape may depend on the inputs
    const alone = kept || node.inputs.every((key) => key === '' || constants.has(key));
    const inner = Object.values(node.attrs).some((a) => typeof a === 'object' && 'nodes' in a);
    const random = /^(Random|Bernoulli|Multinomial)/.test(node.op);
    if (alone && !inner && !random) for (const key of node.outputs) constants.add(key);
  }
  const found = new Map<string, ReadonlySet<Place>>();
  for (const key of [...constants].reverse()) found.set(key, new Set((uses.get(key) ?? []).flatMap(placesAt)));
  return found;

  // Reversed, the places of what is made from a constant are known before its own.
  function placesAt({ node, operand }: Use): readonly Place[] {
    if (moving.has(node.op) && operand > 0) return ['none'];
    const onwards = node.outputs.flatMap((key) => [...(found.get(key) ?? [])]);
    if (node.outputs.some((key) => constants.has(key))) {
      const place = places[node.op]?.[operand];
      return place === 'bound' || place === 'none' ? [place] : onwards;
    }
    if (node.op === 'Add' || node.op === 'Sub' || node.op === 'Mul') {
      const before = source(node.inputs[1 - operand]);
      if (node.op !== 'Mul' && before && hasWeight(before)) return ['bias'];
      if (before && normalising.has(before.op)) return ['scale'];
      const other = node.inputs[1 - operand];
      if (isNormalised(other) || (node.op === 'Mul' && isInverseRoot(other))) return ['affine'];
    }
    if (node.op === 'Constant') return [];
    return [places[node.op]?.[operand] ?? (moving.has(node.op) ? 'none' : 'multiply')];
  }

  /** Not a product of two values that both depend on the inputs, as in attention. */
  function hasWeight(node: FileNode): boolean {
    return linear.has(node.op) && node.inputs.slice(0, 2).some((key) => constants.has(key));
  }

  /** Divided by the root of a variance, or of a mean of squares; seen through changes of its shape and a scale. */
  function isNormalised(key: string | undefined): boolean {
    let node = makerOf(key);
    for (let steps = 0; node && steps < 4; steps++) {
      if (node.op === 'Div' && isRoot(node.inputs[1])) return true;
      if (node.op === 'Mul' && node.inputs.some(isInverseRoot)) return true;
      node = makerOf(onwards(node));
    }
    return false;
  }

  function isInverseRoot(key: string | undefined): boolean {
    let node = makerOf(key);
    for (let steps = 0; node && steps < 4; steps++) {
      if (node.op === 'Reciprocal') return isRoot(node.inputs[0]);
      if (node.op === 'Div' && constants.has(node.inputs[0]!)) return isRoot(node.inputs[1]);
      if (node.op === 'Pow') return constants.has(node.inputs[1]!) && isMean(node.inputs[0]);
      node = makerOf(onwards(node));
    }
    return false;
  }

  function isRoot(key: string | undefined): boolean {
    let node = makerOf(key);
    for (let steps = 0; node && steps < 4; steps++) {
      if (node.op === 'Sqrt') return isMean(node.inputs[0]);
      node = makerOf(node.op === 'Add' ? node.inputs.find((input) => !constants.has(input)) : onwards(node));
    }
    return false;
  }

  function isMean(key: string | undefined, depth = 5): boolean {
    const node = makerOf(key);
    if (!node || depth === 0) return false;
    return averaging.has(node.op) || node.inputs.some((input) => isMean(input, depth - 1));
  }

  function makerOf(key: string | undefined): FileNode | undefined {
    return key === undefined || constants.has(key) ? undefined : makers.get(key);
  }

  /** The operand that a value is, but for its shape or a constant factor. */
  function onwards(node: FileNode): string | undefined {
    if (moving.has(node.op)) return node.inputs[0];
    const varying = node.inputs.filter((input) => !constants.has(input));
    return node.op === 'Mul' && varying.length === 1 ? varying[0] : undefined;
  }

  /** What computes a value, seen through changes of its shape and, for a bias, through the scale before it. */
  function source(key: string | undefined): FileNode | undefined {
    let node = key === undefined ? undefined : makers.get(key);
    for (let steps = 0; node && steps < 4; steps++) {
      const next = moving.has(node.op)
        ? node.inputs[0]
        : node.op === 'Mul'
          ? node.inputs.find((input) => !constants.has(input))
          : undefined;
      if (next === undefined) return node;
      node = makers.get(next);
    }
    return node;
  }
}
