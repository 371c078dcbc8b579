export { outputNamed } from './builder.ts';
export { type LowerOptions, lower } from './lower.ts';
export { chooseBatch, choosePart, estimateMemory } from './memory.ts';
export { countMultiplications, describeNorms, type PlanChoice, productCosts } from './norm-plan.ts';
