// The tensors of an ONNX file as values of the graph, each in its role: parameters, what is made of them, constants;
// and what there is to say of them.

import { defined } from '../defined.ts';
import { ModelError } from '../errors.ts';
import { type Arena, nameOf, type Value } from '../graph/index.ts';
import { reshape, transpose } from '../ops/index.ts';
import { type Shape, shapeText } from '../tensor/shape.ts';
import type { FileModel, FileTensor } from './file.ts';
import type { Folded, ParameterTable, Role } from './roles.ts';
import { type Stop, stopsIn } from './stops.ts';

/** What was made of the tensors of a file, as far as it needs saying. */
export interface ParameterReport {
  /** How many parameters the exported model had, where the file says so. */
  readonly declared?: number;
  /** Those of them that the file does not give the norm of. */
  readonly folded: readonly Folded[];
  /** Tensors of which it is not sure what they are. */
  readonly doubtful: readonly { readonly name: string; readonly parameter: boolean; readonly reason: string }[];
  /** Nodes through which no gradient goes, though parameters come before them. */
  readonly stopped: readonly Stop[];
  /**
   * What distinguishes this reading from one in which every tensor of floats is a parameter; empty where nothing does.
   */
  readonly reading: string;
}

/** What a user can do about parameters that the exporter has computed away. */
export const CURE = 'export with torch.onnx.export(…, dynamo=True, optimize=False)';

/** Which parameters are wanted, and learned. */
export interface ParameterOptions {
  /**
   * Which parameters' norms are wanted; default all that receive a gradient. Takes tensors whose role is doubtful, too.
   */
  readonly params?: RegExp;
  /** Parameters that are not learned. */
  readonly frozen?: RegExp;
}

export class Tensors {
  /** Tensors of the parameters, by the parameter's name. */
  readonly weights = new Map<string, FileTensor>();
  /** What is read otherwise than it would be if every tensor of floats were a parameter, by name. */
  readonly reading = new Map<string, string>();
  /** Values of tensors: of parameters, of what is made of them, and of constants. */
  readonly #values = new Map<FileTensor, Value>();
  /** Parameters by the name that the table gives them. */
  readonly #parameters = new Map<string, Value>();
  readonly #doubtful = new Map<string, { readonly parameter: boolean; readonly reason: string }>();
  readonly #arena: Arena;
  readonly #table: ParameterTable;
  readonly #options: ParameterOptions;

  constructor(arena: Arena, table: ParameterTable, options: ParameterOptions) {
    this.#arena = arena;
    this.#table = table;
    this.#options = options;
  }

  /** Floats are what the table says; all else is a constant. */
  initializer(name: string, t: FileTensor): Value {
    if (t.dtype !== 'float') return this.#arena.constant(t.data, t.shape, t.dtype);
    // A loop's body comes by more than once with the same tensor; another body may have another tensor of that name.
    const known = this.#values.get(t);
    if (known) return known;
    const value = this.inRole(name, t, this.#table.roles.get(t)!);
    this.#values.set(t, value);
    return value;
  }

  /** A tensor in its role; `name`: what the file calls it. */
  inRole(name: string, t: FileTensor, role: Role): Value {
    const asked = this.#options.params?.test(name);
    if (role.kind === 'constant' && !(role.doubtful && asked)) {
      if (role.doubtful) this.#doubtful.set(name, { parameter: false, reason: role.reason });
      if (role.matters && asked !== false) this.reading.set(name, '');
      return this.#arena.constant(t.data, t.shape);
    }
    const own = role.kind === 'constant' ? name : role.name;
    const doubt = role.kind === 'constant' ? role.reason : role.doubt;
    if (doubt) this.#doubtful.set(name, { parameter: asked ?? true, reason: doubt });
    if (own !== name) this.reading.set(name, own);
    const layout = role.kind === 'constant' ? undefined : role.layout;
    const parameter = this.#parameter(own, this.#table.tensors.get(own) ?? t);
    return layout ? reshape(transpose(parameter, layout.perm), t.shape) : parameter;
  }

  #parameter(name: string, t: FileTensor): Value {
    const known = this.#parameters.get(name);
    if (known && this.weights.get(nameOf(known)) === t) return known;
    let free = name;
    for (let k = 2; this.weights.has(free); k++) free = `${name}#${k}`;
    this.weights.set(free, t);
    const { params, frozen } = this.#options;
    const trainable = (params?.test(name) ?? true) && !frozen?.test(name);
    const value = this.#arena.param(free, t.shape, { trainable });
    this.#parameters.set(name, value);
    return value;
  }

  /** What is to be said of the parameters among those that the loss depends on. */
  report(params: readonly Value[], file: FileModel): ParameterReport {
    const { folded, declared } = this.#table;
    const there = new Set(params.map(nameOf));
    const doubtful = [...this.#doubtful].flatMap(([name, d]) =>
      d.parameter && !there.has(name) ? [] : [{ name, ...d }],
    );
    const reading = this.reading.size === 0 ? '' : JSON.stringify([...this.reading].sort());
    return {
      ...defined({ declared }),
      folded,
      doubtful,
      stopped: stopsIn(file, this.#table),
      reading,
    };
  }

  /** For the message that there are no parameters: what has become of those that there could be. */
  whyNone(): string {
    const { folded } = this.#table;
    if (folded.length > 0) {
      return `: all ${folded.length} are lost, the first, '${folded[0]!.name}', ${folded[0]!.reason}; ${CURE}`;
    }
    const [first] = this.#doubtful;
    return first ? `: '${first[0]}' is taken for a constant (${first[1].reason}); \`params\` takes it` : '';
  }
}

/**
 * A tensor's numbers in float32, as they stand in the file where they are that there: a large model is not copied, nor
 * read before it is used.
 */
export class Weight {
  readonly shape: Shape;
  readonly #tensor: FileTensor;
  /** For messages: the file and the parameter. */
  readonly #where: string;
  #data: Float32Array | undefined;

  constructor(tensor: FileTensor, where: string) {
    this.shape = tensor.shape;
    this.#tensor = tensor;
    this.#where = where;
  }

  get data(): Float32Array {
    if (this.#data) return this.#data;
    const { data } = this.#tensor;
    this.#data = data instanceof Float32Array ? data : Float32Array.from(data);
    checkWeight(this.#data, data, `${this.#where} ${shapeText(this.shape)}`);
    return this.#data;
  }
}

/**
 * A weight that is no number spoils every example, and the data would be blamed. −∞ alone may stand in a file: masks
 * before a softmax are made of it.
 */
function checkWeight(data: Float32Array, original: ArrayLike<number>, where: string): void {
  for (let i = 0; i < data.length; i++) {
    const v = data[i]!;
    if (v - v === 0 || v === -Infinity) continue;
    const found = Number.isFinite(original[i]!) ? `${original[i]}, which is beyond float32` : String(v);
    throw new ModelError(`${where} holds ${found} at element ${i}: the model's weights are damaged, not the data`);
  }
}
