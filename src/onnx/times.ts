// The loss of a file in; what it draws for the time of a diffusion out.

import { inputsOf, nameOf, reachable, type Value, type WholeRange } from '../graph/index.ts';
import { sizeOf } from '../tensor/shape.ts';

/** A time that is drawn for every example: a whole number of a range, or a uniform number that picks one. */
export interface DrawnTime {
  /** Of the input that is drawn. */
  readonly name: string;
  readonly range?: WholeRange;
}

/** A name, or the last part of one: `x.noise`, `input_noise`, `eps1`. */
export const called = (words: string): RegExp => new RegExp(`(^|[._/:-]|input)(${words})\\d*(:\\d+)?$`, 'i');

export const TIME: RegExp = called('t|time|times|timestep|timesteps|time_?steps?|step|steps');

/**
 * The one whole number that is drawn and called like a time. Else the one uniform number that a whole number is made of
 * (`randint` in a file), beside noise of the size of the data; which end of a time that is no whole number is the
 * clean one differs from model to model. `choices` are draws that are known to be for something else.
 */
export function drawnTime(loss: Value, choices: ReadonlySet<Value>): DrawnTime | undefined {
  const inputs = inputsOf({ arena: loss.arena, outputs: { loss } });
  const from = (kind: string) => inputs.filter(({ source }) => source.kind === 'input' && source.from === kind);
  const single = (kind: string) => from(kind).filter((v) => sizeOf(v.shape) === 1);
  const whole = single('integer').filter((v) => TIME.test(nameOf(v)));
  if (whole.length > 0) {
    const [{ source }] = whole as [Value];
    const { range } = source as { readonly range: WholeRange };
    return whole.length === 1 ? { name: nameOf(whole[0]!), range } : undefined;
  }
  const sizes = from('data').map(({ shape }) => sizeOf(shape));
  if (!from('normal').some(({ shape }) => sizeOf(shape) > 1 && sizes.includes(sizeOf(shape)))) return undefined;
  const real = single('uniform').filter((v) => !choices.has(v) && becomesWhole(v, loss));
  return real.length === 1 ? { name: nameOf(real[0]!) } : undefined;
}

/** Whether a single whole number is made of this one. */
function becomesWhole(drawn: Value, loss: Value): boolean {
  const made = new Set([drawn]);
  for (const v of reachable([loss])) {
    if (v.source.kind !== 'node' || sizeOf(v.shape) !== 1 || !v.source.inputs.some((x) => made.has(x))) continue;
    if (v.dtype === 'int') return true;
    made.add(v);
  }
  return false;
}
