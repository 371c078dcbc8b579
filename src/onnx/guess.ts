// A file that does not say which of its tensors are parameters, in; what the rule of docs/onnx.md makes of each, out.
//
// In this order: where a tensor is used, what its numbers look like, who named it. What the rule is not sure of carries
// its reason.

import { defined } from '../defined.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { FileModel, FileNode, FileTensor } from './file.ts';
import { layoutOf } from './layout.ts';
import { areWhole, fewValues, headOf, isProgression, isSinusoidal, isUniform, lastOf } from './numbers.ts';
import { type Place, placesOf } from './places.ts';
import { type Assignment, type Folded, graphsWithin, type Role } from './roles.ts';

interface Candidate {
  readonly name: string;
  readonly tensor: FileTensor;
  readonly places: ReadonlySet<Place>;
  /** Whether the exporter made the name up. */
  readonly made: boolean;
}

export function guessedParameters(file: FileModel): Assignment {
  const places = placesOf(file);
  const roles = new Map<FileTensor, Role>();
  const named: Candidate[] = [];
  for (const graph of graphsWithin(file.graph)) {
    for (const [name, tensor] of graph.initializers) {
      if (tensor.dtype !== 'float' || roles.has(tensor)) continue;
      const made = isMade(name, file);
      const candidate = { name, tensor, places: places.get(name) ?? new Set<Place>(), made };
      roles.set(tensor, roleOf(candidate, file));
      named.push(candidate);
    }
  }
  const identities = new Map<FileNode, Role>();
  for (const node of file.graph.nodes) {
    const tensor = file.graph.initializers.get(node.inputs[0] ?? '');
    const name = node.outputs[0] ?? '';
    if (node.op !== 'Identity' || tensor?.dtype !== 'float' || !standsForAnother(node, file)) continue;
    identities.set(node, roleOf({ name, tensor, places: places.get(name) ?? new Set(), made: false }, file));
  }
  const tensors = tieEqual(named, roles, file);
  const folded = partlyFolded(named, roles);
  return { roles, tensors, operands: new Map(), identities, folded };
}

function roleOf(candidate: Candidate, file: FileModel): Role {
  const role = guessedRole(candidate, file);
  const { name, made } = candidate;
  if (role.kind !== 'parameter' || role.doubt || made || file.producer !== 'pytorch' || OF_MODULES.test(name))
    return role;
  return { ...role, doubt: 'a parameter or a buffer: TorchScript does not say which' };
}

function guessedRole({ name, tensor, places, made }: Candidate, file: FileModel): Role {
  const parameter = (doubt?: string): Role => ({ kind: 'parameter', name, ...defined({ doubt }) });
  const constant = (reason: string): Role => ({ kind: 'constant', reason, doubtful: true, matters: true });
  const within = (...some: Place[]) => some.some((place) => places.has(place));
  const values = fewValues(tensor);
  const affine = within('affine') && sizeOf(tensor.shape) > 1;

  if (places.size === 0 || !within('weight', 'table', 'bias', 'scale', 'affine', 'add', 'multiply')) {
    if (within('statistics')) return { kind: 'constant', reason: 'running statistics' };
    if (within('bound')) return { kind: 'constant', reason: 'an exponent or a bound', doubtful: !made, matters: true };
    return { kind: 'constant', reason: 'no gradient goes to it' };
  }
  if (NOT_LEARNED.test(name) || ofSpectralNorm(name, file)) return constant('its name says that it is not learned');
  if (isLow(values)) return constant('as low as masks are');
  if (isSigns(values) && !within('bias', 'scale')) return constant('zeros and ones, or signs, as masks are');
  if (within('table') && tensor.shape.length === 1) {
    return constant('a list of numbers, read at places that the inputs give');
  }
  if (within('weight', 'table'))
    return parameter(made ? 'named by the exporter: it may be computed from parameters' : undefined);
  if (within('bias', 'scale') || affine) {
    if (made && isUniform(tensor)) return constant(`all ${values[0]}, named by the exporter`);
    return parameter(made ? 'named by the exporter: it may be computed from parameters' : undefined);
  }
  if (sizeOf(tensor.shape) === 1) {
    return file.producer === 'pytorch' && !made ? parameter('a single number') : constant('a single number');
  }
  if (made) return constant('named by the exporter, and not in the place of a weight');
  if (isProgression(tensor)) return constant('numbers at equal steps, as positions are');
  if (isSinusoidal(tensor)) return constant('a table of sines and cosines');
  return parameter();
}

