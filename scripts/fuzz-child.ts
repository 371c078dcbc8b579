// A format, a seed and a number in; one damaged file of that format made, read by the product's reader and judged.
//
// Over 500 lines, because seeds, damage and readers of all formats are one table that one wants to see together.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { unzipSync, zipSync } from 'fflate';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { crc32 } from '../src/data/crc32.ts';
import type { Dataset } from '../src/data/dataset.ts';
import { idxDataset, readIdx, writeIdx } from '../src/data/idx.ts';
import { decodeImage } from '../src/data/images.ts';
import { readNpz, writeNpy } from '../src/data/npy.ts';
import { openNpz } from '../src/data/npz.ts';
import { openParquet } from '../src/data/parquet.ts';
import { fitDetectors, formatDetector, parseDetector, scoreTable } from '../src/detectors/file.ts';
import { FisherError } from '../src/errors.ts';
import { normGraph } from '../src/features/norms.ts';
import { checkTable, type FeatureTable } from '../src/features/table.ts';
import { decodeTable, encodeTable } from '../src/features/table-formats.ts';
import { type OnnxAttr, reachable } from '../src/graph/index.ts';
import { lower } from '../src/lower/index.ts';
import { encode, type OnnxModel, operators } from '../src/onnx/index.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  create,
  fromBinary,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProto_DataLocation,
  TensorProtoSchema,
  toBinary,
} from '../src/onnx/proto.ts';
import { loadOnnx } from '../src/store/onnx.ts';
import { readSafetensors, writeSafetensors } from '../src/store/safetensors.ts';
import { hashName, threefry2x32 } from '../src/tensor/random.ts';
import { sizeOf } from '../src/tensor/shape.ts';

/** What may come out: read, refused as it should be, or neither, with the reason. */
export type Outcome = { readonly kind: 'read' | 'refused' | 'finding'; readonly text: string; readonly stack?: string };

/** A valid file, with a second one beside it where the format has that. */
interface Sample {
  readonly bytes: Uint8Array;
  readonly beside?: Uint8Array;
}

