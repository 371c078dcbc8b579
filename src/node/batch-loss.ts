// An ONNX file in; what one run of it gives for a batch, found out once for each file and kept, out.

import { realpathSync } from 'node:fs';
import { cacheEntry } from '../runtime/cache.ts';
import { openFile, runtimeVersion } from '../runtime/node.ts';
import { type BatchLoss, type BatchOptions, type Comparable, compareBatches } from '../store/batch.ts';

/** Throws ModelError that names the output in which examples interact. What was found out is kept, so that this is done once for a file. */
export async function batchLoss(model: Comparable, options: BatchOptions = {}): Promise<BatchLoss> {
  if (options.cache === undefined) return compare(model, options);
  const key = new TextEncoder().encode(`batches, version 1, of ${model.hash}`);
  const entry = cacheEntry(options.cache, key, runtimeVersion, 'json');
  const kept = await entry.read();
  if (kept) return JSON.parse(new TextDecoder().decode(kept)) as BatchLoss;
  const found = await compare(model, options);
  await entry.put(new TextEncoder().encode(JSON.stringify(found)));
  return found;
}

const compare = (model: Comparable, options: BatchOptions) =>
  compareBatches(model, (bytes) =>
    openFile(bytes ?? (model.external ? realpathSync(model.path) : model.bytes), options),
  );
