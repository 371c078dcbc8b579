// What a format of the fuzzer is, everything random about one file, and what all readers are held to.

import type { Dataset } from '../../src/data/dataset.ts';
import { threefry2x32 } from '../../src/tensor/random.ts';
import { sizeOf } from '../../src/tensor/shape.ts';

/** A valid file, with a second one beside it where the format has that. */
export interface Sample {
  readonly bytes: Uint8Array;
  readonly beside?: Uint8Array;
}

/** A file, made at a path: the name of what lies beside it is the format's own business. */
export interface Damaged extends Sample {
  readonly path: string;
}

export interface Format {
  readonly extension: string;
  samples(): Promise<Sample[]> | Sample[];
  /** Damage below the container: lengths and checksums around it are right again. */
  inside?(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array;
  /** Reads the file and checks what it holds; gives the content as text if that is protected by checksums. */
  read(file: Damaged): Promise<string | undefined>;
  /** What is no file of its own is refused without the name of one. */
  readonly nameless?: boolean;
  /** Almost any bytes are a sound file of this format. */
  readonly tolerant?: boolean;
}

/** Everything random about one file. */
export class Dice {
  readonly #key: number;
  readonly #out = new Uint32Array(2);
  #count = 0;

  constructor(key: number) {
    this.#key = key;
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    threefry2x32(this.#key, 0, this.#count++, 0, this.#out);
    return Math.floor((this.#out[0]! / 2 ** 32) * n);
  }

  chance(p: number): boolean {
    return this.below(1e6) < p * 1e6;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

export function check(holds: boolean, text: string): asserts holds {
  if (!holds) throw new Error(`accepted, but ${text}`);
}

export const isSize = (d: number) => Number.isSafeInteger(d) && d >= 0;

export async function checkData(data: Dataset): Promise<void> {
  check(isSize(data.length) && data.length > 0, `has ${data.length} examples`);
  let n = 0;
  for await (const batch of data.batches(3)) {
    check(batch.start === n, `a batch starts at ${batch.start}, expected ${n}`);
    n += batch.n;
    for (const [name, shape] of Object.entries(data.shapes)) {
      const array = batch.arrays[name];
      check(array !== undefined && array.shape.join() === [batch.n, ...shape].join(), `'${name}' is [${array?.shape}]`);
      check(array.data.length === sizeOf(array.shape), `'${name}' has ${array.data.length} values`);
      const numbers = Array.from<number | bigint, number>(array.data, Number);
      check(numbers.every(Number.isFinite), `'${name}' has a value that is not finite`);
    }
  }
  check(n === data.length, `${n} examples came, expected ${data.length}`);
}

/** Text of any content, numbers exact. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => {
    if (typeof v === 'bigint') return `${v}n`;
    return ArrayBuffer.isView(v) ? Array.from(v as Float64Array, (x) => `${Object.is(x, -0) ? '-0' : x}`).join() : v;
  });
}

/** Numbers and pixels for valid files. */
export const noise = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(37 * i + n) / 2);
export const pixels = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * i * 31) % 251);