interface Format {
  readonly extension: string;
  samples(): Promise<Sample[]>;
  /** Damage below the container: lengths and checksums around it are right again. */
  inside?(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array;
  /** Reads the file and checks what it holds; gives the content as text if that is protected by checksums. */
  read(bytes: Uint8Array, path: string): Promise<string | undefined>;
}

/** Everything random about one file. */
class Dice {
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

const work = mkdtempSync(join(tmpdir(), 'fuzz-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

const prepared = new Map<string, Promise<{ samples: Sample[]; contents: Set<string | undefined> }>>();

function prepare(name: FormatName) {
  let found = prepared.get(name);
  if (!found) {
    found = (async () => {
      const format: Format = formats[name];
      const samples = await format.samples();
      const contents = new Set<string | undefined>();
      for (const sample of samples) contents.add(await format.read(sample.bytes, pathOf(format, sample)));
      return { samples, contents };
    })();
    prepared.set(name, found);
  }
  return found;
}

/** The path to read a sample at, with what belongs beside it. */
function pathOf(format: Format, sample: Sample): string {
  if (sample.beside) writeFileSync(join(work, besideName), sample.beside);
  return join(work, `damaged.${format.extension}`);
}

/** File `k` of a run with this seed. */
export async function makeFile(name: FormatName, seed: number, k: number): Promise<Sample & { exact: boolean }> {
  const format: Format = formats[name];
  const { samples } = await prepare(name);
  const dice = new Dice(hashName(`${name} ${seed} ${k}`));
  // Later samples are the large ones: each is half as likely as all before it.
  const sample = samples[dice.chance(0.9) ? dice.below(Math.min(samples.length, 6)) : dice.below(samples.length)]!;
  const within = format.inside !== undefined && dice.chance(0.5);
  let bytes = within ? format.inside!(dice, sample.bytes, samples) : sample.bytes;
  let beside = sample.beside;
  if (!within || dice.chance(0.1)) {
    if (beside && dice.chance(0.3)) beside = damage(dice, beside, [beside]);
    else
      bytes = damage(
        dice,
        bytes,
        samples.map((s) => s.bytes),
      );
  }
  return { bytes, ...(beside ? { beside } : {}), exact: !within };
}

/** Makes file `k` and reads it. */
export async function tryFile(name: FormatName, seed: number, k: number): Promise<Outcome> {
  const format: Format = formats[name];
  const { contents } = await prepare(name);
  const file = await makeFile(name, seed, k);
  const path = pathOf(format, file);
  const started = performance.now();
  const finding = (text: string, error?: unknown): Outcome => ({
    kind: 'finding',
    text,
    ...(error instanceof Error && error.stack ? { stack: error.stack } : {}),
  });
  let outcome: Outcome;
  try {
    const content = await format.read(file.bytes, path);
    if (content !== undefined && file.exact && !contents.has(content)) {
      outcome = finding(`passed its checksums and differs from the original: ${content.slice(0, 200)}`);
    } else outcome = { kind: 'read', text: '' };
  } catch (error) {
    if (!(error instanceof FisherError)) outcome = finding(`${error}`.slice(0, 300), error);
    else if (!error.message.includes(path)) outcome = finding(`does not name the file: ${error.message}`, error);
    else if (error.message.length > 5000)
      outcome = finding(`an error text of ${error.message.length} characters: ${error.message.slice(0, 200)}`, error);
    else outcome = { kind: 'refused', text: error.message };
  }
  const seconds = (performance.now() - started) / 1000;
  return seconds > 5 && outcome.kind !== 'finding' ? finding(`took ${seconds.toFixed(1)} s`) : outcome;
}

// Damage to bytes, whatever they mean.

const odd32 = [0, 1, 2, 127, 128, 255, 256, 65535, 65536, 2 ** 24, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
const oddBytes = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff];

function place(dice: Dice, length: number): number {
  const where = dice.below(10);
  if (where < 2) return dice.below(Math.min(64, length));
  if (where < 4) return length - 1 - dice.below(Math.min(64, length));
  return dice.below(length);
}

type Damage = (dice: Dice, bytes: Uint8Array, others: readonly Uint8Array[]) => Uint8Array;

const damages: readonly Damage[] = [
  function flip(dice, bytes) {
    const at = place(dice, bytes.length);
    return bytes.with(at, bytes[at]! ^ (1 << dice.below(8)));
  },
  (dice, bytes) => bytes.with(place(dice, bytes.length), dice.chance(0.5) ? dice.pick(oddBytes) : dice.below(256)),
  function remove(dice, bytes) {
    const [from, to] = range(dice, bytes);
    return join2(bytes.subarray(0, from), bytes.subarray(to));
  },
  function duplicate(dice, bytes) {
    const [from, to] = range(dice, bytes);
    return join2(bytes.subarray(0, to), bytes.subarray(from));
  },
  function overwrite(dice, bytes) {
    const [from, to] = range(dice, bytes);
    const out = bytes.slice();
    if (dice.chance(0.6)) return out.fill(dice.pick(oddBytes), from, to);
    for (let i = from; i < to; i++) out[i] = dice.below(256);
    return out;
  },
  function swap(dice, bytes) {
    const [from, to] = range(dice, bytes);
    const [at] = range(dice, bytes);
    const out = bytes.slice();
    const n = Math.min(to - from, bytes.length - at);
    out.set(bytes.subarray(at, at + n), from);
    out.set(bytes.subarray(from, from + n), at);
    return out;
  },
  (dice, bytes) => bytes.subarray(0, place(dice, bytes.length)),
  (dice, bytes) => join2(bytes, new Uint8Array(1 + dice.below(40)).fill(dice.pick(oddBytes))),
  function length(dice, bytes) {
    const out = bytes.slice();
    const view = new DataView(out.buffer);
    const value = dice.pick(odd32);
    const at = place(dice, bytes.length);
    const width = dice.pick([2, 4, 4, 8]);
    if (at + width > out.length) return out;
    const little = dice.chance(0.6);
    if (width === 2) view.setUint16(at, value, little);
    else if (width === 4) view.setUint32(at, value, little);
    else view.setBigUint64(at, BigInt(value) * (dice.chance(0.5) ? 2n ** 31n : 1n), little);
    return out;
  },
  function varint(dice, bytes) {
    const at = place(dice, bytes.length);
    const long = [0x80, 0xff].map((byte) => Array.from({ length: dice.below(10) }, () => byte));
    const number = [...dice.pick(long), dice.pick([1, 7, 15, 127])];
    return join2(join2(bytes.subarray(0, at), Uint8Array.from(number)), bytes.subarray(at + dice.below(3)));
  },
  function splice(dice, bytes, others) {
    const other = dice.pick(others);
    if (dice.chance(0.5))
      return join2(bytes.subarray(0, place(dice, bytes.length)), other.subarray(place(dice, other.length)));
    const [from, to] = range(dice, other);
    const at = place(dice, bytes.length);
    return join2(join2(bytes.subarray(0, at), other.subarray(from, to)), bytes.subarray(at));
  },
  function digits(dice, bytes) {
    const start = place(dice, bytes.length);
    const isDigit = (i: number) => bytes[i]! >= 48 && bytes[i]! <= 57;
    let from = start;
    while (from < bytes.length && !isDigit(from)) from++;
    let to = from;
    while (to < bytes.length && isDigit(to)) to++;
    const text = dice.pick([
      '0',
      '-1',
      '1',
      '99999999999',
      '4294967296',
      '1e999',
      '-0',
      '1e308',
      '18014398509481984',
      '',
    ]);
    return join2(join2(bytes.subarray(0, from), new TextEncoder().encode(text)), bytes.subarray(to));
  },
];

function range(dice: Dice, bytes: Uint8Array): [number, number] {
  const from = place(dice, bytes.length);
  const length = 1 + (dice.chance(0.8) ? dice.below(24) : dice.below(bytes.length));
  return [from, Math.min(bytes.length, from + length)];
}

function join2(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/** One to four kinds of damage, mostly one: several at once mostly find the first check only. */
function damage(dice: Dice, bytes: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const count = dice.chance(0.7) ? 1 : 1 + dice.below(4);
  let out = bytes;
  for (let i = 0; i < count && out.length > 0; i++) out = dice.pick(damages)(dice, out, others);
  return out;
}

// Damage to a JSON value.

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Stands for a list nested 20 000 deep, which JSON.stringify could not write. */
const DEEP = '(deep)';

const oddJson: readonly (() => Json)[] = [
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => 0.5,
  () => 1e308,
  () => -1e308,
  () => 5e-324,
  () => 2 ** 53,
  () => 4294967296,
  () => '',
  () => '\0',
  () => 'nll',
  () => '__proto__',
  () => 'x'.repeat(20_000),
  () => [],
  () => ({}),
  () => JSON.parse('{"__proto__": {"shape": [1]}}') as Json,
  () => DEEP,
  () => Array.from({ length: 3000 }, (_, i) => i),
];

function damageJson(dice: Dice, root: Json): Json {
  const places: { readonly at: Json[] | { [key: string]: Json }; readonly key: string }[] = [];
  const visit = (value: Json) => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      places.push({ at: value, key });
      visit(inner);
    }
  };
  visit(root);
  if (places.length === 0) return dice.pick(oddJson)();
  const { at, key } = dice.pick(places);
  const value = (at as Record<string, Json>)[key]!;
  const set = (inner: Json) => {
    (at as Record<string, Json>)[key] = inner;
  };
  switch (dice.below(6)) {
    case 0: {
      const other = dice.pick(places);
      set(structuredClone((other.at as Record<string, Json>)[other.key]!));
      break;
    }
    case 1:
      if (Array.isArray(at)) at.splice(Number(key), 1);
      else delete at[key];
      break;
    case 2:
      if (Array.isArray(at)) at.splice(Number(key), 0, structuredClone(value));
      else
        Object.defineProperty(at, dice.pick([`${key}x`, '__proto__', 'constructor', '']), {
          value,
          enumerable: true,
          writable: true,
          configurable: true,
        });
      break;
    case 3:
      if (typeof value === 'number') set(dice.pick([-value, value + 1, value * 1e9, value / 1e9, Math.floor(value)]));
      else set(dice.pick(oddJson)());
      break;
    default:
      set(dice.pick(oddJson)());
  }
  return root;
}

function insideJson(dice: Dice, bytes: Uint8Array): Uint8Array {
  let root = JSON.parse(new TextDecoder().decode(bytes)) as Json;
  for (let i = dice.chance(0.7) ? 1 : 3; i > 0; i--) root = damageJson(dice, root);
  const text = JSON.stringify(root).replaceAll(`"${DEEP}"`, `${'['.repeat(20_000)}${']'.repeat(20_000)}`);
  return new TextEncoder().encode(text);
}

// Damage to an ONNX model as messages.

const oddInts = [
  0n,
  1n,
  -1n,
  2n,
  3n,
  7n,
  -2n,
  255n,
  65536n,
  2n ** 24n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];

function insideOnnx(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const main = model.graph!;
  const inner = main.node.flatMap((node) => node.attribute.flatMap((a) => a.g ?? []));
  const bodies = model.functions.map((f) => create(GraphProtoSchema, { node: f.node }));
  for (let i = dice.chance(0.6) ? 1 : 1 + dice.below(4); i > 0; i--) {
    damageGraph(dice, dice.chance(0.8) ? main : dice.pick([main, ...inner, ...bodies]), all);
  }
  for (const [k, f] of model.functions.entries()) f.node = bodies[k]!.node;
  if (dice.chance(0.03)) model.opsetImport[0]!.version = dice.pick([...oddInts, 9n, 11n, 12n, 13n, 17n]);
  const out = toBinary(ModelProtoSchema, model);
  // A message that comes twice is merged: the nodes are added to the graph's.
  return dice.chance(0.01) ? join2(out, field(7, deepGraph(dice.pick([3, 30, 90, 1000, 3000])))) : out;
}

/** A field of bytes in protobuf's encoding. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  const head = [number * 8 + 2];
  for (let length = bytes.length; ; length >>>= 7) {
    head.push(length > 127 ? (length & 127) | 128 : length);
    if (length <= 127) return join2(Uint8Array.from(head), bytes);
  }
}

/** A graph with a branch with a branch …, as bytes: the library cannot write what nests so deep. */
function deepGraph(depth: number): Uint8Array {
  const text = (s: string) => new TextEncoder().encode(s);
  const attribute = join2(field(1, text('then_branch')), Uint8Array.of(0xa0, 1, 5)); // type GRAPH
  let graph: Uint8Array = new Uint8Array();
  for (let i = 0; i < depth; i++) {
    const node = join2(field(4, text('If')), field(5, join2(attribute, field(6, graph))));
    graph = field(1, node);
  }
  return graph;
}

function damageGraph(dice: Dice, graph: GraphProto, all: readonly Sample[]): void {
  const node = dice.pick(graph.node);
  if (!node) return;
  const names = [...graph.initializer, ...graph.input].map((t) => t.name).concat(graph.node.flatMap((n) => n.output));
  const name = () => (dice.chance(0.1) ? dice.pick(['', '__proto__', 'nothing', 'constructor']) : dice.pick(names));
  const tensor = dice.pick(graph.initializer);
  const numbers = graph.initializer.filter((t) => t.dataType === 7);
  const shape = dice.pick(graph.input)?.type?.value;
  switch (dice.below(16)) {
    case 0:
      node.opType = dice.chance(0.9)
        ? dice.pick(Object.keys(operators))
        : dice.pick(['', 'toString', '__proto__', 'Loop']);
      break;
    case 1:
      node.input[dice.below(node.input.length + 1)] = name();
      break;
    case 2:
      node.input.splice(dice.below(node.input.length + 1), dice.below(2), ...(dice.chance(0.5) ? [name()] : []));
      break;
    case 3: {
      const [a, b] = [dice.below(graph.node.length), dice.below(graph.node.length)];
      [graph.node[a], graph.node[b]] = [graph.node[b]!, graph.node[a]!];
      break;
    }
    case 4:
      node.output[dice.below(node.output.length + 1)] = name();
      break;
    case 5:
      if (dice.chance(0.5)) graph.node.splice(graph.node.indexOf(node), 1);
      else graph.node.splice(dice.below(graph.node.length), 0, node);
      break;
    case 6:
    case 7:
      damageAttributes(dice, node.attribute, graph);
      break;
    case 8:
      if (!tensor) break;
      if (dice.chance(0.5) && tensor.dims.length > 0) tensor.dims[dice.below(tensor.dims.length)] = dice.pick(oddInts);
      else tensor.dims = dice.chance(0.5) ? [...tensor.dims, dice.pick([0n, 1n, 1n, 2n])] : tensor.dims.slice(1);
      break;
    case 9:
      if (!tensor) break;
      if (dice.chance(0.4)) tensor.dataType = dice.below(24);
      else if (dice.chance(0.3)) tensor.rawData = new Uint8Array();
      else if (dice.chance(0.5)) tensor.dataLocation = dice.pick([0, 1, 2]) as TensorProto_DataLocation;
      else tensor.name = name();
      break;
    // Whole numbers are shapes, axes and places: the most sensitive numbers of a model.
    case 10:
    case 11:
    case 12: {
      const target = numbers.length > 0 ? dice.pick(numbers) : undefined;
      if (!target || target.rawData.length < 8) break;
      target.rawData = target.rawData.slice();
      const view = new DataView(target.rawData.buffer);
      view.setBigInt64(8 * dice.below(target.rawData.length / 8), dice.pick(oddInts), true);
      break;
    }
    case 13: {
      if (shape?.case !== 'tensorType') break;
      if (dice.chance(0.2)) shape.value.elemType = dice.below(24);
      const dim = dice.pick(shape.value.shape?.dim ?? []);
      if (dim)
        dim.value = dice.chance(0.8)
          ? { case: 'dimValue', value: dice.pick(oddInts) }
          : { case: 'dimParam', value: 'N' };
      if (dice.chance(0.1)) delete shape.value.shape;
      break;
    }
    case 14: {
      const other = all.length > 0 ? fromBinary(ModelProtoSchema, dice.pick(all).bytes).graph! : graph;
      if (dice.chance(0.5)) node.attribute = [...node.attribute, ...dice.pick(other.node).attribute];
      else if (dice.chance(0.4)) graph.node = [...graph.node, ...other.node];
      else graph.initializer = [...graph.initializer, ...other.initializer];
      break;
    }
    default: {
      const output = dice.pick(graph.output);
      if (output) output.name = name();
    }
  }
}

function damageAttributes(dice: Dice, list: AttributeProto[], graph: GraphProto): void {
  if (list.length === 0 || dice.chance(0.1)) {
    const names = [
      'axis',
      'axes',
      'pads',
      'kernel_shape',
      'strides',
      'dilations',
      'group',
      'perm',
      'value',
      'mode',
      'split',
    ];
    const value = { name: dice.pick(names), i: dice.pick(oddInts), ints: [dice.pick(oddInts), dice.pick(oddInts)] };
    const { INT, INTS } = AttributeProto_AttributeType;
    list.push(create(AttributeProtoSchema, { ...value, type: dice.pick([INT, INTS]) }));
    return;
  }
  const a = dice.pick(list);
  switch (dice.below(8)) {
    case 0:
      a.type = dice.below(15) as AttributeProto_AttributeType;
      break;
    case 1:
      list.splice(list.indexOf(a), 1);
      break;
    case 2:
      a.name = dice.pick([dice.pick(list).name, 'axis', '__proto__', '']);
      break;
    case 3:
      a.f = dice.pick([0, -1, Number.NaN, Infinity, 3e38, 1e-40]);
      a.i = dice.pick(oddInts);
      break;
    case 4:
      a.s = dice.pick([new Uint8Array(), new Uint8Array(5000).fill(255), new TextEncoder().encode('constructor')]);
      break;
    case 5:
      if (a.g) damageGraph(dice, a.g, []);
      else if (a.t) a.t = dice.pick(graph.initializer) ?? a.t;
      break;
    default:
      if (a.ints.length > 0 && dice.chance(0.7)) a.ints[dice.below(a.ints.length)] = dice.pick(oddInts);
      else if (dice.chance(0.5)) a.ints = [...a.ints, dice.pick(oddInts)];
      else a.ints = a.ints.slice(1);
      a.i = dice.pick(oddInts);
  }
}

// The valid files.

const noise = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(37 * i + n) / 2);
const pixels = (n: number) => Uint8Array.from({ length: n }, (_, i) => (i * i * 31) % 251);

type Node = readonly [op: string, inputs: string, output: string, attrs?: Readonly<Record<string, OnnxAttr>>];

function onnx(
  input: readonly number[],
  tensors: Readonly<Record<string, readonly number[]>>,
  nodes: readonly Node[],
): Uint8Array {
  const model: OnnxModel = {
    inputs: [{ name: 'x', dims: input, dtype: 'float' }],
    outputs: [{ name: 'nll', dims: [input[0]!], dtype: 'float' }],
    nodes: nodes.map(([op, inputs, output, attrs = {}]) => ({ op, inputs: inputs.split(' '), output, attrs })),
    // A capital is a weight of this shape, anything else a list of whole numbers; `_` makes it one number.
    initializers: Object.entries(tensors).map(([name, list]) =>
      /^[A-Z]/.test(name)
        ? { name, dims: list, dtype: 'float', data: noise(sizeOf(list)) }
        : {
            name,
            dims: name.endsWith('_') ? [] : [list.length],
            dtype: 'int64',
            data: BigInt64Array.from(list, BigInt),
          },
    ),
  };
  return encode(model);
}

const besideName = 'weights.bin';

/** A small network of images, one of shape arithmetic, and one as old exporters write it, with typed data and a branch. */
function onnxModels(): Uint8Array[] {
  const image = onnx(
    [1, 2, 6, 6],
    {
      ...{ W: [3, 2, 3, 3], B: [3], T: [3, 2, 2, 2], S: [2], M: [7, 5], V: [5] },
      ...{ sizes: [1, 2, 3, 3], pads: [0, 0, 0, 0, 0, 0, 1, 1], flat: [1, -1], from: [4], to: [2 ** 40], one: [1] },
      ...{ rows: [2, 7], axes: [0, 1] },
    },
    [
      [
        'Conv',
        'x W B',
        'conv',
        { kernel_shape: [3, 3], pads: [0, 0, 1, 1], strides: [2, 2], dilations: [1, 1], group: 1 },
      ],
      ['Relu', 'conv', 'relu'],
      ['MaxPool', 'relu', 'max', { kernel_shape: [2, 2], strides: [1, 1] }],
      ['ConvTranspose', 'max T', 'up', { strides: [2, 2] }],
      ['BatchNormalization', 'up S S S S', 'norm', { epsilon: { float: 1 } }],
      ['Resize', 'norm   sizes', 'small', { mode: 'linear', coordinate_transformation_mode: 'half_pixel' }],
      ['AveragePool', 'small', 'mean', { kernel_shape: [2, 2], pads: [0, 0, 1, 1], strides: [2, 2], ceil_mode: 1 }],
      ['Pad', 'mean pads', 'pad', { mode: 'reflect' }],
      ['Reshape', 'pad flat', 'line'],
      ['Slice', 'line from to one', 'cut'],
      ['Reshape', 'cut rows', 'table'],
      ['MatMul', 'table M', 'product'],
      ['Add', 'product V', 'y'],
      ['Softplus', 'y', 'loss'],
      ['ReduceSum', 'loss axes', 'nll', { keepdims: 0 }],
    ],
  );
  const shapes = onnx(
    [1, 8],
    {
      ...{ W: [8], G: [8, 8], N: [2], first_: [0], four: [4], two: [2], zero: [0], one: [1], last: [-1], far: [-4] },
      ...{
        start_: [0],
        delta_: [2],
        end_: [8],
        pads: [0, 0, 0, 1],
        reps: [1, 2],
        picks: [3, 0, 1],
        depth: [2],
        parts: [4, 4],
      },
    },
    [
      ['Mul', 'x W', 'xw'],
      ['Shape', 'xw', 's'],
      ['Gather', 's first_', 'n', { axis: 0 }],
      ['Unsqueeze', 'n zero', 'n1'],
      ['Concat', 'n1 two four', 'to', { axis: 0 }],
      ['Reshape', 'xw to', 'cube'],
      ['Transpose', 'cube', 'turned', { perm: [0, 2, 1] }],
      ['Reshape', 'turned s', 'back'],
      ['Gemm', 'back G W', 'gemm', { transB: 1, alpha: { float: 0.5 } }],
      ['LayerNormalization', 'gemm W', 'ln', { axis: -1 }],
      ['Split', 'ln parts', 'half', { axis: 1 }],
      ['Pad', 'half pads', 'padded'],
      ['Tile', 'padded reps', 'tiled'],
      ['CumSum', 'tiled one', 'sums'],
      ['Gather', 'sums picks', 'picked', { axis: 1 }],
      ['Range', 'start_ end_ delta_', 'range'],
      ['Cast', 'range', 'float', { to: 1 }],
      ['ReduceMax', 'float', 'most', { keepdims: 1 }],
      ['Expand', 'most four', 'spread4'],
      ['Slice', 'spread4 last far zero last', 'spread'],
      ['Sub', 'picked spread', 'diff'],
      ['Trilu', 'diff', 'tri', { upper: 1 }],
      ['Softmax', 'tri', 'soft', { axis: -1 }],
      ['Clip', 'soft', 'clip'],
      ['Log', 'clip', 'log'],
      ['Greater', 'log most', 'more'],
      ['Where', 'more log diff', 'chosen'],
      ['Squeeze', 'chosen', 'flat'],
      ['ReduceMean', 'flat', 'nll', { keepdims: 0 }],
    ],
  );
  const old = fromBinary(ModelProtoSchema, image);
  old.opsetImport[0]!.version = 11n;
  for (const t of old.graph!.initializer) {
    const { buffer, byteOffset, length } = t.rawData.slice();
    if (t.dataType === 1) t.floatData = [...new Float32Array(buffer, byteOffset, length / 4)];
    else t.int64Data = [...new BigInt64Array(buffer, byteOffset, length / 8)];
    t.rawData = new Uint8Array();
  }
  const { GRAPH, TENSOR, FLOAT } = AttributeProto_AttributeType;
  const tensor = (elemType: number) => ({ value: { case: 'tensorType', value: { elemType } } }) as const;
  const value = (dataType: number, n: number) => ({
    name: 'value',
    type: TENSOR,
    t: { dataType, int32Data: [n], int64Data: [BigInt(n)] },
  });
  const branch = { node: [{ opType: 'Identity', input: ['y'], output: ['z'] }], output: [{ name: 'z' }] };
  const body = {
    input: [
      { name: 'i', type: tensor(7) },
      { name: 'c', type: tensor(9) },
      { name: 'v', type: tensor(1) },
    ],
    node: [
      { opType: 'Identity', input: ['c'], output: ['c2'] },
      { opType: 'Mul', input: ['v', 'V'], output: ['v2'] },
    ],
    output: [{ name: 'c2' }, { name: 'v2' }],
  };
  const alpha = { name: 'alpha', type: FLOAT, refAttrName: 'alpha' };
  const added = create(ModelProtoSchema, {
    functions: [
      {
        ...{ name: 'Leak', domain: 'own', input: ['a'], output: ['b'], attribute: ['alpha'] },
        node: [{ opType: 'LeakyRelu', input: ['a'], output: ['b'], attribute: [alpha] }],
        opsetImport: [{ version: 11n }],
      },
    ],
    graph: {
      node: [
        { opType: 'Constant', output: ['yes'], attribute: [value(9, 1)] },
        { opType: 'Constant', output: ['rounds'], attribute: [value(7, 3)] },
        {
          ...{ opType: 'If', input: ['yes'], output: ['taken'] },
          attribute: ['then_branch', 'else_branch'].map((name) => ({ name, type: GRAPH, g: branch })),
        },
        {
          ...{ opType: 'Loop', input: ['rounds', 'yes', 'taken'], output: ['looped'] },
          attribute: [{ name: 'body', type: GRAPH, g: body }],
        },
        {
          ...{ opType: 'Leak', domain: 'own', input: ['looped'], output: ['chosen'] },
          attribute: [{ name: 'alpha', type: FLOAT, f: 0.2 }],
        },
      ],
    },
  });
  const at = old.graph!.node.findIndex((node) => node.opType === 'Softplus');
  old.graph!.node[at]!.input[0] = 'chosen';
  old.graph!.node.splice(at, 0, ...added.graph!.node);
  old.functions = added.functions;
  return [image, shapes, toBinary(ModelProtoSchema, old)];
}

async function onnxSamples(): Promise<Sample[]> {
  const [image, ...rest] = onnxModels();
  const split = fromBinary(ModelProtoSchema, image!);
  let beside: Uint8Array = new Uint8Array();
  for (const t of split.graph!.initializer) {
    const entries = { location: besideName, offset: String(beside.length), length: String(t.rawData.length) };
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
    t.externalData = create(TensorProtoSchema, { externalData }).externalData;
    t.dataLocation = TensorProto_DataLocation.EXTERNAL;
    beside = join2(beside, t.rawData);
    t.rawData = new Uint8Array();
  }
  const own = [image!, ...rest].map((bytes) => ({ bytes }));
  return [...own, { bytes: toBinary(ModelProtoSchema, split), beside }, ...goldens()];
}

/** Models of PyTorch's exporter, where they are. */
function goldens(): Sample[] {
  const folder = fileURLToPath(new URL('../../shared/goldens', import.meta.url));
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((file) => file.endsWith('.onnx'));
  return names.sort().map((file) => ({ bytes: new Uint8Array(readFileSync(join(folder, file))) }));
}

async function readOnnx(bytes: Uint8Array, path: string): Promise<undefined> {
  writeFileSync(path, bytes);
  const model = await loadOnnx(path);
  for (const [name, { shape, data }] of Object.entries(model.weights)) {
    check(data.length === sizeOf(shape), `weight '${name}' has ${data.length} numbers`);
  }
  for (const [name, shape] of Object.entries(model.inputs)) check(shape.every(isSize), `input '${name}' is [${shape}]`);
  const loss = model.loss();
  check(sizeOf(loss.shape) === 1, `the loss has the shape [${loss.shape}]`);
  if (reachable([loss]).length > 4000 || reachable([loss]).some((v) => sizeOf(v.shape) > 1e6)) return;
  try {
    encode(lower(normGraph(loss).graph, { examples: 2, weights: model.weights }));
  } catch (error) {
    if (!(error instanceof FisherError)) throw error; // what has no gradient; it is the node that is named, not the file
  }
}

function check(holds: boolean, text: string): asserts holds {
  if (!holds) throw new Error(`accepted, but ${text}`);
}

const isSize = (d: number) => Number.isSafeInteger(d) && d >= 0;

async function checkData(data: Dataset): Promise<void> {
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
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) => {
    if (typeof v === 'bigint') return `${v}n`;
    return ArrayBuffer.isView(v) ? Array.from(v as Float64Array, (x) => `${Object.is(x, -0) ? '-0' : x}`).join() : v;
  });
}

