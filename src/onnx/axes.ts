// What a file declares of its inputs' sizes in; which axis is the batch, which sizes are free, and the inputs' shapes
// for one example out.

import { ModelError, optionFor, UsageError } from '../errors.ts';
import { type Shape, shapeText } from '../tensor/shape.ts';
import type { FileInput, FileModel } from './file.ts';
import { freeSize, parseSize, type SizeExpression, type Sizes, solve } from './sizes.ts';

/** A size that the file leaves open, for the data or the user to say. */
export interface FreeSize {
  /** As the file calls it; one without a name is called by its place. */
  readonly name: string;
  /** Places of axes that it is in, as 'ids.1': the input's name and the axis, counted from 0. */
  readonly axes: readonly string[];
}

/** Sizes given by name, or by the place of an axis. */
export type GivenSizes = Readonly<Record<string, number>>;

export interface AxesOptions {
  /** Inputs that have one value for all examples. */
  readonly constants?: Readonly<Record<string, unknown>>;
  /** The input that the data go to, where that is said: its first axis is the batch. */
  readonly input?: string;
}

interface InputAxes {
  readonly name: string;
  readonly declared: boolean;
  /** Whether its first axis is the batch. */
  readonly batched: boolean;
  readonly sizes: readonly SizeExpression[];
}

/** The axes of a file's inputs. */
export class Axes {
  /** The number of examples that the file is made for; undefined where it leaves that open. */
  readonly batch: number | undefined;
  readonly free: readonly FreeSize[];
  readonly #inputs: readonly InputAxes[];
  readonly #name: string;
  /** Names that stand for the number of examples: 1 in the model of one example. */
  readonly #batchNames: ReadonlySet<string>;

