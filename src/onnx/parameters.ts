// A decoded ONNX file in; which of its tensors are parameters, under which names, and which parameters it has lost,
// out.

import { declaredParameters, hasDeclaration, stopped } from './declared.ts';
import { detachedOperands, hasSignature } from './exported.ts';
import type { FileModel } from './file.ts';
import { guessedParameters } from './guess.ts';
import type { ParameterTable } from './roles.ts';
import { signedParameters } from './signature.ts';

/**
 * What a file says of its parameters is taken, in metadata of our own or in PyTorch's; for all other files the rule of
 * docs/onnx.md decides.
 */
export function parametersOf(file: FileModel): ParameterTable {
  const table = hasDeclaration(file)
    ? declaredParameters(file)
    : hasSignature(file)
      ? signedParameters(file)
      : guessedParameters(file);
  return { ...table, detached: new Map([...detachedOperands(file), ...stopped(file)]) };
}
