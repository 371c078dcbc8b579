// How much memory a run takes, from static shapes: what chooses the batch size.

import { ModelError } from '../errors.ts';
import { type Graph, reachable, type Value } from '../graph/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import { isSeparable, makePlan, operandsOf, type Plan, type PlanChoice } from './norm-plan.ts';

export interface MemoryEstimate {
  /** Bytes for each example of a batch, at the moment when most values are alive. */
  readonly perExample: number;
  /** Bytes for each example that the largest step reads and makes. */
  readonly largestStep: number;
  /** Bytes of the parameters and constants. */
  readonly fixed: number;
}

/**
 * What the runtime takes beyond the values themselves, measured over eight models: gaps in its arena, copies in its
 * blocked layout (`test/features/memory.test.ts` holds the estimate to a factor of 1.5).
 */
const overhead = 1.5;

/** Walks the values in the order in which the runtime makes them; each lives until its last reader is done. */
export function estimateMemory(graph: Graph, group = 1, choice: PlanChoice = 'auto'): MemoryEstimate {
  const plan = makePlan(graph, group, choice);
  const readsOf = (v: Value) => operandsOf(v, plan);
  const outputs = Object.values(graph.outputs);
  const order = executionOrder(outputs, readsOf);
  const lastRead = new Map<Value, number>();
  order.forEach((v, at) => {
    for (const x of readsOf(v)) lastRead.set(x, at);
  });
  for (const output of outputs) lastRead.set(output, order.length);

  const share = (v: Value) => (v.lead === 'none' ? 0 : (4 * sizeOf(v.shape)) / (v.lead === 'group' ? group : 1));
  let alive = 0;
  let peak = 0;
  let largestStep = 0;
  order.forEach((v, at) => {
    const reads = [...new Set(readsOf(v))];
    const extra = scratch(plan, v, group);
    alive += share(v);
    peak = Math.max(peak, alive + extra);
    largestStep = Math.max(largestStep, share(v) + extra + reads.reduce((sum, x) => sum + share(x), 0));
    for (const x of reads) if (lastRead.get(x) === at) alive -= share(x);
  });

  const constant = reachable(outputs).filter((v) => v.lead === 'none' && v.source.kind !== 'node');
  return { perExample: overhead * peak, largestStep, fixed: constant.reduce((sum, v) => sum + 4 * sizeOf(v.shape), 0) };
}

/**
 * Bytes that exist besides the operands for each example, while v is made: the factors of a contraction, and their
 * product or Gram matrices.
 */
function scratch(plan: Plan, v: Value, group: number): number {
  const norm = plan.norms.get(v);
  const c = (norm ?? plan.sums.get(v))?.contraction;
  if (!c) return 0;
  const { count, p, i, o } = c;
  // squares of both, and what the matrix product makes
  if (norm && isSeparable(norm, group)) return 4 * 2 * (i + 2 * o);
  const products = norm?.kind === 'mixed' ? 3 : 1; // itself, and mixed along one side, and along both
  if (!norm?.gram) return 4 * count * (p * (i + o) + (products * i * o) / group);
  const matrices = 3 * p * p * group; // both, and their product
  if (!c.gram?.from) return 4 * count * (p * (i + o) + matrices);
  return 4 * (c.gram.from.reduce((sum, x) => sum + sizeOf(x.shape), 0) + matrices);
}

/** ONNX Runtime's: depth first from the outputs, what was made last first. */
function executionOrder(outputs: readonly Value[], readsOf: (v: Value) => readonly Value[]): Value[] {
  const order: Value[] = [];
  const seen = new Set<Value>();
  const stack = [...outputs].sort((a, b) => a.id - b.id).map((v) => ({ v, done: false }));
  for (let top = stack.pop(); top; top = stack.pop()) {
    if (top.done) order.push(top.v);
    else if (!seen.has(top.v)) {
      seen.add(top.v);
      stack.push({ v: top.v, done: true });
      for (const v of readsOf(top.v).toSorted((a, b) => a.id - b.id)) if (!seen.has(v)) stack.push({ v, done: false });
    }
  }
  return order;
}

/** What a batch may take where the user sets no limit: 1 GiB. */
const defaultMemory = 2 ** 30;

/**
 * The largest multiple of `group` up to `most` that fits into `limit` bytes. Throws a ModelError where not a single
 * group does and the limit was asked for; without one, a group is what is taken.
 */
export function chooseBatch(
  estimate: Pick<MemoryEstimate, 'perExample' | 'fixed'>,
  group: number,
  limit?: number,
  most = 64,
): number {
  if (limit !== undefined && !(limit > 0))
    throw new ModelError(`the memory limit is ${limit} bytes, expected more than 0`);
  const room = (limit ?? defaultMemory) - estimate.fixed;
  const groups = Math.floor(Math.min(most, room / estimate.perExample) / group);
  if (groups < 1 && limit !== undefined && estimate.perExample * group > room) {
    const needed = estimate.fixed + group * estimate.perExample;
    throw new ModelError(
      `a batch of ${group} takes about ${Math.ceil(needed / 1e6)} MB, the limit is ${Math.floor(limit / 1e6)} MB`,
    );
  }
  return Math.max(1, groups) * group;
}

/** Bytes that the largest step of a part may touch: twice the cache that a core has for itself. */
const NEAR = 4e6;

/**
 * Examples of a batch that are run together: as many as stay near the cores, a power of two of groups; but so many that
 * reading the weights, which every run does anew, is not most of the work. By the graph alone, since the last bits of a
 * product may follow from how many rows it has.
 */
export function choosePart({ perExample, largestStep, fixed }: MemoryEstimate, group: number): number {
  const groups = (bytes: number, each: number) => bytes / (Math.max(1, each) * group);
  const near = 2 ** Math.floor(Math.log2(groups(NEAR, largestStep)));
  const worth = 2 ** Math.ceil(Math.log2(groups(fixed, perExample)));
  return group * Math.max(1, near, worth);
}
