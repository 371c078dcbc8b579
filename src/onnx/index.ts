export { decode, type ExternalData, type FileModel, operatorName } from './decode.ts';
export { encode, signature } from './encode.ts';
export { type ImportedModel, type ImportOptions, importModel, type Network } from './import.ts';
export type { OnnxDType, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './model.ts';
export { NodeContext, operators, withoutGradient } from './operators/index.ts';
