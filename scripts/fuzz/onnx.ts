// ONNX models, with weights in the file or beside it.

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FisherError } from '../../src/errors.ts';
import { normGraph } from '../../src/features/norms.ts';
import { reachable } from '../../src/graph/index.ts';
import { lower } from '../../src/lower/index.ts';
import { loadOnnx } from '../../src/node/index.ts';
import { encode } from '../../src/onnx/index.ts';
import { sizeOf } from '../../src/tensor/shape.ts';
import { check, type Damaged, type Format, isSize } from './format.ts';
import { insideOnnx } from './onnx-damage.ts';
import { besideName, onnxSamples } from './onnx-models.ts';

export const onnx: Format = { extension: 'onnx', samples: onnxSamples, inside: insideOnnx, read };

async function read({ bytes, beside, path }: Damaged): Promise<undefined> {
  writeFileSync(path, bytes);
  if (beside) writeFileSync(join(dirname(path), besideName), beside);
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
    // what has no gradient; it is the node that is named, not the file
    if (!(error instanceof FisherError)) throw error;
  }
}
