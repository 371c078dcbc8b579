// What PyTorch's exporter writes about a file's tensors, in; which are parameters, which have been folded, fused or
// merged, out.
//
// The exporter lists the module's parameters (graph_signature), marks their initialisers (InputSpec.kind), and writes
// on each node which operation of the traced program it comes from and with which operands (fx_node). Its optimiser
// then computes expressions of initialisers (folded_from), fuses nodes (rule_name), merges equal initialisers of up to
// 1024 elements and equal nodes: of these merges only fx_node tells.

import { defined } from '../defined.ts';
import { sizeOf } from '../tensor/shape.ts';
import {
  FOLDED_FROM,
  FX,
  fxOperands,
  KIND,
  leafOf,
  listOf,
  moduleOf,
  type Param,
  PLACEHOLDER,
  parentOf,
  RULE,
  SIGNATURE,
  signatureOf,
  targetOf,
  tiedTogether,
} from './exported.ts';
import type { FileModel, FileNode, FileTensor, Notes } from './file.ts';
import { type Layout, layoutOf, withoutLayout } from './layout.ts';
import { isUniform } from './numbers.ts';
import { placesOf } from './places.ts';
import { type Assignment, type Folded, type Role, type Use, usesOf } from './roles.ts';

/** The largest initialisers that the exporter merges when they are equal. */
const MERGED_SIZE = 1024;

/** A tensor of the file that is a parameter, or a copy of one with its axes moved. */
interface Copy {
  readonly key: string;
  readonly tensor: FileTensor;
  readonly param: string;
  readonly layout?: Layout;
}

export function signedParameters(file: FileModel): Assignment {
  return new Signature(file).table();
}

class Signature {
  readonly #file: FileModel;
  readonly #params: readonly Param[];
  /** By each name of a parameter. */
  readonly #byName: ReadonlyMap<string, Param>;
  readonly #uses: Map<string, Use[]>;
  /** By name of the initialiser. */
  readonly #copies = new Map<string, Copy>();
  /** Parameters whose numbers would be wrong, or that are not there at all. */
  readonly #lost = new Map<string, string>();
  readonly #operands = new Map<FileNode, Map<number, Role>>();
  readonly #tensors = new Map<string, FileTensor>();

  constructor(file: FileModel) {
    this.#file = file;
    this.#uses = usesOf(file.graph);
    const declared = signatureOf(file.graph.notes![SIGNATURE]!);
    this.#params = tiedTogether(declared, file);
    this.#byName = new Map(declared.map((p, i) => [p.name, this.#params[i]!]));
  }

