// A decoded ONNX file in; its per-example loss as a graph over one example, with its weights, out.

import { ModelError } from '../errors.ts';
import { nameOf, paramsOf, reachable, type Value } from '../graph/index.ts';
import { reshape, toFloat } from '../ops/index.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import { type FileGraph, type FileModel, naming } from './decode.ts';
import type { ImportOptions } from './options.ts';
import { type ParameterReport, Weight } from './tensors.ts';
import { tensorOf, Walk } from './walk.ts';

export interface ImportedModel {
  /** The loss of one example, a scalar. */
  readonly loss: Value;
  readonly weights: Readonly<Record<string, { readonly shape: Shape; readonly data: Float32Array }>>;
  /** Shapes of the inputs that come from data, of one example, without the batch axis. */
  readonly data: Readonly<Record<string, Shape>>;
  /** Names of the file's outputs that the loss is, or is made from. */
  readonly outputs: readonly string[];
  /** Elements of the largest value that the file's nodes make of one example, and of all of them. */
  readonly largest: number;
  readonly elements: number;
  readonly parameters: ParameterReport;
}

/** ONNX operators are read as these versions and those between define them; the newest is the one that ONNX Runtime knows. */
export const OLDEST_OPSET = 7;
export const NEWEST_OPSET = 26;

/** Throws a ModelError that names the file, the node and the reason. */
export function importModel(file: FileModel, name: string, options: ImportOptions = {}): ImportedModel {
  return naming(name, () => imported(file, name, options));
}

function imported(file: FileModel, name: string, options: ImportOptions): ImportedModel {
  if (file.opset < OLDEST_OPSET) {
    throw new ModelError(`${name}: opset ${file.opset}, expected at least ${OLDEST_OPSET}; export it with a newer one`);
  }
  if (file.opset > NEWEST_OPSET) {
    throw new ModelError(
      `${name}: opset ${file.opset}, the newest known is ${NEWEST_OPSET}; export it with opset_version=${NEWEST_OPSET} or less`,
    );
  }
  const walk = new Walk(file, name, options);
  const values = walk.graph(file.graph, new Map(walk.roots()));
  const absent = options.stopGradient?.find((key) => !file.graph.nodes.some((node) => node.outputs.includes(key)));
  if (absent !== undefined)
    throw new ModelError(`${name}: no node gives '${absent}', through which no gradient is to go`);
  const output = options.objective ? options.objective(walk.network(values)) : outputOf(file, name, options, values);
  const what = options.objective ? 'the objective' : `output '${options.loss ?? file.graph.outputs[0]}'`;
  const loss = reshape(toFloat(output), []);
  if (loss.lead !== 'example') throw new ModelError(`${name}: ${what} does not depend on the data`);
  for (const v of reachable([loss])) walk.check(v); // also what operators made on the way to their results
  walk.arena.unlimit();
  const graph = { arena: loss.arena, outputs: { loss } };
  const params = paramsOf(graph, { all: true });
  if (params.length === 0) throw new ModelError(`${name}: ${what} depends on no parameters${walk.tensors.whyNone()}`);
  if (options.params && paramsOf(graph).length === 0) {
    const some = params.slice(0, 5).map(nameOf).join(', ');
    throw new ModelError(`${name}: no parameter matches ${options.params}; there are ${some}, …`);
  }
  const weights = params.map((p) => {
    const t = walk.tensors.weights.get(nameOf(p))!;
    return [nameOf(p), new Weight(t, `${name}: parameter '${nameOf(p)}'`)] as const;
  });
  return {
    loss,
    weights: Object.fromEntries(weights),
    data: walk.dataShapes(loss),
    parameters: walk.tensors.report(params, file),
    outputs: options.objective ? [...walk.outputsUsed] : [options.loss ?? file.graph.outputs[0]!],
    largest: walk.largest,
    elements: walk.elements,
  };
}

/** The output that is a loss already. */
function outputOf(file: FileModel, name: string, options: ImportOptions, values: ReadonlyMap<string, Value>): Value {
  const wanted = options.loss ?? onlyOutput(file.graph, name);
  const output = file.graph.outputs.includes(wanted) ? values.get(wanted) : undefined;
  if (!output) throw new ModelError(`${name}: has no output '${wanted}'; it has ${file.graph.outputs.join(', ')}`);
  if (sizeOf(tensorOf(output, wanted, name).shape) === 1) return output;
  throw new ModelError(
    `${name}: output '${wanted}' is ${shapeText(output.shape)} for one example, expected one number: a loss per example; --objective makes one from other outputs`,
  );
}

function onlyOutput(graph: FileGraph, name: string): string {
  if (graph.outputs.length === 1) return graph.outputs[0]!;
  throw new ModelError(`${name}: has the outputs ${graph.outputs.join(', ')}; say with --loss which is the loss`);
}
