// What the import of one node sees: its operands as values of the graph, its attributes, and ways to refuse it.

import { GraphError } from '../../errors.ts';
import { type Arena, type DType, Value } from '../../graph/index.ts';
import { type Shape, sameShape, shapeText, sizeOf } from '../../tensor/shape.ts';
import type { FileAttr, FileGraph, FileNode, FileTensor } from '../file.ts';
import { TensorProto_DataType } from '../proto.ts';

/** One operator: its results from its operands. Everything has the shapes of one example, batch axis of 1 included. */
export type Operator = (ctx: NodeContext) => Value | readonly Value[];

export type Operators = Readonly<Record<string, Operator>>;

/**
 * A sequence of tensors, whose length is known at import. It stands where a value stands between nodes, but is none:
 * `in` refuses it.
 */
export class Sequence extends Value {
  readonly elements: readonly Value[];

  constructor(arena: Arena, elements: readonly Value[]) {
    super(arena, -1, { shape: [], dtype: 'int' }, 'none', { kind: 'constant', data: new Float64Array(1) });
    this.elements = elements;
  }
}

/** What only the whole import knows. */
export interface Importer {
  readonly arena: Arena;
  readonly opset: number;
  /** The numbers of a value that does not depend on inputs; undefined for others. */
  known(v: Value): Float64Array | undefined;
  /** The results of a graph of its own (a branch or a loop's body) for values of its inputs. */
  inline(graph: FileGraph, inputs: readonly Value[]): readonly Value[];
  /** An input that is drawn for every example, under `name` or one made of it. `isChoice`: it is compared with odds. */
  draw(name: string, shape: Shape, from: 'normal' | 'uniform', isChoice?: boolean): Value;
}

const { INT8, INT16, UINT8, UINT16, UINT32, UINT64 } = TensorProto_DataType;
const WRAPPING: readonly number[] = [INT8, INT16, UINT8, UINT16, UINT32, UINT64];

export class NodeContext {
  readonly importer: Importer;
  readonly node: FileNode;
  readonly #inputs: readonly (Value | undefined)[];
  readonly #elements: readonly (number | undefined)[];
  readonly #declared = new Map<number, number | undefined>();

  /** `elements` are the operands' types in the file, as far as they are known. */
  constructor(
    importer: Importer,
    node: FileNode,
    inputs: readonly (Value | undefined)[],
    elements: readonly (number | undefined)[] = [],
  ) {
    this.importer = importer;
    this.node = node;
    this.#inputs = inputs;
    this.#elements = elements;
  }

  /** The type of operand i in the file, as far as it is known. */
  element(i: number): number | undefined {
    return this.#elements[i];
  }

  /** Says which type result k has in the file, where that is not the type of the first operand of its kind. */
  declare(k: number, element: number | undefined): void {
    this.#declared.set(k, element);
  }

  /** The type of result k in the file, as far as it is known. */
  resultElement(k: number, result: Value): number | undefined {
    if (this.#declared.has(k)) return this.#declared.get(k);
    // A sequence counts as what it holds.
    const like = this.#inputs.findIndex(
      (x, i) =>
        this.#elements[i] !== undefined &&
        (x?.dtype === result.dtype || x instanceof Sequence || result instanceof Sequence),
    );
    return like < 0 ? undefined : this.#elements[like];
  }

  /** Refuses whole numbers of 8 or 16 bits, or unsigned ones, which wrap around where ours go on. */
  refuseWrapping(): void {
    const narrow = this.#elements.find((e) => e !== undefined && WRAPPING.includes(e));
    if (narrow !== undefined) {
      this.refuse(
        `arithmetic in ${TensorProto_DataType[narrow]?.toLowerCase()}, which wraps around; cast to int64 or float`,
      );
    }
  }

  get arena(): Arena {
    return this.importer.arena;
  }

  get opset(): number {
    return this.importer.opset;
  }

  /** Operand i, which must be there and be a tensor. */
  in(i: number): Value {
    return this.maybe(i) ?? this.refuse(`operand ${i} is missing`);
  }

  maybe(i: number): Value | undefined {
    const v = this.#inputs[i];
    return v instanceof Sequence ? this.refuse(`operand ${i} is a sequence of tensors, expected a tensor`) : v;
  }

  /** Operand i, a tensor or a sequence: for what hands on what it gets. */
  any(i: number): Value {
    return this.#inputs[i] ?? this.refuse(`operand ${i} is missing`);
  }

  /** Whether operand i is there, a tensor or a sequence. */
  given(i: number): boolean {
    return this.#inputs[i] !== undefined;
  }

  sequence(i: number): readonly Value[] {
    const v = this.any(i);
    return v instanceof Sequence ? v.elements : this.refuse(`operand ${i} is a tensor, expected a sequence of tensors`);
  }

  get inputs(): readonly Value[] {
    return this.#inputs.map((_, i) => this.in(i));
  }

