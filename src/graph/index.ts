export { type Bindings, interpret } from './interpret.ts';
export { print } from './print.ts';
export type { Contraction, Factor, Lowered, Lowering, OnnxAttr, OpRecord, Scaler } from './record.ts';
export {
  Arena,
  type ArenaLimits,
  type Attrs,
  type DType,
  type Graph,
  type InputKind,
  inputsOf,
  type Lead,
  type NodeSource,
  nameOf,
  paramsOf,
  type Requirement,
  reachable,
  requirementsOf,
  Value,
  type ValueType,
  type WholeRange,
} from './value.ts';
export { verify } from './verify.ts';