  constructor(file: FileModel, name: string, options: AxesOptions = {}) {
    this.#name = name;
    const declared = file.graph.inputs.map((v) => ({ v, sizes: sizesOf(v) }));
    const batch = batchOf(declared, options);
    // A later axis under the name of the batch: exporters that call every unknown size alike.
    const inputs = declared.map(({ v, sizes }) => ({
      v,
      sizes: sizes.map((size, axis) => (axis > 0 && batch.names.has(size.text) ? freeSize(`${v.name}.${axis}`) : size)),
    }));
    this.batch = batch.size;
    this.#batchNames = batch.names;
    this.#inputs = inputs.map(({ v, sizes }) => ({
      name: v.name,
      declared: v.shape !== undefined,
      sizes,
      batched: sizes.length > 0 && batch.is(sizes[0]!),
    }));
    const axes = new Map<string, string[]>();
    for (const { name: input, sizes } of this.#inputs) {
      for (const [axis, size] of sizes.entries()) {
        for (const key of size.names) {
          if (batch.names.has(key)) continue;
          const found = axes.get(key) ?? [];
          axes.set(key, found);
          found.push(`${input}.${axis}`);
        }
      }
    }
    this.free = [...axes].map(([key, places]) => ({ name: key, axes: places }));
    const moved = this.free.find(
      (f) => /^batch/i.test(f.name) && ![...batch.names].some((key) => /^(b|n|batch)/i.test(key)),
    );
    if (moved && batch.names.size > 0) {
      throw new ModelError(
        `${name}: axis ${moved.axes[0]!.split('.').at(-1)} of input '${moved.axes[0]!.replace(/\.\d+$/, '')}' is '${moved.name}', expected the examples along the first axis of every input (batch_first)`,
      );
    }
  }

  /** Whether an input's first axis is the examples'; one without is the same for all. */
  isBatched(input: string): boolean {
    return this.#inputs.find((v) => v.name === input)?.batched === true;
  }

  /** An input's sizes as the file has them, the batch left out where it has one. */
  declared(input: string): readonly (number | string)[] {
    const { sizes = [], batched = false } = this.#inputs.find((v) => v.name === input) ?? {};
    return sizes.slice(batched ? 1 : 0).map((size) => (size.names.length === 0 ? size.at(new Map()) : size.text));
  }

  /**
   * What the free sizes are by what is given (`dims`) and by the shapes of one example of some inputs, without the
   * batch. Sizes that nothing tells are left out. Throws a UsageError for names that are none, and a ModelError that
   * names both places where two disagree.
   */
  bind(given: GivenSizes, shapes: Readonly<Record<string, Shape>> = {}): Map<string, number> {
    const sizes = new Map<string, number>();
    const from = new Map<string, string>();
    const open: { size: SizeExpression; wanted: number; by: string }[] = [];
    const claim = (size: SizeExpression, wanted: number, by: string) => {
      const [key] = size.names;
      if (size.names.length === 1 && size.text === key && !this.#batchNames.has(key!)) {
        const known = sizes.get(key!);
        if (known !== undefined && known !== wanted) this.#conflict(key!, known, from.get(key!)!, wanted, by);
        sizes.set(key!, wanted);
        if (!from.has(key!)) from.set(key!, by);
      } else open.push({ size, wanted, by });
    };
    for (const [key, wanted] of Object.entries(given))
      claim(this.#sizeNamed(key), wanted, optionFor('dims', key, wanted));
    for (const [input, shape] of Object.entries(shapes)) this.#claimShape(input, shape, claim);
    this.#settle(open, sizes, from);
    return sizes;
  }

  /**
   * The shapes of all inputs for one example, the batch axis of 1 included. Throws a ModelError for sizes that are not
   * known, or cannot be.
   */
  shapes(sizes: Sizes): Record<string, Shape> {
    const all = new Map([...sizes, ...[...this.#batchNames].map((key) => [key, 1] as const)]);
    return Object.fromEntries(
      this.#inputs.flatMap(({ name, declared, batched, sizes: own }) =>
        declared
          ? [
              [
                name,
                own.map((size, axis) =>
                  axis === 0 && batched && size.names.length === 0 ? 1 : this.#value(name, axis, size, all),
                ),
              ],
            ]
          : [],
      ),
    );
  }

  #value(input: string, axis: number, size: SizeExpression, sizes: Sizes): number {
    const missing = size.names.find((key) => !sizes.has(key));
    if (missing !== undefined) {
      throw new ModelError(
        `${this.#name}: axis ${axis} of input '${input}' is '${size.text}', a size that is not fixed; say it with ${optionFor('dims', missing, 'N')}`,
      );
    }
    const value = size.at(sizes);
    if (Number.isSafeInteger(value) && value >= 1) return value;
    const known = size.names.map((key) => `${key} = ${sizes.get(key)}`).join(', ');
    throw new ModelError(
      `${this.#name}: axis ${axis} of input '${input}' is '${size.text}', which is ${value} for ${known}, expected a size of at least 1`,
    );
  }

  #sizeNamed(key: string): SizeExpression {
    if (this.free.some((f) => f.name === key)) return parseSize(key, key);
    for (const { name, sizes } of this.#inputs) {
      for (const [axis, size] of sizes.entries()) if (`${name}.${axis}` === key) return size;
    }
    const there = this.free.map((f) => `${f.name} (${f.axes.join(', ')})`).join(', ');
    const batch = this.#batchNames.has(key) ? `'${key}' is the number of examples, which \`batch\` says; ` : '';
    throw new UsageError(
      `\`dims\`: ${this.#name} has no free size '${key}'; ${batch}${there === '' ? 'all sizes are fixed' : `there are ${there}`}`,
    );
  }

  #claimShape(input: string, shape: Shape, claim: (size: SizeExpression, wanted: number, by: string) => void): void {
    const found = this.#inputs.find((v) => v.name === input);
    if (!found?.declared) return;
    // Where the batch makes more than one row of an example, an example has them all.
    const own = found.batched && this.shapeRows(input) === 1 ? found.sizes.slice(1) : found.sizes;
    if (own.length !== shape.length) {
      const takes = `[${own.map((size) => size.text).join(',')}]`;
      throw new ModelError(`${this.#name}: '${input}' is ${shapeText(shape)} an example, the model takes ${takes}`);
    }
    const skipped = found.sizes.length - own.length;
    for (const [k, wanted] of shape.entries()) {
      claim(own[k]!, wanted, `axis ${k + skipped} of '${input}' (${wanted} in the data)`);
    }
  }

  /** How many rows of an input belong to one example: more than one where its first axis is a multiple of the batch. */
  shapeRows(input: string): number {
    const first = this.#inputs.find((v) => v.name === input)?.sizes[0];
    if (!first || first.names.some((key) => !this.#batchNames.has(key)) || first.names.length === 0) return 1;
    return first.at(new Map([...this.#batchNames].map((key) => [key, 1])));
  }

  /** Expressions: checked where all of their names are known, solved where one is not. */
  #settle(
    open: { size: SizeExpression; wanted: number; by: string }[],
    sizes: Map<string, number>,
    from: Map<string, string>,
  ): void {
    const one = [...this.#batchNames].map((key) => [key, 1] as const);
    let left = open;
    for (let before = -1; left.length !== before; ) {
      before = left.length;
      left = left.filter(({ size, wanted, by }) => {
        const unknown = size.names.filter((key) => !sizes.has(key) && !this.#batchNames.has(key));
        if (unknown.length > 1) return true;
        const known = new Map([...sizes, ...one]);
        const [name] = unknown;
        if (name === undefined) {
          const found = size.at(known);
          if (found !== wanted) this.#disagrees(size, found, sizes, from, wanted, by);
          return false;
        }
        const solutions = solve(size, name, wanted, known);
        if (solutions.length === 0) {
          throw new ModelError(
            `${this.#name}: ${by} is '${size.text}' in the file, and no ${name} makes that ${wanted}`,
          );
        }
        if (solutions.length > 1) return true; // something else may tell
        sizes.set(name, solutions[0]!);
        from.set(name, by);
        return false;
      });
    }
  }

  #conflict(key: string, known: number, from: string, wanted: number, by: string): never {
    throw new ModelError(
      `${this.#name}: the size '${key}' is ${known} by ${from} and ${wanted} by ${by}, expected one size for both`,
    );
  }

  #disagrees(
    size: SizeExpression,
    found: number,
    sizes: Sizes,
    from: ReadonlyMap<string, string>,
    wanted: number,
    by: string,
  ): never {
    if (size.names.length === 0) {
      throw new ModelError(`${this.#name}: ${by} is ${wanted}, in the file it is fixed to ${found}`);
    }
    const known = size.names
      .map((key) => `${key} = ${sizes.get(key) ?? 1} by ${from.get(key) ?? 'the batch'}`)
      .join(', ');
    throw new ModelError(
      `${this.#name}: ${by} is '${size.text}' in the file, which is ${found} with ${known}: expected sizes that agree`,
    );
  }
}

function sizesOf(v: FileInput): SizeExpression[] {
  return (v.shape ?? []).map((d, axis) => parseSize(d, `${v.name}.${axis}`));
}

interface Batch {
  /** Of a file whose inputs all say how many examples there are. */
  readonly size: number | undefined;
  readonly names: ReadonlySet<string>;
  is(first: SizeExpression): boolean;
}

/**
 * The examples lie along first axes. A name that some first axis has and no later one is the number of examples; a
 * first axis with another name or with a number beside it belongs to an input that is the same for all, such as a mask
 * [t, t].
 */
function batchOf(
  inputs: readonly { readonly v: FileInput; readonly sizes: readonly SizeExpression[] }[],
  { constants = {}, input }: AxesOptions,
): Batch {
  const varying = inputs.filter(({ v, sizes }) => sizes.length > 0 && !Object.hasOwn(constants, v.name));
  const later = new Set(inputs.flatMap(({ sizes }) => sizes.slice(1).flatMap((size) => size.names)));
  const firsts = varying.flatMap(({ sizes }) => sizes[0]!.names);
  const own = firsts.filter((key) => !later.has(key));
  const names = new Set(own.length > 0 ? own : firsts);
  if (names.size > 0) {
    const fixed = new Set(
      inputs.flatMap(({ sizes }) =>
        sizes
          .slice(1)
          .filter((size) => size.names.length === 0)
          .map(numberOf),
      ),
    );
    const is = (first: SizeExpression) =>
      // A number in place of the batch's name is that of the sample it was exported with, unless it is the size of
      // another axis.
      first.names.length > 0
        ? first.names.every((key) => names.has(key))
        : isNumber(first, 1) || !fixed.has(numberOf(first));
    return { size: undefined, names, is };
  }
  const asked = varying.find(({ v }) => v.name === input);
  const [widest] = varying.toSorted((a, b) => b.sizes.length - a.sizes.length);
  const size = (asked ?? widest)?.sizes[0]?.at(new Map()) ?? 1;
  return { size, names, is: (first) => isNumber(first, size) || isNumber(first, 1) };
}

const numberOf = (size: SizeExpression) => size.at(new Map());
const isNumber = (size: SizeExpression, value: number) => size.names.length === 0 && numberOf(size) === value;