async function picture(kind: 'png' | 'jpeg' | 'webp', channels: 1 | 3 | 4, options: object): Promise<Sample> {
  const data = pixels(9 * 7 * channels);
  for (let i = 3; channels === 4 && i < data.length; i += 4) data[i] = 255;
  const buffer = await sharp(data, { raw: { width: 9, height: 7, channels } })
    .toFormat(kind, options)
    .toBuffer();
  return { bytes: new Uint8Array(buffer) };
}

async function readPicture(bytes: Uint8Array, path: string): Promise<string> {
  const { shape, data } = await decodeImage({ bytes, where: path });
  check(shape.every(isSize) && data.length === sizeOf(shape), `${data.length} pixels of [${shape}]`);
  return textOf({ shape, data });
}

async function parquet(
  codec: 'SNAPPY' | 'UNCOMPRESSED' | 'GZIP',
  kinds: readonly ('png' | 'jpeg' | 'webp')[],
): Promise<Sample> {
  const images = await Promise.all(kinds.map((kind) => picture(kind, 3, {})));
  const buffer = parquetWriteBuffer({
    codec,
    compressors: { GZIP: (bytes) => gzipSync(bytes) },
    rowGroupSize: 2,
    schema: [
      { name: 'schema', num_children: 1 },
      { name: 'image', num_children: 2, repetition_type: 'OPTIONAL' },
      { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
      { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
    ],
    columnData: [{ name: 'image', data: images.map(({ bytes }, i) => ({ bytes, path: `${i}.png` })) }],
  });
  return { bytes: new Uint8Array(buffer) };
}

/** The footer or the pages before it, the length between them right. */
function insideParquet(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const at = bytes.length - 8;
  const start = at - new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
  const others = all.map((sample) => sample.bytes);
  if (dice.chance(0.4)) return join2(damage(dice, bytes.subarray(0, start), others), bytes.subarray(start));
  const footer = damage(dice, bytes.subarray(start, at), others);
  const tail = bytes.slice(at);
  new DataView(tail.buffer).setUint32(0, footer.length, true);
  return join2(join2(bytes.subarray(0, start), footer), tail);
}

/** One array or its name, the checksums right. */
function insideNpz(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const files = Object.entries(unzipSync(bytes));
  const others = all.flatMap((sample) => Object.values(unzipSync(sample.bytes)));
  const at = dice.below(files.length);
  const [name, content] = files[at]!;
  files[at] = dice.chance(0.15)
    ? [dice.pick(['__proto__.npy', '.npy', 'constructor.npy', 'x.npy', 'a/../b.npy', 'x']), content]
    : [name, new Uint8Array(damage(dice, content, others))];
  if (dice.chance(0.1)) files.splice(dice.below(files.length), 1);
  return zipSync(Object.fromEntries(files), { level: dice.pick([0, 9]) });
}

/** One chunk, its checksum right. */
function insidePng(dice: Dice, bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const starts: number[] = [];
  for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at)) starts.push(at);
  const at = dice.pick(starts);
  const end = at + 8 + view.getUint32(at);
  const content = damage(dice, bytes.subarray(at + 4, end), [bytes]); // type and data
  const chunk = new Uint8Array(content.length + 8);
  chunk.set(content, 4);
  new DataView(chunk.buffer).setUint32(0, content.length - 4);
  new DataView(chunk.buffer).setUint32(content.length + 4, crc32(content));
  const rest = dice.chance(0.2) ? bytes.subarray(at) : bytes.subarray(end + 4);
  return join2(join2(bytes.subarray(0, at), chunk), rest);
}

