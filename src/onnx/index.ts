export { encode } from './encode.ts';
export type { OnnxDType, OnnxModel, OnnxNode, OnnxTensor, OnnxValue } from './model.ts';
