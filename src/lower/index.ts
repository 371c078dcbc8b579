export { outputNamed } from './context.ts';
export { type LowerOptions, lower } from './lower.ts';
export { chooseBatch, estimateMemory, type MemoryEstimate } from './memory.ts';
export { countMultiplications, describeNorms, makePlan, type NormCost, type Plan, type PlanChoice } from './plan.ts';
