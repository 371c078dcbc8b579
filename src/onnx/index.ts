export { decode, type ExternalData, type FileInput, type FileModel, operatorName } from './decode.ts';
export { encode, signature } from './encode.ts';
export {
  CURE,
  type ImportedModel,
  type ImportOptions,
  importModel,
  NEWEST_OPSET,
  type Network,
  OLDEST_OPSET,
  type ParameterReport,
} from './import.ts';
export type { OnnxDType, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './model.ts';
export { NodeContext, type OperatorName, operators, withoutGradient } from './operators/index.ts';
export { parametersOf } from './parameters.ts';
export { withOpenBatch } from './rebatch.ts';
