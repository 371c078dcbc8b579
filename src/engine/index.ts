export { inRuns } from './batches.ts';
export { feedsFor } from './feeds.ts';
export { checkFits, isOutOfMemory } from './limits.ts';
export {
  openProgram,
  openPrograms,
  type Program,
  type ProgramOptions,
  runOnce,
  type Shapes,
} from './program.ts';
export type {
  Feeds,
  FileSession,
  Findings,
  FloatTensor,
  NumberTensor,
  Outputs,
  Runtime,
  Session,
  SessionOptions,
  TensorData,
  Work,
} from './runtime.ts';
