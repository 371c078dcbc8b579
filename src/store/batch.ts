// An ONNX file run with two examples and with each alone: whether the loss of an example depends on the others in its
// batch. Norms are of single examples, so a file in which examples interact has none.

import type { FileSession, NumberTensor } from '../engine/index.ts';
import { ModelError } from '../errors.ts';
import { drawsNumbers, withOpenBatch } from '../onnx/index.ts';
import { shapeText } from '../tensor/shape.ts';
import { compareFixed, sameAlone } from './batch-fixed.ts';
import { type MadeInput, makeInputs, VARIANTS } from './batch-inputs.ts';
import {
  ADVICE,
  type BatchLoss,
  type BatchOptions,
  both,
  type Comparable,
  type FoundLoss,
  furthest,
  OTHER_SIZE,
  reasonOf,
  SAME_SIZE,
  short,
  TOO_LARGE,
  unknown,
} from './batch-runs.ts';

/**
 * Throws ModelError that names the output in which examples interact. What was found out is kept, so that this is done
 * once for a file. `single`: of a file that is read for the batch that it is made for, the same read for one example,
 * where that goes.
 */
export async function batchLoss(
  model: Comparable,
  single: () => Comparable | undefined,
  hash: string,
  options: BatchOptions,
): Promise<FoundLoss> {
  const { findings } = options.runtime;
  const key = `batches, version 2, of ${hash}`;
  const kept = await findings?.read(key);
  if (kept !== undefined) return JSON.parse(kept) as FoundLoss;
  const other = model.copies > 1 ? single() : undefined;
  const alone = other !== undefined && (await sameAlone(other, model.copies, model.total, options));
  const compared = await compare(alone ? other : model, options);
  const found: FoundLoss = alone ? { ...compared, alone } : compared;
  await findings?.write(key, JSON.stringify(found));
  return found;
}

const ONE_BY_ONE = 'the file takes one example at a time';

async function compare(model: Comparable, options: BatchOptions): Promise<BatchLoss> {
  const inputs = makeInputs(model);
  const { batch } = model.axes;
  if (batch === 1) return { loss: 'each', note: ONE_BY_ONE };
  if (drawsNumbers(model.file)) return unknown('the file draws random numbers, which are others in every run');
  if (model.largest > TOO_LARGE[0] || model.elements > TOO_LARGE[1]) {
    return unknown('the model is too large to be run for it');
  }
  if (batch !== undefined && model.external && model.copies === 1)
    return unknown(`the file takes batches of ${batch} and has data beside it`);
  let session: FileSession;
  try {
    const open = batch !== undefined && model.copies === 1;
    const source = open ? withOpenBatch(model.bytes) : model.source;
    session = await options.runtime.openFile(source, { threads: options.threads });
  } catch (error) {
    return unknown(`ONNX Runtime does not open the file: ${reasonOf(error)}`);
  }
  try {
    return model.copies > 1
      ? await compareFixed(model, inputs, session)
      : await compareRuns(model, inputs, session, batch);
  } finally {
    await session.dispose();
  }
}

/** The runs that are compared: two examples alone, and beside each other and others. */
interface Runs {
  readonly a: NumberTensor;
  readonly b: NumberTensor;
  readonly ab: NumberTensor;
  readonly ad: NumberTensor;
  readonly cb: NumberTensor;
  readonly cd: NumberTensor;
}

async function compareRuns(
  model: Comparable,
  inputs: readonly MadeInput[],
  session: FileSession,
  batch: number | undefined,
): Promise<BatchLoss> {
  const [a, b, c, d] = [0, 1, 2, 3];
  let why = '';
  let last: readonly Kind[] | undefined;
  for (let variant = 0; variant < VARIANTS; variant++) {
    const run = (...examples: number[]) =>
      session.run(Object.fromEntries(inputs.map((v) => [v.name, v.batch(examples, variant)])), model.outputs);
    const alone = await both(run(a!), run(b!));
    if (alone instanceof Error) {
      if (batch !== undefined) throw fixed(model, batch, alone);
      why = `ONNX Runtime does not run the file: ${reasonOf(alone)}`;
      continue;
    }
    const pairs = await both(run(a!, b!), run(a!, d!), run(c!, b!), run(c!, d!));
    if (pairs instanceof Error) {
      if (batch !== undefined) throw fixed(model, batch, pairs);
      return unknown(`the file does not run with two examples: ${reasonOf(pairs)}`);
    }
    const finite = [...alone, ...pairs].every((found) =>
      Object.values(found).every((t) => t.data.every(Number.isFinite)),
    );
    if (!finite) {
      why = 'inputs made at random give no finite numbers';
      continue;
    }
    const kinds = model.outputs.map((name) => {
      const of = (found: Record<string, NumberTensor>) => found[name]!;
      const [ra, rb, ab, ad, cb, cd] = [...alone, ...pairs].map(of) as [
        Runs['a'],
        Runs['b'],
        Runs['ab'],
        Runs['ad'],
        Runs['cb'],
        Runs['cd'],
      ];
      return kindOf(model.path, name, { a: ra, b: rb, ab, ad, cb, cd });
    });
    last = kinds;
    if (kinds.some((kind) => kind !== 'same')) break; // where nothing depends on these inputs, others may tell more
  }
  return last ? summary(model.outputs, last) : unknown(why);
}