/** PyTorch's names for what its modules keep and do not learn; a normalisation of the data. */
const NOT_LEARNED = named(
  String.raw`\w*mask|position_ids|positions|pos_ids|pe`,
  String.raw`running_(mean|var)|num_batches_tracked|(\w+_)?inv_freq|eps|epsilon`,
  String.raw`((pixel|input|data|image|x)_)?(mean|std)|base(_dist\w*)?[._](loc|scale|mean|std)`,
  String.raw`parametrizations\.\w+\.\d+\._[uv]`,
);

/** Whether a name, or its last part, is one of these, in capitals or not. */
function named(...patterns: string[]): RegExp {
  return new RegExp(`(^|[._/])(${patterns.join('|')})$`, 'i');
}

/** PyTorch's first spectral_norm keeps two vectors beside the weight it starts from. */
function ofSpectralNorm(name: string, file: FileModel): boolean {
  const [, stem] = /^(.*)_[uv]$/.exec(name) ?? [];
  return stem !== undefined && file.graph.initializers.has(`${stem}_orig`);
}

/**
 * Names of parameters of PyTorch's own modules. TorchScript says of no tensor whether it is a parameter or a buffer;
 * those that a model names itself may be either.
 */
const OF_MODULES =
  /(^|\.)(weight|bias|in_proj_weight|in_proj_bias|[qkv]_proj_weight|bias_[kv]|(weight|bias)_([ih]h|hr)(_l\d+(_reverse)?)?|weight_(g|v|orig)|original[01]?)$/;

/** Names that exporters make up for what has none. */
const MADE = [
  /^onnx::/, // TorchScript
  /^\d+$/, // TorchScript before 1.13
  /^\/|_output_\d+$/, // TorchScript, values within a module
  /^val_\d+$/, // PyTorch's exporter
  /^(scalar_tensor_default|_?tensor_constant|lifted_tensor|lift_fresh_copy)_?\d*$/,
  /^(const_fold_opt_|new_shape_|const_|constant_?|cst_?|ortshared_)_*\w*\d+$/i, // tf2onnx, graph optimisers
  /^(arr|const|literal|scalar|var)_?\d+$/, // jax2onnx
  /__\d+$/, // tf2onnx, what it makes itself: an LSTM's packed bias, say
  /^(?!.*(ReadVariableOp|embedding_lookup|\/read\b)).*:\d+$/, // TensorFlow: all that is not a variable
];

/** To jax2onnx all parameters are constants without a name. */
function isMade(name: string, file: FileModel): boolean {
  return file.producer === 'jax2onnx' || MADE.some((pattern) => pattern.test(name));
}

/** Zeros and a number that is as good as −∞. */
const isLow = (values: readonly number[]): boolean => values.length <= 2 && values.some((x) => x <= -1e4);

const isSigns = (values: readonly number[]): boolean =>
  values.length > 1 && values.every((x) => x === 0 || x === 1 || x === -1);

/**
 * PyTorch's TorchScript exporter merges parameters that happen to be equal, by an Identity that has the other's name. A
 * copy that the model itself makes is named by the exporter, and stays the same parameter; so does every Identity in
 * the files of others.
 */
function standsForAnother(node: FileNode, file: FileModel): boolean {
  const [from, to] = [node.inputs[0]!, node.outputs[0]!];
  if (isMade(to, file) || file.graph.outputs.includes(to)) return false;
  const leaf = (name: string) => name.slice(name.lastIndexOf('.') + 1);
  return file.producer === 'pytorch' || (!file.producer && to.includes('.') && leaf(from) === leaf(to));
}

/** The least number of elements for which equal numbers are no accident. */
const TIED_SIZE = 16;

