export { decode, type ExternalData, type FileInput, type FileModel, operatorName } from './decode.ts';
export { encode, signature } from './encode.ts';
export { type ImportedModel, importModel, NEWEST_OPSET, OLDEST_OPSET } from './import.ts';
export type { OnnxDType, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './model.ts';
export { drawsNumbers, NodeContext, type OperatorName, operators, withoutGradient } from './operators/index.ts';
export type { ImportOptions, Network } from './options.ts';
export { parametersOf } from './parameters.ts';
export { withOpenBatch } from './rebatch.ts';
export { CURE, type ParameterReport } from './tensors.ts';
