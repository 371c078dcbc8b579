// The one-example graph: immutable values that name the op and the values they come from, kept in an arena that gives
// equal expressions one identity. A graph is what its outputs reach; passes add values and return new outputs.

import { GraphError } from '../errors.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import type { OpRecord } from './record.ts';

/**
 * What a value's elements are: floats, whole numbers, or truth values. At run time float32, int64 and bool; the
 * interpreter's are all float64.
 */
export type DType = 'float' | 'int' | 'bool';

/** Shape, of one example, and element type. */
export interface ValueType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/**
 * What a value varies with once it is vectorised, hence which leading axis it gets:
 * 'none' (parameters and constants), 'example' (n of them), 'group' (sums over groups of examples, n / B of them).
 */
export type Lead = 'none' | 'example' | 'group';

/** Where an input's values come from: the data set, or drawn per example from the seed and the example's index. */
export type InputKind = 'data' | 'normal' | 'uniform' | 'integer';

/** Whole numbers, from the lowest to the highest, both included. */
export type WholeRange = readonly [low: number, high: number];

type AttrValue = number | string | boolean | readonly number[];
/** The constants that an op has beside its operands, such as axes and strides; each op says which. */
export type Attrs = Readonly<Record<string, AttrValue>>;

export type Source =
  | {
      readonly kind: 'input';
      readonly name: string;
      readonly from: InputKind;
      /** Of an input of whole numbers that are drawn. */
      readonly range?: WholeRange;
    }
  | { readonly kind: 'param'; readonly name: string; readonly trainable: boolean }
  | { readonly kind: 'constant'; readonly data: Float64Array }
  | { readonly kind: 'node'; readonly op: OpRecord; readonly inputs: readonly Value[]; readonly attrs: Attrs };

/** The origin of a value that an op has made of others. */
export type NodeSource = Extract<Source, { kind: 'node' }>;

/**
 * One value of a one-example graph: immutable, of known shape and type. Made by an `Arena` or the functions of `ops/`.
 */
export class Value implements ValueType {
  readonly arena: Arena;
  /** Increases from operands to results, so sorting by id is a topological order. */
  readonly id: number;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly lead: Lead;
  readonly source: Source;

  /** Only an Arena makes values of a graph. */
  constructor(arena: Arena, id: number, type: ValueType, lead: Lead, source: Source) {
    this.arena = arena;
    this.id = id;
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.lead = lead;
    this.source = source;
  }

  /** As in messages and in print(): %12, or the name of an input or parameter. */
  toString(): string {
    return this.source.kind === 'input' || this.source.kind === 'param' ? this.source.name : `%${this.id}`;
  }
}

/** Whole numbers that a value must consist of, for what is made of it to mean something: places in a table, classes. */
export interface Requirement {
  readonly value: Value;
  readonly low: number;
  readonly high: number;
  /** Who asks for it, for messages. */
  readonly by: string;
  /** What is made of the value: the range matters where this does. */
  readonly result: Value;
}

/** A one-example graph: the values asked for, by name, and the arena that they and all they come from are in. */
export interface Graph {
  readonly arena: Arena;
  readonly outputs: Readonly<Record<string, Value>>;
}

/**
 * How much an arena may come to hold, and how much may be computed while it is filled: what a file of few bytes can ask
 * for has no end.
 */
export interface ArenaLimits {
  readonly values: number;
  /** Numbers in constants, in all. */
  readonly numbers: number;
  /** Steps of arithmetic with constants, about one for each number that is read or made and each multiplication. */
  readonly steps: number;
}

/** Owns values. Asking twice for the same expression gives the same value, so common subexpressions are shared. */
export class Arena {
  readonly #known = new Map<string, Value>();
  readonly #large = new Map<string, Value[]>();
  readonly #names = new Map<string, Value>();
  readonly #requirements = new Map<string, Requirement>();
  #limits: ArenaLimits | undefined;
  #numbers = 0;
  #steps = 0;
  #count = 0;

