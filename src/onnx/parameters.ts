// A decoded ONNX file in; which of its tensors are parameters, under which names, and which parameters it has lost, out.

import type { FileModel } from './decode.ts';
import { guessedParameters } from './guess.ts';
import type { ParameterTable } from './roles.ts';
import { hasSignature, signedParameters } from './signature.ts';

/** PyTorch's exporter says which tensors are parameters; for all other files the rule of docs/onnx.md decides. */
export function parametersOf(file: FileModel): ParameterTable {
  return hasSignature(file) ? signedParameters(file) : guessedParameters(file);
}