  table(): Assignment {
    const names = [...new Set(this.#params.map((p) => p.name))];
    this.#findMarked();
    this.#findFolded();
    const there = new Set([...this.#copies.values()].map((c) => c.param));
    const missing = new Set(names.filter((name) => !there.has(name) && !this.#lost.has(name)));
    this.#separateMerged(missing);
    for (const name of missing) this.#lost.set(name, this.#whyMissing(name));
    return {
      roles: this.#roles(),
      tensors: this.#tensors,
      operands: this.#kept(),
      identities: new Map(),
      folded: names.flatMap((name): Folded[] => {
        const reason = this.#lost.get(name);
        return reason === undefined ? [] : [{ name, reason }];
      }),
      declared: names.length,
    };
  }

  /** Initialisers that are parameters as they are. */
  #findMarked(): void {
    const { initializers, valueNotes = new Map<string, Notes>() } = this.#file.graph;
    const marks = [...valueNotes.values()].some((notes) => notes[KIND] !== undefined);
    for (const [key, tensor] of initializers) {
      const notes = valueNotes.get(key) ?? {};
      if (tensor.dtype !== 'float' || (marks && notes[KIND] !== 'PARAMETER')) continue;
      // Early versions mark nothing: there a parameter is known by its name, unless a fusion has put another tensor in
      // its place.
      if (!marks && (this.#uses.get(key) ?? []).some(({ node }) => node.notes?.[RULE] !== undefined)) continue;
      const param = this.#params.find((p) => p.placeholder === notes[PLACEHOLDER]) ?? this.#byName.get(key);
      if (param) this.#copies.set(key, { key, tensor, param: param.name });
    }
  }

  /** Initialisers that the optimiser computed from parameters: copies with their axes moved, and all others. */
  #findFolded(): void {
    const { initializers, valueNotes = new Map<string, Notes>() } = this.#file.graph;
    const copies = new Map<string, { key: string; tensor: FileTensor; expected: readonly number[] | undefined }[]>();
    for (const [key, tensor] of initializers) {
      const sources = listOf(valueNotes.get(key)?.[FOLDED_FROM] ?? '');
      if (tensor.dtype !== 'float' || sources.length === 0) continue;
      const params = [...new Set(sources.flatMap((source) => this.#byName.get(source)?.name ?? []))];
      if (params.length === 0) continue;
      const others = sources.filter((source) => !this.#byName.has(source));
      const uses = this.#uses.get(key) ?? [];
      if (params.length === 1 && isMoved(key, others, uses)) {
        const found = { key, tensor, expected: expectedOrder(key, tensor, others, uses) };
        copies.set(params[0]!, [...(copies.get(params[0]!) ?? []), found]);
        continue;
      }
      const of = params.length === 1 ? '' : ` with ${params.length - 1} other${params.length === 2 ? '' : 's'}`;
      for (const name of params) this.#lost.set(name, `computed into the constant '${key}'${of}`);
    }
    for (const [name, list] of copies) this.#joinCopies(name, list);
  }

  /**
   * Several copies of one parameter are made from one tensor: the initialiser itself where it is there, else the first.
   */
  #joinCopies(
    name: string,
    list: readonly { key: string; tensor: FileTensor; expected: readonly number[] | undefined }[],
  ): void {
    let base = [...this.#copies.values()].find((c) => c.param === name)?.tensor;
    if (base) this.#tensors.set(name, base);
    for (const { key, tensor, expected } of list) {
      if (!base) {
        const layout = ownLayout(tensor, expected, this.#uses.get(key) ?? []);
        base = withoutLayout(tensor, layout);
        this.#tensors.set(name, base);
        this.#copies.set(key, { key, tensor, param: name, layout });
        continue;
      }
      const layout = layoutOf(base, tensor, expected);
      if (layout) this.#copies.set(key, { key, tensor, param: name, layout });
      else this.#lost.set(name, `split: '${key}' is made of it in a way that cannot be told`);
    }
  }

  /**
   * Operands whose node says that they are another parameter than the initialiser's own. `missing`: parameters that no
   * initialiser is; those that are found leave it.
   */
  #separateMerged(missing: Set<string>): void {
    const found = new Map<string, { readonly use: Use; readonly copy: Copy }[]>();
    const unclear = new Set<string>();
    for (const group of this.#programNodes()) {
      const wanted = group.params.filter((name) => missing.has(name));
      const used = group.uses;
      const foreign = used.filter(({ copy }) => !group.params.includes(copy.param));
      for (const { use, copy } of used) {
        if (foreign.some((u) => u.use === use)) continue;
        const layout = layoutAt(use, copy);
        if (layout !== copy.layout) this.#setOperand(use, copy.param, layout);
      }
      if (wanted.length === 0) {
        for (const { use, copy } of foreign) if (mayBeMerged(use.node, copy, missing)) this.#unsure(copy, missing);
        continue;
      }
      const repeated = used.filter((u, i) => !foreign.includes(u) && used.findIndex((v) => v.copy === u.copy) < i);
      const either = used.filter((u) => foreign.includes(u) || repeated.includes(u));
      const candidates = foreign.length === wanted.length ? foreign : either;
      if (candidates.length !== wanted.length) {
        for (const name of wanted) unclear.add(name);
        for (const { copy } of candidates) this.#unsure(copy, new Set(wanted));
        continue;
      }
      for (const [name, one] of matched(wanted, candidates)) found.set(name, [...(found.get(name) ?? []), one]);
    }
    for (const [name, list] of found) {
      const { copy } = list[0]!;
      if (unclear.has(name) || list.some((one) => one.copy !== copy)) {
        for (const one of list) this.#unsure(one.copy, new Set([name]));
        continue;
      }
      missing.delete(name);
      this.#tensors.set(name, copy.layout ? withoutLayout(copy.tensor, copy.layout) : copy.tensor);
      for (const { use } of list) this.#setOperand(use, name, layoutAt(use, copy));
    }
    this.#suspectTwins(missing);
  }

  #setOperand({ node, operand }: Use, name: string, layout: Layout | undefined): void {
    const operands = this.#operands.get(node) ?? new Map<number, Role>();
    this.#operands.set(node, operands.set(operand, { kind: 'parameter', name, ...defined({ layout }) }));
    if (!this.#tensors.has(name)) {
      const copy = [...this.#copies.values()].find((c) => c.param === name);
      if (copy && !copy.layout) this.#tensors.set(name, copy.tensor);
    }
  }

  /**
   * Where nodes were equal once their parameters were merged, one of them is left, and nothing speaks of the other's
   * parameters.
   */
  #suspectTwins(missing: ReadonlySet<string>): void {
    const said = new Set(this.#file.graph.nodes.flatMap((node) => fxOperands(node)));
    for (const name of missing) {
      if (this.#file.graph.initializers.has(name)) continue; // fused in place
      if (this.#params.some((p) => p.name === name && said.has(p.placeholder))) continue;
      for (const copy of this.#copies.values()) if (areTwins(copy, name)) this.#unsure(copy, new Set([name]));
    }
  }

  #unsure(copy: Copy, others: ReadonlySet<string>): void {
    const [some] = others;
    this.#lost.set(copy.param, `may be merged with '${some}', which had equal values`);
  }

  /** The nodes of each operation of the traced program, with the parameters it has and the initialisers they use. */
  #programNodes(): { params: string[]; uses: { use: Use; copy: Copy }[] }[] {
    const groups = new Map<string, { params: string[]; uses: { use: Use; copy: Copy }[] }>();
    for (const node of this.#file.graph.nodes) {
      const text = node.notes?.[FX];
      if (text === undefined) continue;
      const operands = fxOperands(node);
      const params = operands.flatMap((key) => this.#params.find((p) => p.placeholder === key)?.name ?? []);
      const group = groups.get(text) ?? { params: [...new Set(params)], uses: [] };
      groups.set(text, group);
      for (const [operand, key] of node.inputs.entries()) {
        const copy = this.#copies.get(key);
        if (copy && !operands.includes(copy.key)) group.uses.push({ use: { node, operand }, copy });
      }
    }
    return [...groups.values()];
  }

  #whyMissing(name: string): string {
    const fused = this.#file.graph.initializers.has(name) && (this.#uses.get(name) ?? [])[0]?.node;
    if (fused) return `fused with others into ${fused.op} '${fused.name}'`;
    const { placeholder } = this.#params.find((p) => p.name === name)!;
    const user = this.#file.graph.nodes.find((node) => fxOperands(node).includes(placeholder));
    if (!user) return 'not in the file';
    return `gone from ${user.op} '${user.name}'${user.notes?.[RULE] === undefined ? '' : ` (${user.notes[RULE]})`}`;
  }

  #roles(): Map<FileTensor, Role> {
    const { initializers, valueNotes = new Map<string, Notes>() } = this.#file.graph;
    const roles = new Map<FileTensor, Role>();
    const places = placesOf(this.#file);
    for (const [key, tensor] of initializers) {
      if (tensor.dtype !== 'float') continue;
      const copy = this.#copies.get(key);
      if (copy && !this.#lost.has(copy.param)) {
        const { param: name, layout } = copy;
        roles.set(tensor, { kind: 'parameter', name, ...defined({ layout }) });
        continue;
      }
      const kind = valueNotes.get(key)?.[KIND];
      const reason = copy ? `the parameter '${copy.param}', in part` : kind === 'BUFFER' ? 'a buffer' : 'a constant';
      const matters = [...(places.get(key) ?? [])].some((place) => place !== 'none' && place !== 'statistics');
      roles.set(tensor, { kind: 'constant', reason, matters });
    }
    return roles;
  }

  /** Operands of parameters that turned out to be lost are constants. */
  #kept(): Map<FileNode, Map<number, Role>> {
    const kept = new Map<FileNode, Map<number, Role>>();
    for (const [node, operands] of this.#operands) {
      const roles = [...operands].map(([operand, role]): [number, Role] => {
        const lost = role.kind === 'parameter' && this.#lost.has(role.name);
        return [operand, lost ? { kind: 'constant', reason: 'merged with another parameter', matters: true } : role];
      });
      kept.set(node, new Map(roles));
    }
    return kept;
  }
}

/** Values of the traced program that have the elements of what they are made of, each once. */
const MOVES =
  /^(permute|transpose|t|numpy_t|movedim|swapaxes|view|_?unsafe_view|reshape|flatten|unflatten|unsqueeze|squeeze|clone|contiguous|alias|_?to_copy|lift_fresh_copy)(_\d+)?$/;
/** Values that no parameter goes into. */
const CREATED = /^((new_)?(zeros|ones|full|empty)|arange|scalar_tensor|scalar_tensor_default|sym_size(_int)?)(_\d+)*$/;
/** What the exporter calls values within one operation. */
const INNER = /^val_\d+$/;
/** Operations for which the exporter only moves the axes of their parameters. */
const MOVING =
  /^aten\.(_?linear|addmm|mm|bmm|matmul|convolution|conv\d?d|conv_transpose\d?d|embedding|index|index_select|gather|(native_)?group_norm|(native_)?layer_norm|instance_norm|_?(native_)?batch_norm\w*|(_fused_)?rms_norm|prelu|_prelu_kernel|lstm|gru|rnn_tanh|rnn_relu)\b/;

/** Whether an initialiser of one parameter has its elements and nothing else. */
function isMoved(key: string, others: readonly string[], uses: readonly Use[]): boolean {
  const named = [key, ...others].filter((name) => !INNER.test(name));
  if (!named.every((name) => MOVES.test(name) || (name !== key && CREATED.test(name)))) return false;
  return !INNER.test(key) || (uses.length > 0 && uses.every(({ node }) => MOVING.test(targetOf(node))));
}

/** The order of axes in which the exporter gives a parameter to an operation. */
function expectedOrder(
  key: string,
  tensor: FileTensor,
  others: readonly string[],
  uses: readonly Use[],
): readonly number[] | undefined {
  const linear = INNER.test(key) && uses.every(({ node }) => /^aten\._?linear\b/.test(targetOf(node)));
  if (others.some((name) => MOVES.test(name))) return undefined;
  return linear && tensor.shape.length === 2 ? [1, 0] : undefined;
}

/** How a lone copy was made of its parameter, as far as its operation says. */
function ownLayout(tensor: FileTensor, expected: readonly number[] | undefined, uses: readonly Use[]): Layout {
  const { shape } = tensor;
  if (expected) return { shape: expected.map((axis) => shape[axis]!), perm: expected };
  const vector = /norm|prelu/;
  const recurrent = /^aten\.(lstm|gru|rnn_)/;
  const of = uses.map(({ node }) => targetOf(node));
  const own =
    of.every((target) => vector.test(target)) && shape.filter((d) => d !== 1).length <= 1
      ? [sizeOf(shape)]
      : of.every((target) => recurrent.test(target))
        ? shape.slice(1)
        : shape;
  return { shape: own, perm: own.map((_, axis) => axis) };
}

/**
 * How an operand is made of its parameter. A symmetric matrix (an identity, before training) and its transposition are
 * equal, hence merged; that one of them was transposed follows from the operation alone.
 */
function layoutAt({ node, operand }: Use, { tensor, layout }: Copy): Layout | undefined {
  const { shape } = tensor;
  if (shape.length !== 2 || shape[0] !== shape[1] || operand !== 1) return layout;
  const linear = /^aten\._?linear\b/.test(targetOf(node));
  if (linear && node.op === 'MatMul' && !layout) return { shape, perm: [1, 0] };
  if (linear && node.op === 'Gemm' && layout?.perm.join() === '1,0') return undefined;
  const plain = /^aten\.(matmul|mm)\b/.test(targetOf(node)) && node.op === 'MatMul';
  return plain && layout?.perm.join() === '1,0' && isSymmetric(tensor) ? undefined : layout;
}

function isSymmetric({ shape, data }: FileTensor): boolean {
  const n = shape[0]!;
  return data.every((x, i) => x === data[(i % n) * n + Math.floor(i / n)]);
}

/**
 * Pairs parameters with the operands that are theirs: by the last part of the name where that is clear, else in their
 * order.
 */
function matched<T extends { readonly copy: Copy }>(names: readonly string[], candidates: readonly T[]): [string, T][] {
  const byLeaf = names.map((name) => candidates.filter(({ copy }) => leafOf(copy.param) === leafOf(name)));
  const clear = byLeaf.every((list) => list.length === 1) && new Set(byLeaf.flat()).size === names.length;
  return names.map((name, i) => [name, clear ? byLeaf[i]![0]! : candidates[i]!]);
}

/** Whether an operand that its node does not speak of may be one of the parameters that are missing. */
function mayBeMerged(node: FileNode, copy: Copy, missing: ReadonlySet<string>): boolean {
  const module = moduleOf(node);
  if (sizeOf(copy.tensor.shape) > MERGED_SIZE || module === parentOf(copy.param)) return false;
  return [...missing].some((name) => module === '' || name.startsWith(`${module}.`));
}

/** Whether a parameter that nothing speaks of may have been equal to one that is there, and used in the same way. */
function areTwins({ tensor, param }: Copy, name: string): boolean {
  if (sizeOf(tensor.shape) > MERGED_SIZE || leafOf(param) !== leafOf(name)) return false;
  const [module, other] = [parentOf(param), parentOf(name)];
  const uniform = isUniform(tensor);
  return uniform ? parentOf(module) === parentOf(other) : leafOf(module) === leafOf(other);
}
