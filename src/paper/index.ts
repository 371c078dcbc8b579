export type { LabOptions } from './lab.ts';
export type { ModelPlan, Preset, SetPlan } from './plan.ts';
export { presetNamed, presets } from './presets.ts';
export { reportOf } from './report.ts';
export { formatResults, parseResults, type Results } from './results.ts';
export { type Reproduction, redraw, reproduce, reproduceOne } from './run.ts';
