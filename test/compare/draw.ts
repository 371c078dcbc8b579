// A seed and a name in; random choices out: shapes, attributes, numbers and operands of generated operator
// configurations.

import { NEWEST_OPSET, OLDEST_OPSET } from '../../src/onnx/index.ts';
import { RandomStream } from '../../src/tensor/random.ts';
import { type Shape, sizeOf } from '../../src/tensor/shape.ts';
import { type Element, isFloat, type Operand, type Role } from './configuration.ts';

/** What random numbers are like: where an operator has kinks, poles or ties, and where it is defined at all. */
export type Kind = 'normal' | 'small' | 'halves' | 'positive' | 'unit' | 'above1' | 'infinite' | 'special';

const SPECIAL = [0, -0, 1, -1, Infinity, -Infinity, Number.NaN, 1e-30, -88, 88, 1e30];

export class Draw {
  readonly #stream: RandomStream;
  readonly #buffer = new Float32Array(256);
  readonly #index: number;
  #block = 0;
  #at = 256;

  /** Draw `index` of the family `name` under a seed: the same choices for the same three. */
  constructor(seed: number, name: string, index: number) {
    this.#stream = new RandomStream(seed, name);
    this.#index = index;
  }

  /** Uniform on [0, 1). */
  uniform(): number {
    if (this.#at === 256) {
      this.#stream.uniform(this.#index * 4096 + this.#block++, this.#buffer);
      this.#at = 0;
    }
    return this.#buffer[this.#at++]!;
  }

  /** A whole number from low to high, both included. */
  int(low: number, high: number): number {
    return low + Math.min(high - low, Math.floor(this.uniform() * (high - low + 1)));
  }

  bool(p = 0.5): boolean {
    return this.uniform() < p;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(0, list.length - 1)]!;
  }

  /** Some of a list, in its order. */
  some<T>(list: readonly T[], p = 0.5): T[] {
    return list.filter(() => this.bool(p));
  }

  shuffled<T>(list: readonly T[]): T[] {
    const rest = [...list];
    return list.map(() => rest.splice(this.int(0, rest.length - 1), 1)[0]!);
  }

  list<T>(count: number, one: (i: number) => T): T[] {
    return Array.from({ length: count }, (_, i) => one(i));
  }

  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  shape(least = 0, most = 4, largest = 4): number[] {
    return this.list(this.int(least, most), () => this.int(1, largest));
  }

  /** Often the newest opset, otherwise any since `since` up to `until`. */
  opset(since = OLDEST_OPSET, until = NEWEST_OPSET): number {
    const first = Math.max(OLDEST_OPSET, since);
    return this.bool(0.4) ? until : this.int(first, until);
  }

  /** An axis of so many, counted from either end. */
  axis(rank: number): number {
    return this.bool() ? this.int(0, rank - 1) : this.int(-rank, -1);
  }

  /** Attributes, each there with probability p. */
  attrs<T>(all: Readonly<Record<string, T>>, p = 0.6): Record<string, T> {
    return Object.fromEntries(this.some(Object.entries(all), p));
  }

  number(kind: Kind, element: Element): number {
    if (element === 'bool') return this.int(0, 1);
    if (!isFloat(element)) {
      const low = element.startsWith('u') ? 0 : kind === 'positive' || kind === 'above1' ? 1 : -4;
      return this.int(Math.max(low, kind === 'positive' || kind === 'above1' ? 1 : low), 5);
    }
    switch (kind) {
      case 'small':
        return this.int(-2, 2);
      case 'halves':
        return this.int(-6, 6) / 2;
      case 'positive':
        return Math.exp(this.normal() / 2) + 0.2;
      case 'unit':
        return 1.8 * this.uniform() - 0.9;
      case 'above1':
        return 1.05 + 3 * this.uniform();
      case 'infinite':
        return this.bool(0.15) ? this.pick([Infinity, -Infinity]) : this.normal();
      case 'special':
        return this.bool(0.3) ? this.pick(SPECIAL) : this.normal();
      case 'normal':
        return this.normal();
    }
  }

  /** An operand of random numbers; without a role given it is an input, a weight or (whole numbers) a constant. */
  tensor(
    shape: Shape,
    options: { readonly kind?: Kind; readonly element?: Element; readonly role?: Role } = {},
  ): Operand {
    const { kind = 'normal', element = 'float' } = options;
    // Inputs are cast from int64, of which uint64 is refused: it may be negative.
    const role = this.#role(shape, 0.65, element === 'uint64' ? 'weight' : options.role);
    // Weights are finite: others are refused.
    const drawn = role === 'weight' && (kind === 'special' || kind === 'infinite') ? 'normal' : kind;
    const numbers = () => this.list(sizeOf(shape), () => round(this.number(drawn, element), element));
    const first = numbers();
    return { shape, element, role, examples: role === 'input' ? [first, numbers()] : [first, first] };
  }

  /** Whole numbers from low to high, both included. */
  indices(shape: Shape, low: number, high: number, options: { element?: Element; role?: Role } = {}): Operand {
    const { element = 'int64' } = options;
    const role = this.#role(shape, 0.5, options.role);
    const numbers = () => this.list(sizeOf(shape), () => this.int(low, high));
    const first = numbers();
    return { shape, element, role, examples: role === 'input' ? [first, numbers()] : [first, first] };
  }

  /** What has no elements cannot vary with the example. */
  #role(shape: Shape, p: number, wanted: Role | undefined): Role {
    const drawn = this.bool(p) ? 'input' : 'weight';
    return sizeOf(shape) === 0 ? 'weight' : (wanted ?? drawn);
  }

  /** Given numbers, a constant of the model. */
  fixed(data: readonly number[], shape: Shape = [data.length], element: Element = 'int64'): Operand {
    return { shape, element, role: 'weight', examples: [data, data] };
  }
}

/** As the type holds it, so that both sides start from the same numbers. */
function round(x: number, element: Element): number {
  if (element === 'float' || element === 'double') return Math.fround(x);
  // Eight bits of fraction are in every floating-point type there is; what overflows float16 is infinite at once.
  if (element === 'float16' || element === 'bfloat16') {
    if (!Number.isFinite(x) || x === 0) return x;
    if (Math.abs(x) > 6e4) return Math.sign(x) * Infinity;
    const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 7);
    return Math.abs(x) < 2 ** -14 ? 0 : Math.round(x / unit) * unit;
  }
  return x;
}
