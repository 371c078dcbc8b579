import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';

const bytes = readFileSync('/tmp/long.onnx');
await ort.InferenceSession.create(bytes, {
  graphOptimizationLevel: 'disabled',
  intraOpNumThreads: 1,
  logSeverityLevel: 0,
});
process.exit(0);
