// Damage to an ONNX model as messages: operators, operands, attributes, sizes.

import { operators } from '../../src/onnx/index.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  create,
  fromBinary,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type TensorProto_DataLocation,
  toBinary,
} from '../../src/onnx/proto.ts';
import { join2 } from './bytes.ts';
import type { Dice, Sample } from './format.ts';

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

export function insideOnnx(dice: Dice, bytes: Uint8Array, all: readonly Sample[]): Uint8Array {
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
