export { outputNamed } from './context.ts';
export { type LowerOptions, lower } from './lower.ts';
export { chooseBatch, estimateMemory } from './memory.ts';
export { countMultiplications, describeNorms, type PlanChoice } from './plan.ts';