/** The header's JSON, its length right. */
function insideSafetensors(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const end = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = bytes.subarray(8, end);
  const others = all.map((sample) => sample.bytes);
  const changed = dice.chance(0.8) ? insideJson(dice, header) : damage(dice, header, others);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(changed.length), true);
  return join2(join2(length, changed), bytes.subarray(end));
}

function insideGzip(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
  const plain = bytes[0] === 0x1f ? new Uint8Array(gunzipSync(bytes)) : bytes;
  const packed = new Uint8Array(gzipSync(damage(dice, plain, [plain, ...all.map((sample) => sample.bytes)])));
  return dice.chance(0.1) ? join2(packed, packed) : packed;
}

function table(n: number, group: number, withDims: boolean): FeatureTable {
  const names = ['conv1.weight', 'conv1.bias', 'näme "3"'];
  return {
    names,
    ...(withDims ? { dims: [18, 3, 1000] } : {}),
    nll: Float64Array.from(noise(n), (v) => 100 + v),
    sqNorms: Float64Array.from(noise(n * names.length), (v, i) => Math.exp(4 * v) * 10 ** (i % names.length)),
    group,
    meta: {
      model: 'ab'.repeat(32),
      data: 'some data',
      dataFingerprint: 'cd'.repeat(32),
      seed: 3,
      start: 0,
      bitsPerDimFactor: 0.01,
    },
  };
}