/** A file whose constants have the size of its batch gives something else for a batch of one. */
const fixed = ({ path }: Comparable, batch: number, error: Error) =>
  new ModelError(
    `${path}: is made for batches of ${batch} and cannot be taken of single examples (ONNX Runtime: ${reasonOf(error)}); export it with a batch of one, or one that is left open`,
  );

function summary(outputs: readonly string[], kinds: readonly Kind[]): BatchLoss {
  if (kinds.includes('first')) return { loss: 'each', note: `${ONE_BY_ONE}: of a batch it takes the first` };
  const at = kinds.findIndex((kind) => kind === 'mean' || kind === 'sum');
  if (at < 0) return { loss: 'each' };
  const kind = kinds[at] as 'mean' | 'sum';
  return {
    loss: kind,
    note: `output '${outputs[at]}' is the ${kind} of a batch; it is taken of every example alone`,
  };
}

/**
 * 'same': it depends neither on the examples nor on how many there are. 'first': of a batch it is what the first
 * example gives.
 */
type Kind = 'each' | 'mean' | 'sum' | 'same' | 'first';

function kindOf(path: string, name: string, runs: Runs): Kind {
  const { a, b, ab, ad, cb, cd } = runs;
  const scale = Math.max(
    1e-30,
    ...[a, b, ab, ad, cb, cd].map((t) => t.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0)),
  );
  const differ = (x: ArrayLike<number>, y: ArrayLike<number>, by: number) => furthest(x, y, by * scale);
  const [alone, pair] = [a.data.length, ab.data.length];
  if (pair === 2 * alone) {
    const [first, second] = [rowsOf(a, ab, 0), rowsOf(a, ab, 1)];
    const tests = [
      [a.data, first, OTHER_SIZE],
      [b.data, second, OTHER_SIZE],
      [rowsOf(a, ad, 0), first, SAME_SIZE],
      [rowsOf(a, cb, 1), second, SAME_SIZE],
    ] as const;
    for (const [x, y, by] of tests) {
      const at = differ(x, y, by);
      if (at >= 0)
        throw interaction(
          path,
          name,
          by === OTHER_SIZE ? 'alone' : 'beside one example',
          x[at]!,
          by === OTHER_SIZE ? 'beside another' : 'beside another one',
          y[at]!,
        );
    }
    return differ(a.data, b.data, SAME_SIZE) < 0 ? 'same' : 'each';
  }
  if (pair !== alone)
    throw new ModelError(
      `${path}: output '${name}' is ${shapeText(a.shape)} for one example and ${shapeText(ab.shape)} for two: examples of a batch interact${ADVICE}`,
    );
  if ([b, ab, cd].every((t) => differ(a.data, t.data, SAME_SIZE) < 0)) return 'same';
  const firstAlone = differ(a.data, ab.data, OTHER_SIZE) < 0 && differ(ab.data, ad.data, SAME_SIZE) < 0;
  // shapes of one example are constants in the file
  if (firstAlone && differ(cb.data, cd.data, SAME_SIZE) < 0) return 'first';
  const [la, lb, lab, lad, lcb, lcd] = [a, b, ab, ad, cb, cd].map((t) => t.data[0]!) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const near = (x: number, y: number, by: number) => Math.abs(x - y) <= by * scale;
  if (alone === 1 && near(lab + lcd, lad + lcb, 1e-4)) {
    const [mean, sum] = [(la + lb) / 2, la + lb];
    if (near(lab, mean, OTHER_SIZE) && Math.abs(lab - mean) <= Math.abs(lab - sum)) return 'mean';
    if (near(lab, sum, OTHER_SIZE)) return 'sum';
  }
  const found =
    alone === 1
      ? `${short(la)} and ${short(lb)} alone, ${short(lab)} together`
      : `${shapeText(ab.shape)} for one example and for two`;
  throw new ModelError(
    `${path}: output '${name}' of a batch is neither the mean nor the sum of its examples' (${found}): examples of a batch interact${ADVICE}`,
  );
}

const interaction = (path: string, name: string, where: string, x: number, other: string, y: number) =>
  new ModelError(
    `${path}: output '${name}' of an example depends on the others in its batch: ${short(x)} ${where}, ${short(y)} ${other}${ADVICE}`,
  );

/** The part of a batch of two that belongs to one of them, along whichever axis is twice as long as for one. */
function rowsOf(one: NumberTensor, two: NumberTensor, example: number): Float64Array {
  const axis = one.shape.length === two.shape.length ? two.shape.findIndex((d, k) => d !== one.shape[k]) : 0;
  const outer = two.shape.slice(0, axis).reduce((p, d) => p * d, 1);
  const inner = one.data.length / outer;
  const out = new Float64Array(one.data.length);
  for (let o = 0; o < outer; o++)
    out.set(two.data.subarray((2 * o + example) * inner, (2 * o + example + 1) * inner), o * inner);
  return out;
}
