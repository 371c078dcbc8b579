export { type LowerOptions, lower, type WeightTensors } from './lower.ts';
export { gramIsCheaper, makePlan, type Plan, type PlanChoice } from './plan.ts';