const tableSamples = (format: 'npz' | 'parquet' | 'json') => async () =>
  [table(12, 1, true), table(7, 5, false), table(300, 1, true)].map((t) => ({ bytes: encodeTable(t, format, 'seed') }));

const readTable = (format: 'npz' | 'parquet' | 'json') => async (bytes: Uint8Array, path: string) =>
  textOf(checkTable(await decodeTable(bytes, format, path), 'accepted, but'));

async function detectorSamples(): Promise<Sample[]> {
  const files = [
    fitDetectors([table(12, 1, true), table(7, 5, true)], { recipe: { model: 'm', nested: { list: [1, 'a', null] } } }),
    fitDetectors([table(9, 2, false)]),
  ];
  return files.map((file) => ({ bytes: new TextEncoder().encode(formatDetector(file)) }));
}

/** Reads a detector and scores with it. */
async function readDetectorFile(bytes: Uint8Array, path: string): Promise<undefined> {
  const file = parseDetector(new TextDecoder().decode(bytes), path);
  for (const { group } of file.groups) {
    const { names, model } = file;
    const n = 4;
    const t = table(n, group, false);
    const own = {
      ...t,
      names,
      dims: names.map((_, j) => j + 1),
      sqNorms: new Float64Array(n * names.length).fill(2),
      meta: { ...t.meta, model },
    };
    for (const { detector, scores, pValues } of scoreTable(file, own)) {
      check(
        scores.every((s) => !Number.isNaN(s)),
        `${detector} gives the scores ${scores}`,
      );
      check(
        pValues.every((p) => p > 0 && p <= 1),
        `${detector} gives the p-values ${pValues}`,
      );
    }
  }
}

