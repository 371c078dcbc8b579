// An ONNX file that is made for batches of k examples, run with k of them: whether an example's loss depends on the
// others, or on its place.

import type { FileSession, NumberTensor } from '../engine/index.ts';
import { ModelError } from '../errors.ts';
import { drawsNumbers, withOpenBatch } from '../onnx/index.ts';
import { type MadeInput, makeInputs, VARIANTS } from './batch-inputs.ts';
import {
  ADVICE,
  type BatchLoss,
  type BatchOptions,
  both,
  type Comparable,
  furthest,
  OTHER_SIZE,
  reasonOf,
  SAME_SIZE,
  short,
  TOO_LARGE,
  unknown,
} from './batch-runs.ts';

const noteOf = (k: number) =>
  `the file is made for batches of ${k} and is taken at ${k}: every example beside ${k - 1} of itself; exported with a batch that is left open it is about ${k} times as fast`;

/** Throws a ModelError that names the output in which examples interact, or in which their places matter. */
export async function compareFixed(
  model: Comparable,
  inputs: readonly MadeInput[],
  session: FileSession,
): Promise<BatchLoss> {
  const k = model.copies;
  const rest = (from: number) => Array.from({ length: k - 2 }, (_, i) => from + i);
  const [a, b, c, d] = [0, 1, 2, 3];
  const batches = {
    ab: [a, b, ...rest(10)],
    ba: [b, a, ...rest(10)],
    ad: [a, d, ...rest(10)],
    cb: [c, b, ...rest(10)],
    cd: [c, d, ...rest(10)],
    others: [a, b, ...rest(10 + k)],
  };
  let why = '';
  for (let variant = 0; variant < VARIANTS; variant++) {
    const run = (examples: readonly number[]) =>
      session.run(Object.fromEntries(inputs.map((v) => [v.name, v.batch(examples, variant)])), model.outputs);
    const found = await both(...Object.values(batches).map(run));
    if (found instanceof Error) {
      why = `ONNX Runtime does not run the file: ${reasonOf(found)}`;
      continue;
    }
    if (!found.every((outputs) => Object.values(outputs).every((t) => t.data.every(Number.isFinite)))) {
      why = 'inputs made at random give no finite numbers';
      continue;
    }
    for (const name of model.outputs) {
      const [ab, ba, ad, cb, cd, others] = found.map((outputs) => outputs[name]!) as [
        NumberTensor,
        NumberTensor,
        NumberTensor,
        NumberTensor,
        NumberTensor,
        NumberTensor,
      ];
      checkOutput(model.path, name, k, { ab, ba, ad, cb, cd, others });
    }
    return { loss: model.total ?? 'each', note: noteOf(k) };
  }
  return unknown(why);
}

type Runs = Readonly<Record<'ab' | 'ba' | 'ad' | 'cb' | 'cd' | 'others', NumberTensor>>;

function checkOutput(path: string, name: string, k: number, runs: Runs): void {
  const { ab, ba, ad, cb, cd, others } = runs;
  const scale = Math.max(
    1e-30,
    ...Object.values(runs).map((t) => t.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0)),
  );
  const differ = (x: ArrayLike<number>, y: ArrayLike<number>) => furthest(x, y, SAME_SIZE * scale);
  if (ab.data.length % k === 0 && (ab.shape[0] === k || ab.data.length === k)) {
    const row = (t: NumberTensor, i: number) => t.data.subarray((i * t.data.length) / k, ((i + 1) * t.data.length) / k);
    const tests = [
      [row(ab, 0), row(ad, 0), 'depends on the others in its batch'],
      [row(ab, 0), row(others, 0), 'depends on the others in its batch'],
      [row(ab, 1), row(cb, 1), 'depends on the others in its batch'],
      [row(ab, 0), row(ba, 1), 'depends on its place in the batch'],
      [row(ab, 1), row(ba, 0), 'depends on its place in the batch'],
    ] as const;
    for (const [x, y, what] of tests) {
      const at = differ(x, y);
      if (at >= 0) throw refused(path, name, `of an example ${what}: ${short(x[at]!)} and ${short(y[at]!)}`);
    }
    return;
  }
  const [lab, lba, lad, lcb, lcd] = [ab, ba, ad, cb, cd].map((t) => t.data[0]!) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (Math.abs(lab - lba) > SAME_SIZE * scale)
    throw refused(path, name, `depends on the order of the examples: ${short(lab)} and ${short(lba)}`);
  if (Math.abs(lab + lcd - lad - lcb) > 10 * SAME_SIZE * scale)
    throw refused(
      path,
      name,
      `of a batch is neither the mean nor the sum of its examples': examples of a batch interact`,
    );
}

const refused = (path: string, name: string, what: string) =>
  new ModelError(`${path}: output '${name}' ${what}${ADVICE}`);

/**
 * Whether a file made for k examples gives for one alone what it gives for it beside copies of itself, in batches of
 * other sizes too, so that it may be taken of single ones. `total`: how the file, as far as it tells, makes one number
 * of the examples'. Where it cannot be found out it is not so.
 */
export async function sameAlone(
  model: Comparable,
  k: number,
  total: 'sum' | 'mean' | undefined,
  { runtime, threads }: BatchOptions,
): Promise<boolean> {
  const large = model.largest > TOO_LARGE[0] || model.elements > TOO_LARGE[1];
  if (large || model.external || drawsNumbers(model.file)) return false;
  const inputs = makeInputs(model);
  const session = await runtime.openFile(withOpenBatch(model.bytes), { threads }).catch(() => undefined);
  if (!session) return false;
  const counts = [1, 2, k, k + 1];
  try {
    for (let variant = 0; variant < VARIANTS; variant++) {
      const run = (count: number) =>
        session.run(
          Object.fromEntries(inputs.map((v) => [v.name, v.batch(new Array<number>(count).fill(0), variant)])),
          model.outputs,
        );
      const found = await both(...counts.map(run));
      if (found instanceof Error) return false;
      if (!found.every((outputs) => Object.values(outputs).every((t) => t.data.every(Number.isFinite)))) continue;
      return model.outputs.every((name) => {
        const [one, ...more] = found.map((outputs) => outputs[name]!) as [NumberTensor, ...NumberTensor[]];
        return agree(one, more, counts.slice(1), total);
      });
    }
    return false;
  } finally {
    await session.dispose();
  }
}

function agree(
  one: NumberTensor,
  more: readonly NumberTensor[],
  counts: readonly number[],
  total: 'sum' | 'mean' | undefined,
): boolean {
  const scale = Math.max(1e-30, ...one.data.map(Math.abs));
  const near = (x: number, y: number, of = 1) => Math.abs(x - y) <= OTHER_SIZE * of * scale;
  if (more.every((many, i) => many.data.length === counts[i]! * one.data.length)) {
    return more.every((many, i) => {
      const axis = one.shape.length === many.shape.length ? many.shape.findIndex((d, a) => d !== one.shape[a]) : 0;
      const inner = one.data.length / many.shape.slice(0, axis).reduce((p, d) => p * d, 1);
      return many.data.every((y, at) =>
        near(one.data[Math.floor(at / (counts[i]! * inner)) * inner + (at % inner)]!, y),
      );
    });
  }
  if (one.data.length !== 1 || more.some((many) => many.data.length !== 1)) return false;
  const x = one.data[0]!;
  if (more.every((many) => near(x, many.data[0]!))) return true; // a mean, whatever the number
  // A sum of losses, or a mean that divides by a number of the file's own: the nodes tell.
  return total === 'sum' && more.every((many, i) => near(counts[i]! * x, many.data[0]!, counts[i]!));
}
