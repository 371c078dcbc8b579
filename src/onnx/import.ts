// A decoded ONNX file in; its per-example loss as a graph over one example, with its weights, out.

import { ModelError } from '../errors.ts';
import { nameOf, paramsOf, reachable, type Value } from '../graph/index.ts';
import { reshape, toFloat } from '../ops/index.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import type { Weights } from '../tensor/weights.ts';
import { type LossOfCopies, ofCopies } from './copies.ts';
import { naming } from './decode.ts';
import type { FileModel } from './file.ts';
import { likelyObjective, partCalled } from './likely.ts';
import { Sequence } from './operators/index.ts';
import type { ImportOptions } from './options.ts';
import { type ParameterReport, Weight } from './tensors.ts';
import { type DrawnTime, drawnTime } from './times.ts';
import { tensorOf, Walk } from './walk.ts';

export interface ImportedModel {
  /** The loss of one example, a scalar. */
  readonly loss: Value;
  readonly weights: Weights;
  /** Those that the loss does not depend on too: with inputs of other sizes it may. */
  readonly tensors: Weights;
  /** Shapes of the inputs that come from data, of one example, without the batch axis. */
  readonly data: Readonly<Record<string, Shape>>;
  /** Names of the file's outputs that the loss is, or is made from. */
  readonly outputs: readonly string[];
  /** Where the file is made for several examples and gives one number for them: how it is made of theirs. */
  readonly total?: 'sum' | 'mean';
  /** What was chosen without being asked for. */
  readonly notes: readonly string[];
  /** What is drawn for the time of a diffusion, found out when it is asked for. */
  time(): DrawnTime | undefined;
  /** Elements of the largest value that the file's nodes make of one example, and of all of them. */
  readonly largest: number;
  readonly elements: number;
  readonly parameters: ParameterReport;
}

/**
 * ONNX operators are read as these versions and those between define them; the newest is the one that ONNX Runtime
 * knows.
 */
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
  const chosen = options.objective ? undefined : chooseOutput(file, name, options, values);
  const made = chosen
    ? lossOf(file, name, options, values, chosen.name)
    : { loss: options.objective!(walk.network(values)) };
  const output = made.loss;
  const what = chosen ? `output '${chosen.name}'` : 'the objective';
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
  const byName = Object.fromEntries(weights);
  return {
    loss,
    weights: byName,
    tensors: Object.fromEntries(
      [...walk.tensors.weights].map(([key, t]) => [
        key,
        Object.hasOwn(byName, key) ? byName[key]! : new Weight(t, `${name}: parameter '${key}'`),
      ]),
    ),
    data: dataShapes(loss),
    parameters: walk.tensors.report(params, file),
    outputs: chosen ? [chosen.name] : [...walk.outputsUsed],
    ...(made.total ? { total: made.total } : {}),
    time: () => drawnTime(loss, walk.choices),
    notes: chosen?.note === undefined ? [] : [chosen.note],
    largest: walk.largest,
    elements: walk.elements,
  };
}

/** Whether a value depends on the data and on something that is learned. */
function isLoss(v: Value): boolean {
  return v.lead === 'example' && reachable([v]).some((x) => x.source.kind === 'param');
}

function dataShapes(loss: Value): Record<string, Shape> {
  const used = reachable([loss]).filter((v) => v.source.kind === 'input' && v.source.from === 'data');
  return Object.fromEntries(used.map((v) => [nameOf(v), v.shape[0] === 1 ? v.shape.slice(1) : v.shape]));
}

interface Chosen {
  readonly name: string;
  /** Where there was a choice. */
  readonly note?: string;
}

/** The output that is the loss: the one asked for, the only one, or the only one that can be. */
function chooseOutput(
  file: FileModel,
  name: string,
  options: ImportOptions,
  values: ReadonlyMap<string, Value>,
): Chosen {
  const { outputs } = file.graph;
  if (options.loss !== undefined) {
    if (!outputs.includes(options.loss)) {
      throw new ModelError(`${name}: has no output '${options.loss}'; it has ${outputs.join(', ')}`);
    }
    return made(options.loss, values, name);
  }
  if (outputs.length === 1) return made(outputs[0]!, values, name);
  const { copies = 1 } = options;
  const kinds = outputs.map((key) => {
    const v = values.get(key);
    if (!v || v instanceof Sequence) return { key, shape: v ? 'a sequence' : 'not given', fits: false };
    const one = copies === 1 || v.shape[0] === copies ? v.shape.slice(1) : v.shape;
    const batch = v.shape.length > 0 && (v.shape[0] === 1 || v.shape[0] === copies);
    const shape = `[${[...(batch ? ['n'] : []), ...(batch ? one : v.shape)].join(', ')}]`;
    return { key, shape, fits: sizeOf(batch ? one : v.shape) === 1 && isLoss(v) };
  });
  const fitting = kinds.filter(({ fits }) => fits);
  const listed = kinds.map(({ key, shape }) => `${key} ${shape}`).join(', ');
  const all = `it has the outputs ${listed}`;
  const likely = likelyObjective(file, values);
  const [only] = fitting;
  if (only && fitting.length === 1) {
    return {
      name: only.key,
      note: `output '${only.key}' ${only.shape} is taken for the loss, the only one of ${listed} that can be${asPart(only.key, likely, outputs)}; \`loss\` takes another`,
    };
  }
  if (fitting.length === 0) {
    throw new ModelError(
      `${name}: no output is one number per example that depends on data and parameters: ${all}; ${makes(likely)}`,
    );
  }
  throw new ModelError(
    `${name}: ${fitting.length} outputs could be the loss: ${fitting.map(({ key, shape }) => `${key} ${shape}`).join(', ')}; say which, as \`loss: '${fitting[0]!.key}'\` (${all})`,
  );
}

/** A warning of an output that by its name, or by the other one's shape, is only a part of a loss. */
function asPart(key: string, likely: string | undefined, outputs: readonly string[]): string {
  const part = partCalled(key);
  const latent = outputs.find((other) => other !== key);
  const both = likely === 'flow' && part !== 'divergence' ? `\`objective: 'flow:latent=${latent},logdet=${key}'\`` : '';
  if (part) return `, though it is called like a ${part} alone${both === '' ? '' : ` (${both} takes both)`}`;
  return both === '' ? '' : ` (${both} where it is a log-determinant)`;
}

/** What makes a loss of a network that gives none, with the kind of network that it seems to be. */
const makes = (likely: string | undefined): string =>
  likely === undefined
    ? '`objective` makes one from other outputs'
    : `\`objective: '${likely}'\` makes one, if it is the network that it looks like`;

/** An output by name, if a node gives it. */
function made(key: string, values: ReadonlyMap<string, Value>, name: string): Chosen {
  if (values.has(key)) return { name: key };
  throw new ModelError(`${name}: no node gives the output '${key}'`);
}

/** The loss of one example from an output that is a loss already. */
function lossOf(
  file: FileModel,
  name: string,
  { copies = 1 }: ImportOptions,
  values: ReadonlyMap<string, Value>,
  key: string,
): LossOfCopies {
  const output = tensorOf(values.get(key)!, key, name);
  if (copies > 1) return ofCopies(file, name, values, key, output, copies);
  if (sizeOf(output.shape) === 1) return { loss: output };
  throw new ModelError(
    `${name}: output '${key}' is ${shapeText(output.shape)} for one example, expected one number: a loss per example; ${makes(likelyObjective(file, values))}`,
  );
}
