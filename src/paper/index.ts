export type { LabOptions } from './lab.ts';
export type { ModelPlan, Preset, SetPlan } from './plan.ts';
export { presetNamed, presets } from './presets.ts';
export { type Reproduction, reproduce } from './run.ts';
export type { Outcome } from './words.ts';