  get count(): number {
    return this.#inputs.length;
  }

  /** The numbers of operand i, which must not depend on the model's inputs. */
  known(i: number): Float64Array {
    const v = this.in(i);
    const data = this.importer.known(v);
    return data ?? this.refuse(`operand ${i} ${shapeText(v.shape)} depends on the inputs, expected a constant`);
  }

  maybeKnown(i: number): number[] | undefined {
    return this.#inputs[i] ? [...this.known(i)] : undefined;
  }

  /** Random numbers of the node's own, other ones for every example. */
  draw(shape: Shape, from: 'normal' | 'uniform', isChoice = false): Value {
    this.sized(sizeOf(shape), 'random numbers');
    return this.importer.draw(this.node.outputs[0] ?? this.node.name, shape, from, isChoice);
  }

  int(name: string, otherwise?: number): number {
    return this.#attr(name, otherwise, (a): a is number => typeof a === 'number', 'a number');
  }

  float(name: string, otherwise?: number): number {
    return this.int(name, otherwise);
  }

  text(name: string, otherwise?: string): string {
    return this.#attr(name, otherwise, (a): a is string => typeof a === 'string', 'a text');
  }

  ints(name: string): readonly number[] | undefined {
    const a = this.node.attrs[name];
    if (a === undefined) return undefined;
    if (Array.isArray(a) && a.every((x) => typeof x === 'number')) return a as readonly number[];
    return this.refuse(`attribute '${name}' is not a list of numbers`);
  }

  /** A list of numbers that must have so many. */
  listOf(name: string, length: number): readonly number[] | undefined {
    const list = this.ints(name);
    if (list === undefined || list.length === length) return list;
    return this.refuse(`${name} has ${list.length} numbers, expected ${length}`);
  }

  /** The one number of operand i, which must not depend on the model's inputs. */
  single(i: number): number {
    const data = this.known(i);
    if (data.length !== 1) this.refuse(`operand ${i} is ${shapeText(this.in(i).shape)}, expected one number`);
    return data[0]!;
  }

  /** Refuses operand i unless it has this shape. */
  expectShape(i: number, shape: Shape): void {
    const found = this.in(i).shape;
    if (!sameShape(found, shape)) this.refuse(`operand ${i} is ${shapeText(found)}, expected ${shapeText(shape)}`);
  }

  texts(name: string): readonly string[] | undefined {
    const a = this.node.attrs[name];
    if (a === undefined) return undefined;
    if (Array.isArray(a) && a.every((x) => typeof x === 'string')) return a as readonly string[];
    return this.refuse(`attribute '${name}' is not a list of texts`);
  }

  tensor(name: string): FileTensor | undefined {
    const a = this.node.attrs[name];
    return a !== undefined && typeof a === 'object' && 'data' in a ? a : undefined;
  }

  graph(name: string): FileGraph {
    const a = this.node.attrs[name];
    if (a !== undefined && typeof a === 'object' && 'nodes' in a) return a;
    return this.refuse(`attribute '${name}' is not a graph`);
  }

  has(name: string): boolean {
    return this.node.attrs[name] !== undefined;
  }

  constant(data: ArrayLike<number> | number, shape: Shape = [], dtype: DType = 'float'): Value {
    return this.arena.constant(data, shape, dtype);
  }

  /** A list of whole numbers, as shapes are. */
  list(data: readonly number[]): Value {
    return this.arena.constant(data, [data.length], 'int');
  }

  /**
   * Whole numbers from `low` to `high` are taken from `value` to make `result`. Numbers that are known are looked at
   * here; those that depend on the inputs when they are there, since a place that is not in a table would not be
   * noticed (`Requirement`).
   */
  within(value: Value, low: number, high: number, result: Value): void {
    const odd = this.importer.known(value)?.find((v) => !(v >= low && v <= high));
    if (odd !== undefined) this.refuse(`takes whole numbers from ${low} to ${high}, and is given ${odd}`);
    const by = `${this.node.op} '${this.node.name}'`;
    if (value.lead !== 'none') this.arena.require({ value, low, high, by, result });
  }

  /** `n` where it is a size that a model may have; what a damaged file asks for is refused before it is allocated. */
  sized(n: number, what: string, most = 2 ** 26): number {
    if (Number.isSafeInteger(n) && n >= 0 && n <= most) return n;
    return this.refuse(`${what} of ${n}, expected a whole number up to ${most}`);
  }

  refuse(reason: string): never {
    throw new GraphError(`${this.node.op} '${this.node.name}': ${reason}`);
  }

  #attr<T>(name: string, otherwise: T | undefined, is: (a: FileAttr) => a is T & FileAttr, what: string): T {
    const a = this.node.attrs[name];
    if (a === undefined) return otherwise ?? this.refuse(`attribute '${name}' is missing`);
    return is(a) ? a : this.refuse(`attribute '${name}' is not ${what}`);
  }
}
