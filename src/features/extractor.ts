// A model and a data set in; the negative log-likelihood and the layer-wise squared gradient norms of every group out.

import { checkArguments, checkOptions, model as modelRule, oneOf, optional, type Rules, someOf } from '../arguments.ts';
import type { Dataset } from '../data/index.ts';
import { indexIn, namesIn } from '../data/index.ts';
import { defined } from '../defined.ts';
import { inRuns, isOutOfMemory, type Outputs, openPrograms, type Runtime, type Shapes } from '../engine/index.ts';
import { FisherError, ModelError, UsageError } from '../errors.ts';
import type { PlanChoice } from '../lower/index.ts';
import type { ScoringModel } from '../store/index.ts';
import { checkWhole } from '../tensor/whole.ts';
import { checkParts, inColumns } from './columns.ts';
import { dividedBatch, drawOf, type Measured, meanOverDraws } from './draws.ts';
import { asModelTakes, type InputOptions, modelAt } from './inputs.ts';
import type { Metric } from './metric.ts';
import { type NormGraph, normGraph } from './norms.ts';
import { type ActivationBasis, directionsOf } from './packed-basis.ts';
import { type RangedGraph, withRanges } from './ranges.ts';
import { rescueOf } from './rescue.ts';
import { type Rows, wholeGroups } from './rows.ts';
import { splitLoss } from './summands.ts';
import { concatTables, type FeatureTable } from './table.ts';
import { isNamed, type NoiseKey, type TableHead, type View, viewNames } from './table-head.ts';

/**
 * How features are computed: on what runtime, in groups and batches of how many examples, from which seed. What is left
 * out has the default it names.
 */
export interface ExtractorOptions extends InputOptions {
  /** What runs the graphs. */
  readonly runtime: Runtime;
  /** Examples per group, B. Default 1. */
  readonly group?: number;
  /**
   * Examples per run, rounded down to whole groups; the last run of a set is filled up. Default: up to 64, from a
   * memory estimate, and fewer for sets of fewer: a single example runs alone.
   */
  readonly batch?: number | undefined;
  /** Bytes that a run may take, for the choice of the batch. Default: 1 GiB. */
  readonly memory?: number | undefined;
  /** Seed of the random inputs. Default 0. */
  readonly seed?: number;
  /**
   * What an example's draws depend on beside the seed. 'content' (default): a hash of its numbers as the model takes
   * them, so that equal inputs have equal norms wherever they stand. 'index': its index in the source that its data set
   * was cut from. 'place': its index in the data set itself, however that was cut, as tables and detectors of before
   * have it that do not say.
   */
  readonly noise?: NoiseKey | 'place';
  /**
   * Draws K of the random inputs for every example, each from a stream of its own; the table has means over them
   * (`meanOverDraws`). 1, the default, is the first of them alone, and all there is for a model without random inputs.
   */
  readonly noiseSamples?: number;
  readonly threads?: number | undefined;
  readonly plan?: PlanChoice;
  /** What else is measured of each gradient, in the same pass. Default: nothing. */
  readonly views?: readonly View[];
  /** Needed for the view `fisher`. */
  readonly metric?: Metric;
  /** Needed for the view `activations`. */
  readonly basis?: ActivationBasis;
}

/**
 * A model made ready to give features: for each group of B examples the loss and the squared gradient norm of every
 * layer, the columns `names`.
 */
export interface Extractor {
  readonly group: number;
  readonly modelHash: string;
  readonly seed: number;
  /** Draws of the random inputs; 1 for a model that has none, whatever was asked for. */
  readonly noiseSamples: number;
  /** Examples per run at most. */
  readonly batch: number;
  readonly names: readonly string[];
  readonly plan: PlanChoice;
  /**
   * What the tables of these data say of themselves, from example `start` on. With `plan` it tells whether two runs
   * have the same rows.
   */
  head(data: Dataset, start: number): TableHead;
  /**
   * Tables of consecutive groups, one per run. The data are made ready for the model as the command line does it
   * (`asModelTakes`), unless they are already. What float32 cannot hold is computed again, scaled; what is not finite
   * even so is NaN in the table (`notFinite`).
   */
  tables(data: Dataset, rows?: Rows): AsyncIterable<FeatureTable>;
  /** All of them as one table. */
  table(data: Dataset, rows?: Rows, onProgress?: (examples: number, of: number) => void): Promise<FeatureTable>;
  dispose(): Promise<void>;
}

