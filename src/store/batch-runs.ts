// What is said of an ONNX file that was run with batches of examples, and what comparing such runs takes.

import type { Runtime } from '../engine/index.ts';
import { FisherError } from '../errors.ts';
import type { Axes, FileModel, Sizes } from '../onnx/index.ts';
import type { OnnxOptions } from './onnx.ts';

/** What one run of a file gives for a batch. */
export interface BatchLoss {
  /**
   * 'each': a loss for every example. 'mean', 'sum': one number for a batch, made of its examples' losses. 'unknown':
   * not to be found out.
   */
  readonly loss: 'each' | 'mean' | 'sum' | 'unknown';
  /**
   * What people should know of it: that one number is taken of every example alone, or why nothing could be found out.
   */
  readonly note?: string;
}

/** What is found out and kept. */
export interface FoundLoss extends BatchLoss {
  /** Of a file that is made for several examples: whether it gives the same for one alone. */
  readonly alone?: boolean;
}

export interface BatchOptions {
  /** Runs the file, and keeps what was found out. */
  readonly runtime: Runtime;
  readonly threads?: number | undefined;
}

export interface Comparable {
  /** Its name, for messages. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** What the runtime opens: the bytes, or a path where there are data beside it. */
  readonly source: Uint8Array | string;
  /** Whether the file has data beside it. */
  readonly external: boolean;
  readonly file: FileModel;
  readonly options: OnnxOptions;
  readonly axes: Axes;
  /** Sizes that the file leaves open: any at which it runs. */
  readonly sizes: Sizes;
  /** The batch that the file is read for: 1, or the one that it is made for. */
  readonly copies: number;
  /** Where the output is one number for that batch: how it is made of those of the examples. */
  readonly total?: 'sum' | 'mean';
  /** Whole numbers that inputs must be for the places they name to be there. */
  readonly ranges: Readonly<Record<string, readonly [number, number]>>;
  /** Outputs that the loss is made of. */
  readonly outputs: readonly string[];
  /** Elements of the largest value, and of all of them. */
  readonly largest: number;
  readonly elements: number;
}

/** Elements of a value, and of all of them, beyond which a file is not run for this. */
export const TOO_LARGE = [2 ** 26, 2 ** 32] as const;

export const unknown = (reason: string): BatchLoss => ({
  loss: 'unknown',
  note: `whether examples of a batch interact was not found out: ${reason}`,
});

export async function both<T>(...work: Promise<T>[]): Promise<T[] | Error> {
  const settled = await Promise.allSettled(work);
  const failed = settled.find((s) => s.status === 'rejected');
  if (!failed) return settled.map((s) => (s as PromiseFulfilledResult<T>).value);
  return failed.reason instanceof Error ? failed.reason : new FisherError(String(failed.reason));
}

/**
 * The rows of one run are computed alike whatever stands in the others, so they agree to the last digits; runs of other
 * sizes are rounded otherwise.
 */
export const [SAME_SIZE, OTHER_SIZE] = [1e-5, 1e-3];

export const ADVICE =
  '; norms are of single examples: export the model in evaluation mode, with a loss for every example and nothing computed over the batch';

export const short = (v: number) => String(Number(v.toPrecision(6)));

/** Where two lists differ most, if it is by more than `allowed`; else −1. */
export function furthest(x: ArrayLike<number>, y: ArrayLike<number>, allowed: number): number {
  let [at, most] = [-1, allowed];
  for (let i = 0; i < x.length; i++) {
    const error = Math.abs(x[i]! - y[i]!);
    if (error > most) [at, most] = [i, error];
  }
  return at;
}

export const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