  constructor(limits?: ArenaLimits) {
    this.#limits = limits;
  }

  /** Lifts the limits: what comes from the file is there, what is made of it from here on is known. */
  unlimit(): void {
    this.#limits = undefined;
  }

  /** Counts arithmetic with constants. Throws GraphError where that is more than the limit in all. */
  spend(steps: number): void {
    this.#steps += steps;
    const most = this.#limits?.steps ?? Infinity;
    if (this.#steps > most) throw new GraphError(`computing constants takes more than ${most} steps in all`);
  }

  /** The name, or one made of it, that no input and no parameter has. */
  free(name: string): string {
    let found = name;
    for (let k = 2; this.#names.has(found); k++) found = `${name}#${k}`;
    return found;
  }

  /** An input of the shape of one example. Names are unique among inputs and parameters. */
  input(name: string, shape: Shape, from: Exclude<InputKind, 'integer'> = 'data', dtype: DType = 'float'): Value {
    return this.#named(name, { shape, dtype }, 'example', { kind: 'input', name, from });
  }

  /** An input of whole numbers that are drawn, all equally often. */
  drawnIntegers(name: string, shape: Shape, range: WholeRange, dtype: DType = 'int'): Value {
    return this.#named(name, { shape, dtype }, 'example', { kind: 'input', name, from: 'integer', range });
  }

  /** A parameter tensor. Buffers that are saved but not learned have `trainable: false` and get no gradient norm. */
  param(name: string, shape: Shape, options: { readonly trainable?: boolean } = {}): Value {
    const trainable = options.trainable ?? true;
    return this.#named(name, { shape, dtype: 'float' }, 'none', { kind: 'param', name, trainable });
  }

  constant(data: ArrayLike<number> | number, shape: Shape = [], dtype: DType = 'float'): Value {
    const values = typeof data === 'number' ? Float64Array.of(data) : Float64Array.from(data);
    if (values.length !== sizeOf(shape)) {
      throw new GraphError(`constant: ${values.length} numbers for the shape ${shapeText(shape)}`);
    }
    const make = () => {
      this.#numbers += values.length;
      const most = this.#limits?.numbers ?? Infinity;
      if (this.#numbers > most) throw new GraphError(`constants of more than ${most} numbers in all`);
      return this.#new({ shape, dtype }, 'none', { kind: 'constant', data: values });
    };
    if (values.length <= 64) return this.#once(`constant ${dtype} ${shapeText(shape)} ${bits(values)}`, make);
    const key = `${dtype} ${shapeText(shape)} ${hash(values)}`;
    const alike = this.#large.get(key) ?? [];
    const known = alike.find((v) => v.source.kind === 'constant' && sameBits(v.source.data, values));
    if (known) return known;
    const made = make();
    alike.push(made);
    this.#large.set(key, alike);
    return made;
  }

  /** The result of `op`, whose record checks the operands. */
  node(op: OpRecord, inputs: readonly Value[], attrs: Attrs): Value {
    for (const x of inputs) {
      if (x.arena !== this) throw new GraphError(`${op.name}: operand ${x} belongs to another arena`);
      if (x.dtype !== 'float' && op.takes !== 'anything' && !(x.dtype === 'int' && op.takes === 'numbers')) {
        throw new GraphError(
          `${op.name}: of ${x.dtype} values, takes ${op.takes === 'numbers' ? 'numbers' : 'floats'}`,
        );
      }
    }
    return this.#once(`${op.name} ${inputs.map((x) => x.id).join()} ${JSON.stringify(attrs)}`, () => {
      const type = op.type(inputs, attrs);
      return this.#new(type, leadOf(op, inputs), { kind: 'node', op, inputs, attrs });
    });
  }

  /**
   * Demands a range of a value. Nothing in the graph holds it: `requirementsOf` tells those who run it what to look at.
   */
  require(requirement: Requirement): void {
    const { value, low, high, result } = requirement;
    const key = `${value.id} ${low} ${high} ${result.id}`;
    if (!this.#requirements.has(key)) this.#requirements.set(key, requirement);
  }

  get requirements(): Iterable<Requirement> {
    return this.#requirements.values();
  }

  #once(key: string, make: () => Value): Value {
    let value = this.#known.get(key);
    if (!value) {
      value = make();
      this.#known.set(key, value);
    }
    return value;
  }

  #named(name: string, type: ValueType, lead: Lead, source: Source): Value {
    if (this.#names.has(name)) throw new GraphError(`'${name}' names an input or parameter already`);
    const value = this.#new(type, lead, source);
    this.#names.set(name, value);
    return value;
  }

  #new(type: ValueType, lead: Lead, source: Source): Value {
    for (const d of type.shape) {
      if (!Number.isInteger(d) || d < 0) throw new GraphError(`shape ${shapeText(type.shape)} is not a list of sizes`);
    }
    const most = this.#limits?.values ?? Infinity;
    if (this.#count >= most) throw new GraphError(`more than ${most} values in all`);
    return new Value(this, this.#count++, type, lead, source);
  }
}

/** Exact text of numbers, with -0 and NaN kept apart from 0 and from each other's payloads. */
function bits(values: Float64Array): string {
  return Array.from(values, (x) => (Object.is(x, -0) ? '-0' : String(x))).join();
}

const words = (values: Float64Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, 2 * values.length);

/** FNV-1a, by words of 32 bits. */
function hash(values: Float64Array): number {
  let h = 0x811c9dc5;
  for (const word of words(values)) {
    h = Math.imul(h ^ word, 0x01000193);
    h ^= h >>> 15; // or high bits, which is where small whole numbers differ, would change no low ones
  }
  return h >>> 0;
}

function sameBits(a: Float64Array, b: Float64Array): boolean {
  const [x, y] = [words(a), words(b)];
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false;
  return true;
}

function leadOf(op: OpRecord, inputs: readonly Value[]): Lead {
  if (op.lead) return op.lead;
  const leads = new Set(inputs.map((x) => x.lead));
  if (leads.has('example') && leads.has('group')) {
    throw new GraphError(
      `${op.name}: operands ${inputs.map((x) => `${x} (${x.lead})`).join(', ')} mix values of examples with sums over groups`,
    );
  }
  return leads.has('example') ? 'example' : leads.has('group') ? 'group' : 'none';
}

/** Everything the given values depend on, themselves included, operands before results. */
export function reachable(outputs: Iterable<Value>): Value[] {
  const seen = new Set<Value>();
  const stack = [...outputs];
  for (let v = stack.pop(); v; v = stack.pop()) {
    if (seen.has(v)) continue;
    seen.add(v);
    if (v.source.kind === 'node') stack.push(...v.source.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/** A graph's inputs, in the order of their creation. */
export function inputsOf(graph: Graph): Value[] {
  return reachable(Object.values(graph.outputs)).filter((v) => v.source.kind === 'input');
}

/** A graph's parameters, in the order of their creation; only the learned ones unless `all`. */
export function paramsOf(graph: Graph, options: { readonly all?: boolean } = {}): Value[] {
  return reachable(Object.values(graph.outputs)).filter(
    (v) => v.source.kind === 'param' && (v.source.trainable || options.all === true),
  );
}

/** The ranges that values of a graph must keep to, one of each kind: those of results that its outputs depend on. */
export function requirementsOf(graph: Graph): Requirement[] {
  const used = new Set(reachable(Object.values(graph.outputs)));
  const found = new Map<string, Requirement>();
  for (const r of graph.arena.requirements) {
    const key = `${r.value.id} ${r.low} ${r.high}`;
    if (used.has(r.result) && r.value.lead !== 'none' && !found.has(key)) found.set(key, r);
  }
  return [...found.values()];
}

/** The name of an input or parameter. Throws a GraphError for any other value. */
export function nameOf(value: Value): string {
  if (value.source.kind === 'input' || value.source.kind === 'param') return value.source.name;
  throw new GraphError(`${value} is neither an input nor a parameter`);
}