const rules: Rules = {
  noise: optional(oneOf('content', 'index', 'place')),
  plan: optional(oneOf('auto', 'direct', 'gram')),
  views: optional(someOf(...viewNames)),
  memory: optional({ holds: (value) => typeof value === 'number', expected: 'bytes' }),
};

/**
 * Compiles the model's norms; sessions are opened by the first table of each size of batch. Throws a ModelError for a
 * model without norms, or one of whose examples not one fits into the machine.
 */
export async function openExtractor(model: ScoringModel, options: ExtractorOptions): Promise<Extractor> {
  checkArguments('openExtractor', { model }, { model: modelRule });
  checkOptions('openExtractor', options, rules);
  const { runtime, seed = 0, noise = 'content', plan = 'auto', memory, threads, metric, basis } = options;
  const views = viewNames.filter((view) => options.views?.includes(view));
  if (views.includes('fisher') !== (metric !== undefined)) {
    throw new UsageError('the view fisher needs a metric, and is all that one is for');
  }
  if (views.includes('activations') !== (basis !== undefined)) {
    throw new UsageError('the view activations needs a basis, and is all that one is for');
  }
  const group = checkWhole(options.group ?? 1, 'the group size', 1);
  checkWhole(seed, 'the seed', 0);
  const wanted = checkWhole(options.noiseSamples ?? 1, 'the number of noise samples', 1);
  await model.batchLoss?.({ runtime, threads });
  const weights = { ...model.weights, ...metric?.roots, ...basis?.weights };
  const how = { runtime, weights, memory, threads, group, keep: true };
  const lossAt = (shapes: Shapes) => modelAt(model, shapes).loss();
  const programs = openPrograms(compiler(model, views, metric, basis), { ...how, plan, batch: options.batch });
  const { batch, compiled, inputs } = programs.at(model.inputs);
  const isRandom = inputs.some(({ source }) => source.kind === 'input' && source.from !== 'data');
  const noiseSamples = isRandom ? wanted : 1;
  const { names, sizes, parts } = compiled;
  const rescue = rescueOf({ ...how, loss: lossAt });
  const factor = model.dims === undefined ? {} : { bitsPerDimFactor: 1 / (model.dims * Math.LN2) };

  const taken = new WeakMap<Dataset, Dataset>();
  const ready = (data: Dataset): Dataset => {
    const found = taken.get(data) ?? asModelTakes(model, data, options);
    taken.set(data, found);
    return found;
  };

  const head = (given: Dataset, start: number): TableHead => {
    const { name, fingerprint, origin } = ready(given);
    const keyed = noise === 'place' ? {} : { noise };
    const named = {
      ...(views.includes('parts') ? { parts } : {}),
      ...(basis ? { activations: directionsOf(basis) } : {}),
    };
    const seen = views.length === 0 ? {} : { views, ...(Object.keys(named).length > 0 ? { columns: named } : {}) };
    const by = defined({ metric: metric?.hash, basis: basis?.hash });
    return {
      names,
      dims: sizes,
      group,
      meta: {
        model: model.hash,
        data: name,
        dataFingerprint: fingerprint,
        origin,
        seed,
        ...keyed,
        ...(noiseSamples === 1 ? {} : { noiseSamples }),
        ...seen,
        ...by,
        start,
        ...factor,
      },
    };
  };

  async function* tables(given: Dataset, rows: Rows = {}): AsyncIterable<FeatureTable> {
    const data = ready(given);
    const { start, end } = wholeGroups(data, group, rows);
    const shapes = model.at
      ? Object.fromEntries(Object.keys(model.inputs).map((key) => [key, data.shapes[key]!]))
      : model.inputs;
    const program = programs.at(shapes);
    // By the length of the whole set, so that parts of it, and runs that go on where others were stopped, have the same
    // rows to the bit.
    const expected = rows.expected ?? (options.batch === undefined ? data.length : undefined);
    const { together, most } = dividedBatch(program.batch, group, noiseSamples);
    const size = expected === undefined ? most : Math.min(most, program.sizeFor(expected));
    await program.open(size * together).catch((error: unknown) => cannotRun(model, error));
    const indexOf = noise === 'index' ? indexIn(data.origin) : (i: number) => i;
    for await (const { batch: examples, count, indices } of inRuns(data, size, { start, end })) {
      const keys = noise === 'content' ? { group } : indices.map(indexOf);
      const draws: Measured[] = [];
      while (draws.length < noiseSamples) {
        const samples = Array.from({ length: together }, (_, k) => draws.length + k);
        const feeds = program.feeds(examples, keys, seed, samples);
        const outputs = await program.run(feeds, size * together).catch((error: unknown) => cannotRun(model, error));
        for (const k of samples.keys()) {
          const found = drawOf(outputs, k, together);
          program.compiled.check(found, count, data.name, examples.start);
          const measured = measuredIn(found, program.compiled, compiled, views, count / group, data.name);
          await rescue.mend(measured, drawOf(feeds, k, together), shapes);
          draws.push({ ...measured, sqNorms: inColumns(measured.sqNorms, program.compiled.names, names, data.name) });
        }
      }
      const { views: seen, ...numbers } = meanOverDraws(draws);
      const ids = await namesIn(data, examples.start, count);
      const more = { ...(views.length === 0 ? {} : { views: seen }), ...defined({ ids }) };
      yield { ...head(given, examples.start), ...numbers, ...more };
    }
  }

  return {
    group,
    modelHash: model.hash,
    seed,
    noiseSamples,
    batch: dividedBatch(batch, group, noiseSamples).most,
    names,
    plan,
    head,
    tables,
    table: async (data, rows = {}, onProgress) => {
      const { start, end } = wholeGroups(data, group, rows);
      const parts: FeatureTable[] = [];
      for await (const part of tables(data, rows)) {
        parts.push(part);
        onProgress?.(part.meta.start + part.nll.length * group - start, end - start);
      }
      return concatTables(parts);
    },
    dispose: async () => {
      await rescue.dispose();
      await programs.dispose();
    },
  };
}

