// Model directories: model.json, damaged, with sound weights beside it, for a small model of every architecture. And
// the configurations alone, as `train --config` takes them.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../src/errors.ts';
import { architecture, collectSpecs } from '../../src/models/index.ts';
import { loadModel } from '../../src/node/index.ts';
import { writeSafetensors } from '../../src/store/safetensors.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { type SmallName, smallModel, smallSizes } from '../../test/support/models.ts';
import { check, type Damaged, type Format, isSize, type Sample } from './format.ts';
import { insideJson } from './json.ts';

const names = Object.keys(smallSizes) as SmallName[];
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

export const model: Format = { extension: 'model', samples: modelSamples, inside: insideJson, read: readModel };

export const config: Format = {
  extension: 'json',
  nameless: true, // it comes from the command line
  samples: () => names.map((arch) => ({ bytes: bytesOf({ arch, ...smallSizes[arch] }) })),
  inside: insideJson,
  read: readConfig,
};

function modelSamples(): Sample[] {
  const prepared = { channels: 1, resize: [9, 9], filter: 'bicubic', crop: [6, 7], pad: [8, 8] };
  return names.map((name, i) => {
    const { info, weights } = smallModel(name);
    return { bytes: bytesOf(i === 1 ? { ...info, ...prepared } : info), beside: writeSafetensors(weights) };
  });
}

async function readModel({ bytes, beside, path }: Damaged): Promise<undefined> {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'model.json'), bytes);
  writeFileSync(join(path, 'weights.safetensors'), beside!);
  const { weights, inputs, loss, dims = 1 } = await loadModel(path);
  for (const [name, { shape, data }] of Object.entries(weights)) {
    check(data.length === sizeOf(shape) && data.every(Number.isFinite), `weight '${name}' has ${data.length} numbers`);
  }
  check(isSize(dims) && Object.values(inputs).every((shape) => shape.every(isSize)), 'its input has no size');
  check(sizeOf(loss().shape) === 1, 'its loss is not one number');
}

async function readConfig({ bytes }: Damaged): Promise<undefined> {
  const { arch, data, config: asked } = parsed(bytes);
  const { takes, configure, loss } = architecture(arch);
  if (data.length !== (takes === 'images' ? 3 : 1)) throw new UsageError(`data of the shape [${data}]`);
  const settings = configure(asked, data);
  for (const { name, shape } of collectSpecs((scope) => void loss(settings, data, scope))) {
    check(shape.every(isSize) && sizeOf(shape) < 2 ** 40, `'${name}' has the shape [${shape}]`);
  }
}

/** Architecture and shape as the command line has them by then. */
function parsed(bytes: Uint8Array): {
  readonly arch: string;
  readonly data: readonly number[];
  readonly config: unknown;
} {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new UsageError('is not JSON');
  }
  const { arch, data, config: settings } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const isShape = (list: unknown): list is number[] =>
    Array.isArray(list) && list.every((d) => Number.isInteger(d) && d >= 1 && d <= 64);
  if (typeof arch !== 'string' || !isShape(data)) throw new UsageError('has no architecture and shape');
  return { arch, data, config: settings };
}