/**
 * Tensors with the same numbers, as they are or transposed, are one parameter: exporters transpose a copy of a tied
 * weight. Not where all numbers are equal, as before training, nor two tensors to which PyTorch gave names of their
 * own. Returns the parameters' own tensors.
 */
function tieEqual(
  candidates: readonly Candidate[],
  roles: Map<FileTensor, Role>,
  file: FileModel,
): Map<string, FileTensor> {
  const tensors = new Map<string, FileTensor>();
  const known = new Map<string, Candidate[]>();
  for (const candidate of [...candidates.filter(({ made }) => !made), ...candidates.filter(({ made }) => made)]) {
    const { tensor, made } = candidate;
    if (roles.get(tensor)?.kind !== 'parameter' || sizeOf(tensor.shape) < TIED_SIZE || isUniform(tensor)) continue;
    if (!made && (file.producer === 'pytorch' || areWhole(tensor))) {
      remember(known, candidate);
      continue;
    }
    const other = (known.get(fingerprint(tensor)) ?? []).find((c) => layoutFor(c, candidate));
    if (!other) remember(known, candidate);
    else {
      tensors.set(other.name, other.tensor);
      roles.set(tensor, { kind: 'parameter', name: other.name, layout: layoutFor(other, candidate)! });
    }
  }
  return tensors;
}

/**
 * Parameters of which a tensor that the exporter made is a multiple, or a masked copy: a part of their gradient goes
 * there, so that their norm would be wrong. They become constants.
 */
function partlyFolded(candidates: readonly Candidate[], roles: Map<FileTensor, Role>): Folded[] {
  const copies = candidates.filter(({ made, tensor }) => made && sizeOf(tensor.shape) >= 4);
  return candidates.flatMap(({ name, tensor, made }): Folded[] => {
    const role = roles.get(tensor);
    if (made || role?.kind !== 'parameter' || isUniform(tensor)) return [];
    const part = copies.find((m) => isPartOf(m.tensor, tensor));
    if (!part) return [];
    const reason = `a part of it is computed into '${part.name}'`;
    roles.set(tensor, { kind: 'constant', reason, matters: true });
    return [{ name, reason }];
  });
}

/**
 * Whether `t` is `of` times a number other than 1, or `of` with some elements put to zero; as it is or, for matrices,
 * transposed.
 */
function isPartOf(t: FileTensor, of: FileTensor): boolean {
  if (sizeOf(t.shape) !== sizeOf(of.shape) || isUniform(t)) return false;
  const [rows = 1, columns = 1] = of.shape.filter((d) => d !== 1);
  const places = [(i: number) => i, (i: number) => (i % rows) * columns + Math.floor(i / rows)];
  return places.slice(0, of.shape.filter((d) => d !== 1).length === 2 ? 2 : 1).some((place) => {
    const at = (i: number) => of.data[place(i)]!;
    const first = t.data.findIndex((x, i) => x !== 0 && at(i) !== 0);
    if (first < 0) return false;
    const ratio = t.data[first]! / at(first);
    let [zeros, others] = [0, 0];
    for (let i = 0; i < t.data.length; i++) {
      const [x, y] = [t.data[i]!, ratio * at(i)];
      if (Math.abs(x - y) <= 1e-6 * Math.abs(y)) others++;
      else if (x === 0 && ratio === 1) zeros++;
      else return false;
    }
    return others >= 4 && (ratio !== 1 || zeros > 0);
  });
}

/** What a tensor has in common with its transpositions. */
const fingerprint = (t: FileTensor): string => `${sizeOf(t.shape)} ${headOf(t)[0]} ${lastOf(t)}`;

function remember(known: Map<string, Candidate[]>, candidate: Candidate): void {
  const key = fingerprint(candidate.tensor);
  known.set(key, [...(known.get(key) ?? []), candidate]);
}

/** A copy named by the exporter is transposed for a matrix product; two such copies are alike. */
function layoutFor(from: Candidate, to: Candidate) {
  const transposed = to.made && !from.made;
  return layoutOf(from.tensor, to.tensor, transposed ? [1, 0] : [0, 1]);
}