interface Compiled extends RangedGraph, Pick<NormGraph, 'names' | 'sizes' | 'parts'> {}

/** Of a model with free sizes each shape has its own graph. */
const compiler =
  (model: ScoringModel, views: readonly View[], metric?: Metric, activations?: ActivationBasis) =>
  (shapes: Shapes): Compiled => {
    const { nll, parts: split } = splitLoss(modelAt(model, shapes));
    const asked = { radial: views.includes('radial'), fisher: views.includes('fisher') };
    const terms = views.includes('parts') ? split() : undefined;
    if (terms?.length === 0)
      throw new UsageError(`${model.about}: the loss is no sum of terms: there is no view parts`);
    const factored = metric?.factored;
    const { graph, names, sizes, parts } = normGraph(nll, {
      ...asked,
      ...defined({ factored, activations, parts: terms }),
    });
    return { ...withRanges(graph, nll), names, sizes, parts };
  };

/** The first n rows of a run of `found`, with the columns of `wanted`. */
function measuredIn(
  outputs: Outputs,
  found: Compiled,
  wanted: Compiled,
  views: readonly View[],
  n: number,
  data: string,
): Measured {
  const matrix = (output: string, width: number) => Float64Array.from(outputs[output]!.data.subarray(0, n * width));
  const seen = views.map((view) => {
    if (view === 'parts') checkParts(found.parts, wanted.parts, data);
    const { length } = view === 'parts' ? wanted.parts : found.names;
    const values = matrix(view, view === 'activations' ? outputs[view]!.shape.at(-1)! : length);
    for (const [k, v] of values.entries()) if (!Number.isFinite(v)) values[k] = Number.NaN;
    return [view, isNamed(view) ? values : inColumns(values, found.names, wanted.names, data)] as const;
  });
  return { nll: matrix('nll', 1), sqNorms: matrix('sqnorm', found.names.length), views: Object.fromEntries(seen) };
}

/** Says of which model it is that the runtime does not take what was made of it. */
function cannotRun({ about }: ScoringModel, error: unknown): never {
  if (error instanceof FisherError || isOutOfMemory(error)) throw error;
  const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0];
  throw new ModelError(
    `${about}: ONNX Runtime does not run what this model is made into: ${reason}. Please report it, with the model`,
    { cause: error },
  );
}
