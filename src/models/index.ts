// The built-in architectures by name, and what it takes to build their graphs.

import { ModelError } from '../errors.ts';
import type { Architecture } from './architecture.ts';
import { ddpm } from './ddpm.ts';
import { glow } from './glow.ts';
import { pixelcnn } from './pixelcnn.ts';
import { pixelvae } from './pixelvae.ts';
import { transformer } from './transformer.ts';
import { vae } from './vae.ts';

export type { Weights } from '../tensor/weights.ts';
export type {
  Architecture,
  DataKind,
  IterativeBound,
  IterativeSampler,
  Loss,
  Sampling,
  Scorer,
} from './architecture.ts';
export { type DdpmConfig, ddpm } from './ddpm.ts';
export { type GlowConfig, glow } from './glow.ts';
export { type PixelCnnConfig, pixelcnn } from './pixelcnn.ts';
export { type PixelVaeConfig, pixelvae } from './pixelvae.ts';
export type { DataInit, Init, ParamSpec, Scope } from './scope.ts';
export { collectSpecs, dataInitScope, initialWeights, paramScope, scopeFrom, shared } from './scopes.ts';
export { type TransformerConfig, transformer } from './transformer.ts';
export { type VaeConfig, vae } from './vae.ts';

/** The built-in architectures by name. `architecture` finds one whose name is known at run time only. */
// biome-ignore format: one line per architecture
export const architectures = {
  ddpm,
  glow,
  pixelcnn,
  pixelvae,
  transformer,
  vae,
} satisfies Record<string, Architecture<unknown>>;

/** The name of a built-in architecture. */
export type ArchitectureName = keyof typeof architectures;

/**
 * The architecture of this name, its configuration's type forgotten (pass it only what `configure` returned). Throws a
 * ModelError for no such name.
 */
export function architecture(name: string): Architecture<unknown> {
  if (Object.hasOwn(architectures, name)) return architectures[name as ArchitectureName];
  throw new ModelError(`no architecture '${name.slice(0, 80)}'; there are ${Object.keys(architectures).join(', ')}`);
}
