// The nodes of a decoded ONNX file in, one after the other; values of the one-example graph out.

import { GraphError, ModelError, optionFor } from '../errors.ts';
import { Arena, interpret, nameOf, reachable, type Value } from '../graph/index.ts';
import { constantData, detach, expand, multiplicationsOf, slice } from '../ops/index.ts';
import { type Shape, shapeText, sizeOf } from '../tensor/shape.ts';
import { Axes } from './axes.ts';
import {
  type FileAttr,
  type FileFunction,
  type FileGraph,
  type FileInput,
  type FileModel,
  type FileNode,
  operatorName,
} from './file.ts';
import { type Importer, NodeContext, operators, Sequence } from './operators/index.ts';
import type { ImportOptions, Network } from './options.ts';
import { parametersOf } from './parameters.ts';
import type { ParameterTable } from './roles.ts';
import { CURE, Tensors } from './tensors.ts';
import { isSupported, sameKind, unsupported } from './unsupported.ts';

/** How deep functions may call one another. */
const MAX_DEPTH = 32;
/**
 * Nodes with all functions inlined and loops unrolled: functions that call others twice each have exponentially many.
 */
const MAX_NODES = 2 ** 17;
/** Elements of one value. */
const MAX_SIZE = 2 ** 31;
/** Elements of a value that is computed here, and of all that it takes. */
const MAX_KNOWN = [2 ** 22, 2 ** 24] as const;

/** Of a whole file: a few bytes can ask for a loop that makes a large constant in each of its rounds. */
const LIMITS = { values: 2 ** 19, numbers: 2 ** 25, steps: 2 ** 25 };

/** The attributes of a node within a function, with those of the call put in; what the call leaves out stays out. */
function resolved(own: FileNode['attrs'], call: FileNode['attrs']): FileNode['attrs'] {
  return Object.fromEntries(
    Object.entries(own).flatMap(([name, a]): [string, FileAttr][] => {
      if (typeof a === 'object' && 'nodes' in a) {
        return [[name, { ...a, nodes: a.nodes.map((inner) => ({ ...inner, attrs: resolved(inner.attrs, call) })) }]];
      }
      if (typeof a !== 'object' || !('ref' in a)) return [[name, a]];
      const given = Object.hasOwn(call, a.ref) ? call[a.ref] : undefined;
      return given === undefined ? [] : [[name, given]];
    }),
  );
}

/**
 * The nodes of a file as values, from its inputs and initialisers on; functions, branches and loops in place of the
 * nodes that have them.
 */
export class Walk implements Importer {
  readonly arena: Arena;
  readonly opset: number;
  readonly tensors: Tensors;
  /** Drawn numbers that choose a class, or whether something is there. */
  readonly choices = new Set<Value>();
  /** Outputs that an objective asked for. */
  readonly outputsUsed = new Set<string>();
  largest = 0;
  elements = 0;
  /** Small values that were computed from constants and parameters. */
  readonly #known = new Map<Value, Float64Array>();
  /** Constants that have been found to be whole numbers. */
  readonly #checked = new Set<Value>();
  #nodes = 0;
  /** How many functions, branches and bodies are being inlined. */
  #depth = 0;
  /** The values by name where the present node stands. */
  #around: ReadonlyMap<string, Value> | undefined;
  readonly #table: ParameterTable;
  /** For the values by name of each graph their types in the file, as far as they are known. */
  readonly #elements = new WeakMap<ReadonlyMap<string, Value>, Map<string, number>>();
  /** Inputs as they come, before `feed`. */
  readonly #inputs = new Map<string, Value>();
  readonly #file: FileModel;
  readonly #name: string;
  readonly #options: ImportOptions;

