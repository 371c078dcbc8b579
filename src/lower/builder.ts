// The ONNX graph under construction: what the ops' lowering rules write to. Storage rules are in graph/record.ts.

import { GraphError } from '../errors.ts';
import type { DType, Lead, Lowered, Lowering, OnnxAttr, ValueType } from '../graph/index.ts';
import type { OnnxDType, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from '../onnx/index.ts';
import { type Shape, sameShape, sizeOf } from '../tensor/shape.ts';
import { type Constant, movedConstant } from './moved.ts';

export const onnxDTypes = { float: 'float', int: 'int64', bool: 'bool' } satisfies Record<DType, OnnxDType>;

/**
 * How names that we give start: a model's parameter may well be called c0, or nll. An input that starts so, too, makes
 * them start with more of it.
 */
const OWN = '~';

/** The output that a name in a lowered graph stands for: another one where an input has its name. */
export const outputNamed = (name: string): string => name.replace(/^~+/u, '');

/** Constants of more numbers are given another shape by the runtime rather than kept twice. */
const MOST_COPIED = 2 ** 14;

export class OnnxBuilder implements Lowering {
  readonly examples: number;
  readonly group: number;
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers: OnnxTensor[] = [];
  readonly #inputs: OnnxValue[] = [];
  readonly #known = new Map<string, string>();
  /** Constants and weights by name. */
  readonly #constants = new Map<string, Constant>();
  /** The outputs of a node, by the first of them. */
  readonly #outputs = new Map<string, readonly string[]>();
  /** Results of Reshape: what they were before, in which dimensions. */
  readonly #reshaped = new Map<string, { readonly name: string; readonly dims: Shape }>();
  /** What the inputs are called, which are fed under these names. */
  readonly #taken: ReadonlySet<string>;
  #count = 0;

  constructor(examples: number, group: number, taken: ReadonlySet<string>) {
    if (!Number.isInteger(examples) || examples < 1) throw new GraphError(`a batch of ${examples} examples`);
    if (!Number.isInteger(group) || group < 1 || examples % group !== 0) {
      throw new GraphError(`a batch of ${examples} examples does not divide into groups of ${group}`);
    }
    this.examples = examples;
    this.group = group;
    this.#taken = taken;
  }

  emit(op: string, inputs: readonly string[], attrs: Readonly<Record<string, OnnxAttr>> = {}): string {
    return this.#once(`${op} ${inputs.join()} ${JSON.stringify(attrs)}`, () => {
      const moved = this.#constants.has(inputs[0]!) && this.#moved(op, inputs, attrs);
      if (moved) return this.#constant('float', moved.dims, moved.data);
      const output = this.#free(`${OWN}v${this.#count++}`);
      this.#nodes.push({ op, inputs, output, attrs });
      return output;
    });
  }

  emitAll(
    op: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, OnnxAttr>>,
    count: number,
  ): readonly string[] {
    const first = this.#once(`${op} ${inputs.join()} ${JSON.stringify(attrs)} ${count}`, () => {
      const names = Array.from({ length: count }, () => this.#free(`${OWN}v${this.#count++}`));
      const [output, ...more] = names as [string, ...string[]];
      this.#nodes.push({ op, inputs, output, more, attrs });
      this.#outputs.set(output, names);
      return output;
    });
    return this.#outputs.get(first)!;
  }

  float(data: ArrayLike<number> | number, shape: Shape = []): string {
    const values = typeof data === 'number' ? Float32Array.of(data) : Float32Array.from(data);
    return this.#constant('float', shape, values);
  }

  ints(values: readonly number[]): string {
    return this.#constant('int64', [values.length], BigInt64Array.from(values.map(BigInt)));
  }

  int(value: number): string {
    return this.#constant('int64', [], BigInt64Array.of(BigInt(value)));
  }

  zero(dtype: DType): string {
    return this.typed(dtype, Float64Array.of(0), []);
  }

  /** A constant of a value's own type. */
  typed(dtype: DType, data: Float64Array, shape: Shape): string {
    if (dtype === 'float') return this.float(data, shape);
    if (dtype === 'bool') return this.#constant('bool', shape, Uint8Array.from(data));
    return this.#constant('int64', shape, BigInt64Array.from(Array.from(data, BigInt)));
  }

  /** A named tensor of weights. */
  weight(given: string, dims: Shape, data: Float32Array): string {
    const name = this.#free(`${OWN}w ${given}`); // neither one of ours nor that of an output
    this.#add({ name, dims, dtype: 'float', data });
    return name;
  }

  #add(tensor: OnnxTensor): void {
    this.#initializers.push(tensor);
    this.#constants.set(tensor.name, tensor);
  }

  #moved(op: string, inputs: readonly string[], attrs: Readonly<Record<string, OnnxAttr>>) {
    const operands = inputs.map((name) => this.#constants.get(name));
    return movedConstant(op, operands, attrs);
  }

  input(name: string, dims: Shape, dtype: OnnxDType): string {
    this.#inputs.push({ name, dims, dtype });
    return name;
  }

  /**
   * Names an output, otherwise where an input has the name. Each is a node of its own, so one value may be two outputs
   * and an input may be an output.
   */
  output(wanted: string, source: string): string {
    const output = this.#free(wanted);
    this.#nodes.push({ op: 'Identity', inputs: [source], output, attrs: {} });
    return output;
  }

  #free(wanted: string): string {
    let name = wanted;
    while (this.#taken.has(name)) name = `${OWN}${name}`;
    return name;
  }

  leadSize(lead: Lead): number {
    return lead === 'none' ? 1 : lead === 'example' ? this.examples : this.examples / this.group;
  }

  storage(shape: Shape, lead: Lead): number[] {
    if (lead === 'none') return [...shape];
    return [this.leadSize(lead), ...(shape[0] === 1 ? shape.slice(1) : shape)];
  }

  reshape(name: string, from: Shape, to: Shape): string {
    if (sizeOf(from) !== sizeOf(to)) throw new GraphError(`lowering: reshape of [${from}] to [${to}]`);
    if (sameShape(from, to)) return name;
    // A reshape of a reshape is one of the original, or none.
    const before = this.#reshaped.get(name);
    if (before) return this.reshape(before.name, before.dims, to);
    const known = this.#constants.get(name);
    if (known?.data instanceof Float32Array && known.data.length <= MOST_COPIED) {
      return this.#once(`reshaped ${name} ${to}`, () => this.#constant('float', to, known.data));
    }
    // Without `allowzero` a 0 would stand for the size that was there before.
    const output = this.emit('Reshape', [name, this.ints(to)], to.includes(0) ? { allowzero: 1 } : {});
    this.#reshaped.set(output, { name, dims: from });
    return output;
  }

  full(v: Lowered): string {
    return this.reshape(v.name, this.storage(v.shape, v.lead), [this.leadSize(v.lead), ...v.shape]);
  }

  expanded(v: Lowered, lead: Lead): string {
    const name = this.full(v);
    const size = this.leadSize(lead);
    if (v.lead === lead || size === 1) return name;
    return this.emit('Expand', [name, this.ints([size, ...v.shape])]);
  }

  stored(name: string, dims: Shape, type: ValueType, lead: Lead): Lowered {
    const to = this.storage(type.shape, lead);
    return { name: this.reshape(name, dims, to), shape: type.shape, dtype: type.dtype, lead };
  }

  aligned(inputs: readonly Lowered[], outShape: Shape): { readonly names: string[]; readonly lead: Lead } {
    const lead = inputs.find((x) => x.lead !== 'none')?.lead ?? 'none';
    if (lead === 'none') return { names: inputs.map((x) => x.name), lead };
    const rank = this.storage(outShape, lead).length;
    const names = inputs.map((x) => {
      if (x.lead === 'none') {
        // Leading ones that broadcasting does not need would raise the rank above the result's storage.
        const excess = x.shape.length - rank;
        return excess > 0 ? this.reshape(x.name, x.shape, x.shape.slice(excess)) : x.name;
      }
      const own = this.storage(x.shape, x.lead);
      const ones = new Array<number>(rank - own.length).fill(1);
      return this.reshape(x.name, own, [own[0]!, ...ones, ...own.slice(1)]);
    });
    return { names, lead };
  }

  model(outputs: readonly OnnxValue[]): OnnxModel {
    const used = new Set(outputs.map((v) => v.name));
    const nodes = this.#nodes.toReversed().filter((node) => {
      // Not wanted: a reshape that another went around.
      if (![node.output, ...(node.more ?? [])].some((name) => used.has(name))) return false;
      for (const input of node.inputs) used.add(input);
      return true;
    });
    const initializers = this.#initializers.filter((t) => used.has(t.name));
    return { inputs: this.#inputs, outputs, nodes: nodes.reverse(), initializers };
  }

  #once(key: string, make: () => string): string {
    let name = this.#known.get(key);
    if (name === undefined) {
      name = make();
      this.#known.set(key, name);
    }
    return name;
  }

  #constant(dtype: OnnxDType, dims: Shape, data: OnnxTensor['data']): string {
    const make = () => {
      const name = this.#free(`${OWN}c${this.#count++}`);
      this.#add({ name, dims, dtype, data });
      return name;
    };
    if (data.length <= 32) return this.#once(`${dtype} ${dims} ${[...data].join()}`, make);
    const [first] = data;
    const isUniform = data instanceof Float32Array && data.every((v) => v === first);
    return isUniform ? this.#once(`${dtype} ${dims} all ${first}`, make) : make();
  }
}