function npy(shape: readonly number[], type: string, header?: (text: string) => string): Uint8Array {
  const n = sizeOf(shape);
  const bytes =
    type === 'int64'
      ? writeNpy({ dtype: 'int64', shape, data: BigInt64Array.from({ length: n }, (_, i) => BigInt(i)) })
      : type === 'uint8'
        ? writeNpy({ dtype: 'uint8', shape, data: pixels(n) })
        : writeNpy({ dtype: 'float32', shape, data: noise(n) });
  if (!header) return bytes;
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 128));
  const out = bytes.slice();
  out.set(Uint8Array.from(header(text), (c) => c.charCodeAt(0)));
  return out;
}

async function npzSamples(): Promise<Sample[]> {
  const files = { 'x.npy': npy([4, 1, 3, 5], 'float32'), 'label.npy': npy([4], 'int64') };
  const fortran = { 'x.npy': npy([4, 3, 5], 'float32', (text) => text.replace('False', 'True ')) };
  const big = { 'x.npy': npy([4, 3], 'int64', (text) => text.replace('<', '>')), 'u.npy': npy([4, 2, 2], 'uint8') };
  return [files, fortran, big].flatMap((f) =>
    [0, 9].map((level) => ({ bytes: zipSync(f, { level: level as 0 | 9 }) })),
  );
}

