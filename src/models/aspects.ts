// A diffusion model's number of steps in; the steps at which it is scored where none is asked for out.

/**
 * Beside the first step, shares of all steps: of little noise, where textures show, and of much, where shapes do. They
 * were chosen on the published models (docs/detection.md).
 */
const SHARES = [0.064, 0.256];

/** What a `Scorer` has of aspects: nothing for a model of so few steps that they are the same. */
export function aspectsOf(steps: number, noiseSamples: number) {
  const chosen = new Set([Math.min(1, steps - 1), ...SHARES.map((share) => Math.floor(share * steps))]);
  if (chosen.size === 1) return {};
  return { aspects: Object.fromEntries([...chosen].map((t) => [`t${t}`, { timesteps: [t], noiseSamples }])) };
}
