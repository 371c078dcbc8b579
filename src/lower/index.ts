export { type LowerOptions, lower, type WeightTensors } from './lower.ts';
export { chooseBatch, estimateMemory, type MemoryEstimate } from './memory.ts';
export { gramIsCheaper, makePlan, type Plan, type PlanChoice } from './plan.ts';