async function readArrays(bytes: Uint8Array, path: string): Promise<string> {
  writeFileSync(path, bytes);
  await checkData(await openNpz(path));
  const arrays = Object.values(readNpz(bytes, path)); // names are not under the checksum
  for (const { shape, data } of arrays) check(data.length === sizeOf(shape), `${data.length} values of [${shape}]`);
  return textOf(arrays.map(({ shape, data }) => ({ shape, data })));
}

const idx = { shape: [4, 5, 6], data: pixels(120) };
const tensors = {
  w: { shape: [3, 4], data: noise(12) },
  b: { shape: [3], data: noise(3) },
  s: { shape: [], data: noise(1) },
};

export const formats = {
  onnx: { extension: 'onnx', samples: onnxSamples, inside: insideOnnx, read: readOnnx },
  npz: { extension: 'npz', samples: npzSamples, inside: insideNpz, read: readArrays },
  parquet: {
    extension: 'parquet',
    samples: () =>
      Promise.all([
        parquet('SNAPPY', ['png', 'png', 'jpeg']),
        parquet('UNCOMPRESSED', ['webp', 'webp', 'png']),
        parquet('GZIP', ['png', 'png']),
      ]),
    inside: insideParquet,
    async read(bytes, path) {
      writeFileSync(path, bytes);
      await checkData(await openParquet(path));
      return undefined; // its pages have no checksums
    },
  },
  png: {
    extension: 'png',
    samples: () =>
      Promise.all([
        picture('png', 3, {}),
        picture('png', 1, {}),
        picture('png', 4, { progressive: true }),
        picture('png', 3, { palette: true }),
      ]),
    inside: insidePng,
    read: readPicture,
  },
  jpeg: {
    extension: 'jpg',
    samples: () =>
      Promise.all([
        picture('jpeg', 3, {}),
        picture('jpeg', 1, {}),
        picture('jpeg', 3, { progressive: true }),
        picture('jpeg', 3, { chromaSubsampling: '4:4:4', optimiseCoding: false }),
      ]),
    read: async (bytes, path) => void (await readPicture(bytes, path)),
  },
  webp: {
    extension: 'webp',
    samples: () =>
      Promise.all([
        picture('webp', 3, {}),
        picture('webp', 3, { lossless: true }),
        picture('webp', 4, { quality: 50 }),
        picture('webp', 1, { nearLossless: true }),
      ]),
    read: async (bytes, path) => void (await readPicture(bytes, path)),
  },
  idx: {
    extension: 'idx',
    samples: async () => [{ bytes: writeIdx(idx) }, { bytes: writeIdx(idx, { gzip: true }) }],
    inside: insideGzip,
    async read(bytes, path) {
      const array = readIdx(bytes, path);
      check(array.data.length === sizeOf(array.shape), `${array.data.length} bytes of [${array.shape}]`);
      await checkData(idxDataset(array, path));
      return bytes[0] === 0x1f ? textOf(array) : undefined;
    },
  },
  safetensors: {
    extension: 'safetensors',
    samples: async () => [{ bytes: writeSafetensors(tensors) }, { bytes: writeSafetensors({ w: tensors.w }) }],
    inside: insideSafetensors,
    async read(bytes, path) {
      for (const [name, { shape, data }] of Object.entries(readSafetensors(bytes, path))) {
        check(data.length === sizeOf(shape), `'${name}' has ${data.length} numbers of [${shape}]`);
        check(data.every(Number.isFinite), `'${name}' has a number that is not finite`);
      }
      return undefined;
    },
  },
  detector: { extension: 'json', samples: detectorSamples, inside: insideJson, read: readDetectorFile },
  'table-npz': { extension: 'npz', samples: tableSamples('npz'), inside: insideNpz, read: readTable('npz') },
  'table-parquet': {
    extension: 'parquet',
    samples: tableSamples('parquet'),
    inside: insideParquet,
    read: readTable('parquet'),
  },
  'table-json': {
    extension: 'json',
    samples: tableSamples('json'),
    inside: insideJson,
    read: async (bytes, path) => void (await readTable('json')(bytes, path)),
  },
} as const satisfies Record<string, Format>;

export type FormatName = keyof typeof formats;

export const formatNames = Object.keys(formats) as FormatName[];
