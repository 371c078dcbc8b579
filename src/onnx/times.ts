// The loss of a file in; what it draws for the time of a diffusion, and which end of it is the clean one, out.

import { GraphError } from '../errors.ts';
import { type Bindings, inputsOf, interpret, nameOf, reachable, type Value, type WholeRange } from '../graph/index.ts';
import { sizeOf } from '../tensor/shape.ts';

/** A time that is drawn for every example: a whole number of a range, or a real one of [0, 1). */
export interface DrawnTime {
  /** Of the input that is drawn. */
  readonly name: string;
  readonly range?: WholeRange;
  /** Where there is the least noise. */
  readonly clean: 'low' | 'high';
}

/** A name, or the last part of one: `x.noise`, `input_noise`, `eps1`. */
export const called = (words: string): RegExp => new RegExp(`(^|[._/:-]|input)(${words})\\d*(:\\d+)?$`, 'i');

export const TIME: RegExp = called('t|time|times|timestep|timesteps|time_?steps?|step|steps');

/**
 * The one number that is drawn by itself, and that decides how much of the noise the network sees; a whole number that
 * is called like a time also where that cannot be found out. `choices` are draws that are known to be for something
 * else.
 */
export function drawnTime(loss: Value, choices: ReadonlySet<Value>): DrawnTime | undefined {
  const single = inputsOf({ arena: loss.arena, outputs: { loss } }).filter((v) => sizeOf(v.shape) === 1);
  const times = single.flatMap((v): DrawnTime[] => {
    if (v.source.kind !== 'input' || choices.has(v)) return [];
    const { name, from, range } = v.source;
    if (from !== 'uniform' && range === undefined) return [];
    const found = cleanEnd(v, loss, range ?? [0.001, 0.999]);
    const clean = found ?? (range && TIME.test(name) ? 'low' : undefined);
    return clean === undefined ? [] : [{ name, clean, ...(range ? { range } : {}) }];
  });
  return times.length === 1 ? times[0] : undefined;
}

/** Numbers that are computed at most to find it out. */
const MOST_WORK = 2 ** 22;

/**
 * The end at which what the network sees depends less than half as much on the noise as at the other. It sees the
 * values without parameters that meet one; of two draws of the noise they are compared.
 */
function cleanEnd(time: Value, loss: Value, ends: readonly [number, number]): DrawnTime['clean'] | undefined {
  const seen = seenByNetwork(loss);
  const needed = reachable(seen);
  const work = needed.reduce((sum, v) => sum + sizeOf(v.shape), 0);
  const isOdd = (v: Value) => v.source.kind === 'input' && v.source.from === 'data' && v.dtype !== 'float';
  if (!needed.includes(time) || work > MOST_WORK || needed.some(isOdd)) return undefined;
  const graph = { arena: loss.arena, outputs: Object.fromEntries(seen.map((v, k) => [`${k}`, v])) };
  const bindings = (t: number, draw: number): Bindings =>
    Object.fromEntries(inputsOf(graph).map((v) => [nameOf(v), v === time ? [t] : madeUp(v, draw)]));
  try {
    const [low, high] = ends.map((t) => {
      const [one, other] = [interpret(graph, bindings(t, 1)), interpret(graph, bindings(t, 2))];
      return Object.keys(one).reduce((sum, key) => sum + distance(one[key]!.data, other[key]!.data), 0);
    }) as [number, number];
    return low < high / 2 ? 'low' : high < low / 2 ? 'high' : undefined;
  } catch (error) {
    if (error instanceof GraphError) return undefined; // made-up numbers are not what it takes
    throw error;
  }
}

function seenByNetwork(loss: Value): readonly Value[] {
  const [learned, noisy, seen] = [new Set<Value>(), new Set<Value>(), new Set<Value>()];
  for (const v of reachable([loss])) {
    const { source } = v;
    if (source.kind === 'param') learned.add(v);
    if (source.kind === 'input' && source.from === 'normal') noisy.add(v);
    if (source.kind !== 'node') continue;
    if (source.inputs.some((x) => learned.has(x))) learned.add(v);
    if (source.inputs.some((x) => noisy.has(x))) noisy.add(v);
    if (!source.inputs.some((x) => learned.has(x) && x.lead === 'none')) continue;
    for (const x of source.inputs) if (noisy.has(x) && !learned.has(x)) seen.add(x);
  }
  return [...seen];
}

/** Numbers for an input: of noise other ones for each draw, of what else is drawn those in the middle. */
function madeUp({ source, shape }: Value, draw: number): Float64Array {
  const from = source.kind === 'input' ? source.from : 'data';
  const range = source.kind === 'input' ? source.range : undefined;
  const wave = (k: number, phase: number) => 1.4 * Math.sin(12.9898 * (k + 1) + phase);
  return Float64Array.from({ length: sizeOf(shape) }, (_, k) => {
    if (from === 'normal') return wave(k, 2.1 * draw);
    return from === 'uniform' ? 0.5 : (range?.[0] ?? wave(k, 1));
  });
}

const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.sqrt(Array.from(a).reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0));