  constructor(file: FileModel, name: string, options: ImportOptions) {
    this.#file = file;
    this.#name = name;
    this.#options = options;
    this.opset = file.opset;
    const own = [...file.graph.initializers.values()].reduce((sum, t) => sum + sizeOf(t.shape), 0);
    this.arena = new Arena({ ...LIMITS, numbers: LIMITS.numbers + own });
    this.#table = parametersOf(file);
    this.tensors = new Tensors(this.arena, this.#table, options);
  }

  /** Inputs and initialisers as values. */
  roots(): [string, Value][] {
    const { inputs, initializers } = this.#file.graph;
    const { normal = [], uniform = [], integers = {}, constants = {} } = this.#options;
    for (const asked of [...normal, ...uniform, ...Object.keys(integers), ...Object.keys(constants)]) {
      if (!inputs.some((v) => v.name === asked)) {
        const there = inputs.map((v) => v.name).join(', ') || 'none';
        throw new ModelError(`${this.#name}: has no input '${asked}'; its inputs are ${there}`);
      }
    }
    const axes = this.#options.axes ?? new Axes(this.#file, this.#name, this.#options);
    const shapes = axes.shapes(this.#options.sizes ?? new Map());
    return [
      ...inputs.map((v): [string, Value] => [v.name, this.#input(v, shapes[v.name], axes)]),
      ...[...initializers].map(([key, t]): [string, Value] => [key, this.tensors.initializer(key, t)]),
    ];
  }

  #input(v: FileInput, shape: Shape | undefined, axes: Axes): Value {
    const { normal = [], uniform = [], integers = {}, constants = {}, feed, copies = 1 } = this.#options;
    if (v.sequence)
      throw new ModelError(`${this.#name}: input '${v.name}' is a sequence of tensors, expected a tensor`);
    if (!shape) throw new ModelError(`${this.#name}: input '${v.name}' declares no shape`);
    if (sizeOf(shape) > MAX_SIZE)
      throw new ModelError(`${this.#name}: input '${v.name}' has the shape ${shapeText(shape)}`);
    const batched = axes.isBatched(v.name);
    const repeated = copies > 1 && v.shape?.[0] === copies ? [copies, ...shape.slice(1)] : shape;
    const fixed = Object.hasOwn(constants, v.name) ? constants[v.name] : undefined;
    if (fixed !== undefined) return expand(this.arena.constant(fixed, [], v.dtype), repeated);
    if (!batched && shape.length > 0) {
      throw new ModelError(
        `${this.#name}: input '${v.name}' ${shapeText(shape)} has no axis of examples, so all of them have the same; give it one value with ${optionFor('constants', v.name, 'X')}`,
      );
    }
    const range = Object.hasOwn(integers, v.name) ? integers[v.name] : undefined;
    const from = normal.includes(v.name) ? 'normal' : uniform.includes(v.name) ? 'uniform' : 'data';
    const input = range
      ? this.arena.drawnIntegers(v.name, shape, range, v.dtype)
      : this.arena.input(v.name, shape, from, v.dtype);
    const held = this.#held(input);
    if (held) return expand(held, repeated);
    this.#inputs.set(v.name, input);
    const fed = from === 'data' && !range && v.dtype === 'float' && feed ? feed(input, this.arena) : input;
    return repeated === shape ? fed : expand(fed, repeated);
  }

  network(values: ReadonlyMap<string, Value>): Network {
    const { outputs } = this.#file.graph;
    const data = [...this.#inputs.values()].filter((v) => v.source.kind === 'input' && v.source.from === 'data');
    return {
      output: (k, asked) => {
        const key = asked ?? outputs[k];
        const v = key === undefined || !outputs.includes(key) ? undefined : values.get(key);
        if (v) {
          this.outputsUsed.add(key!);
          return this.firstOf(tensorOf(v, key!, this.#name), key!);
        }
        if (key !== undefined && outputs.includes(key)) {
          throw new ModelError(`${this.#name}: output '${key}' is one that its node is not made to give`);
        }
        throw new ModelError(
          `${this.#name}: has no output ${asked ? `'${asked}'` : k + 1}; it has ${outputs.join(', ')}`,
        );
      },
      input: (asked) => {
        const v = asked === undefined ? data[0] : this.#inputs.get(asked);
        if (v && (asked !== undefined || data.length === 1)) return v;
        const there = data.map(nameOf).join(', ') || 'none';
        throw new ModelError(
          `${this.#name}: ${asked ? `has no input '${asked}'` : 'it is not clear which input is the data'}; there are ${there}`,
        );
      },
    };
  }

  /** Of an output for an example beside itself: what it is for the one. */
  firstOf(output: Value, key: string): Value {
    const { copies = 1 } = this.#options;
    if (copies === 1) return output;
    if (output.shape[0] === copies) return slice(output, 0, 0, 1);
    throw new ModelError(
      `${this.#name}: output '${key}' is ${shapeText(output.shape)} for the batch of ${copies} that the file is made for, expected ${copies} in front; export it with a batch of one, or one that is left open`,
    );
  }

  /** A value through which no gradient goes. */
  #detached(node: FileNode, key: string, v: Value, whole: boolean): Value {
    const learned = reachable([v]).some((x) => x.source.kind === 'param' && x.source.trainable);
    if (!learned) return v;
    if (!whole) {
      throw new ModelError(
        `${this.#name}: ${node.op} '${node.name}': the exported program detaches '${key}', and the file has only a trace of it; ${CURE}`,
      );
    }
    this.tensors.reading.set(`detached ${key}`, '');
    return detach(v);
  }

  /**
   * All values of a graph by name, from those it starts with. `optional` names may be missing: operands that a call of
   * a function leaves out.
   */
  graph(graph: FileGraph, values: Map<string, Value>, optional?: ReadonlySet<string>): Map<string, Value> {
    const outer = this.#around;
    this.#around = values;
    const elements = this.#elementsOf(graph, values, optional ? undefined : outer);
    for (const node of graph.nodes) {
      const operands = this.#table.operands.get(node);
      const detached = this.#table.detached.get(node);
      const inputs = node.inputs.map((key, k) => {
        if (key === '') return undefined;
        const role = operands?.get(k);
        if (role) return this.tensors.inRole(key, this.#file.graph.initializers.get(key)!, role);
        const v = values.get(key);
        if (!v && optional?.has(key)) return undefined;
        if (!v) throw new ModelError(`${this.#name}: ${node.op} '${node.name}': nothing before it makes '${key}'`);
        return detached?.operands.has(k) && v.dtype === 'float' ? this.#detached(node, key, v, detached.whole) : v;
      });
      const results = this.#node(
        node,
        inputs,
        node.inputs.map((key) => elements.get(key)),
        (k, element) => elements.set(node.outputs[k] ?? '', element),
      );
      for (const [k, key] of node.outputs.entries()) {
        const v = results[k];
        const stopped = v?.dtype === 'float' && this.#depth === 0 && this.#options.stopGradient?.includes(key);
        if (key === '' || !v) continue;
        if (this.#depth === 0 && values.has(key)) {
          throw new ModelError(
            `${this.#name}: ${node.op} '${node.name}': its result is named '${key}', as another value of the file is; export the model with other names for its inputs`,
          );
        }
        values.set(key, stopped ? detach(v) : v);
      }
    }
    this.#around = outer;
    return values;
  }

  /** The types that are declared, of a body also those around it. */
  #elementsOf(
    graph: FileGraph,
    values: ReadonlyMap<string, Value>,
    outer: ReadonlyMap<string, Value> | undefined,
  ): Map<string, number> {
    const elements = this.#elements.get(values) ?? new Map(outer && this.#elements.get(outer));
    this.#elements.set(values, elements);
    const declared = [
      ...graph.inputs.map((v) => [v.name, v.element] as const),
      ...[...graph.initializers].map(([name, t]) => [name, t.element] as const),
    ];
    for (const [name, element] of declared) if (element) elements.set(name, element);
    return elements;
  }

  /** `declare` is told the results' types in the file, as far as they are known. */
  #node(
    node: FileNode,
    inputs: readonly (Value | undefined)[],
    elements: readonly (number | undefined)[],
    declare: (k: number, element: number) => void,
  ): readonly Value[] {
    const where = `${this.#name}: ${node.op} '${node.name}'`;
    if (++this.#nodes > MAX_NODES) throw new ModelError(`${where}: more than ${MAX_NODES} nodes with loops unrolled`);
    const called = this.#file.functions.get(operatorName(node));
    if (called) return this.#call(called, node, inputs, elements, declare, where);
    const operator = isSupported(node) ? operators[node.op] : undefined;
    if (!operator) throw new ModelError(`${where}: ${unsupported(this.#file, node)}`);
    const role = this.#table.identities.get(node);
    if (role) {
      const t = this.#file.graph.initializers.get(node.inputs[0]!)!;
      if (t.element) declare(0, t.element);
      return [this.tensors.inRole(node.outputs[0]!, t, role)];
    }
    const [x] = inputs;
    if (node.op === 'Identity' && x?.source.kind === 'param' && this.#depth === 0) {
      this.tensors.reading.set(node.outputs[0]!, nameOf(x));
    }
    try {
      const ctx = new NodeContext(this, node, inputs, elements);
      const result = operator(ctx);
      const results: readonly Value[] = Array.isArray(result) ? result : [result as Value];
      for (const [k, v] of results.entries()) {
        this.check(v);
        this.largest = Math.max(this.largest, sizeOf(v.shape));
        this.elements += sizeOf(v.shape);
        const element = ctx.resultElement(k, v);
        if (element) declare(k, element);
      }
      return results;
    } catch (error) {
      if (error instanceof ModelError) throw error;
      // Attributes of the wrong length or beyond all measure make shapes and arrays that cannot be.
      if (!(error instanceof GraphError)) {
        const reason = error instanceof Error ? error.message : error;
        throw new ModelError(`${where}: operands or attributes that do not fit: ${reason}`, { cause: error });
      }
      const own =
        [`${node.op} '${node.name}': `, `${node.op}: `].find((prefix) => error.message.startsWith(prefix)) ?? '';
      throw new ModelError(`${where}: ${error.message.slice(own.length)}${sameKind(this.#file, node)}`);
    }
  }

  /** The function's nodes in place of the node that calls it. */
  #call(
    f: FileFunction,
    node: FileNode,
    inputs: readonly (Value | undefined)[],
    elements: readonly (number | undefined)[],
    declare: (k: number, element: number) => void,
    where: string,
  ): readonly Value[] {
    if (this.#depth >= MAX_DEPTH) throw new ModelError(`${where}: functions call one another ${MAX_DEPTH} deep`);
    const attrs = { ...f.defaults, ...node.attrs };
    const nodes = f.nodes.map((inner) => ({ ...inner, attrs: resolved(inner.attrs, attrs) }));
    const given = f.inputs.flatMap((key, k): [string, Value][] => (inputs[k] ? [[key, inputs[k]]] : []));
    this.#depth++;
    const graph: FileGraph = { nodes, initializers: new Map(), inputs: [], outputs: f.outputs };
    const scope = new Map(given);
    this.#elements.set(scope, new Map(f.inputs.flatMap((key, k) => (elements[k] ? [[key, elements[k]]] : []))));
    const values = this.graph(graph, scope, new Set(f.inputs));
    this.#depth--;
    const types = this.#elements.get(scope);
    return f.outputs.map((key, k) => {
      const [v, element] = [values.get(key), types?.get(key)];
      if (element) declare(k, element);
      if (!v) throw new ModelError(`${where}: the function does not make its output '${key}'`);
      return v;
    });
  }

  draw(name: string, shape: Shape, from: 'normal' | 'uniform', isChoice = false): Value {
    const { copies = 1 } = this.#options;
    const own = copies > 1 && shape[0] === copies ? [1, ...shape.slice(1)] : shape;
    const drawn = this.arena.input(this.arena.free(name), own, from);
    if (isChoice) this.choices.add(drawn);
    const held = this.#held(drawn);
    if (held) return expand(held, shape);
    return own === shape ? drawn : expand(drawn, shape);
  }

  /** What stands in place of a drawn input; the input is there in any case, so that others keep their names. */
  #held(input: Value): Value | undefined {
    const { held = {} } = this.#options;
    if (input.source.kind !== 'input' || input.source.from === 'data') return undefined;
    const name = nameOf(input);
    return Object.hasOwn(held, name) ? this.arena.constant(held[name]!, [], input.dtype) : undefined;
  }

  known(v: Value): Float64Array | undefined {
    const direct = constantData(v);
    if (direct) {
      this.arena.spend(direct.length >> 2); // who asks will look at them
      return direct;
    }
    if (v.lead !== 'none') return undefined;
    const before = this.#known.get(v);
    if (before) return before;
    const needed = reachable([v]);
    const nodes = needed.filter((x) => x.source.kind === 'node');
    const work = nodes.reduce((sum, x) => sum + sizeOf(x.shape), 0);
    if (sizeOf(v.shape) > MAX_KNOWN[0] || work > MAX_KNOWN[1]) return undefined;
    this.arena.spend(needed.length + work + nodes.reduce((sum, x) => sum + multiplicationsOf(x), 0));
    const leaves = needed.filter((x) => x.source.kind === 'param');
    const bindings = Object.fromEntries(leaves.map((p) => [nameOf(p), this.tensors.weights.get(nameOf(p))!.data]));
    const { data } = interpret({ arena: this.arena, outputs: { v } }, bindings).v!;
    if (data.length <= 2 ** 12) this.#known.set(v, data); // sizes and places, which are asked for again and again
    return data;
  }

  /** What no operator checks for all: a size that can exist, whole numbers where the type says so. */
  check(v: Value): void {
    if (sizeOf(v.shape) > MAX_SIZE) throw new GraphError(`a result of the shape ${shapeText(v.shape)}`);
    const data = v.dtype === 'float' || this.#checked.has(v) ? undefined : constantData(v);
    if (!data) return;
    this.#checked.add(v);
    const odd = data.find((x) => !Number.isInteger(x));
    if (odd !== undefined) throw new GraphError(`gives ${odd} where whole numbers are declared`);
  }

  /** A branch or a loop's body: sees the values around it and those given for its own inputs. */
  inline(graph: FileGraph, inputs: readonly Value[]): readonly Value[] {
    if (this.#depth >= MAX_DEPTH) throw new ModelError(`${this.#name}: graphs within graphs, ${MAX_DEPTH} deep`);
    if (inputs.length < graph.inputs.length) this.#missing(graph.inputs[inputs.length]!.name);
    const own = [...graph.initializers].map(([key, t]) => [key, this.tensors.initializer(key, t)] as const);
    const given = graph.inputs.map((v, k) => [v.name, inputs[k]!] as const);
    this.#depth++;
    // a loop's body has its own copy of the names around it in every round
    this.arena.spend(8 * (this.#around?.size ?? 0));
    const values = this.graph(graph, new Map([...(this.#around ?? []), ...own, ...given]));
    this.#depth--;
    return graph.outputs.map((key) => values.get(key) ?? this.#missing(key));
  }

  #missing(key: string): never {
    throw new ModelError(`${this.#name}: a graph's output '${key}' is not made by any node`);
  }
}

/** Throws a ModelError for a sequence of tensors. */
export function tensorOf(output: Value, key: string, name: string): Value {
  if (!(output instanceof Sequence)) return output;
  throw new ModelError(`${name}: output '${key}' is a sequence of tensors, expected a tensor`);
}
