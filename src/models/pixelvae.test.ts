import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { randomData } from '../../test/support/run.ts';
import { Arena, interpret } from '../graph/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import { pixelLogProbs, pixelvae } from './pixelvae.ts';
import { collectSpecs, initialWeights, paramScope } from './scopes.ts';

const data = [1, 8, 8];
const config = { latent: 2, hidden: 2, layers: 2, channels: 2, mixtures: 2 };

/** log P(pixel | those before, z) of an image, as a function; every weight away from its start. */
function conditionals(): (x: ArrayLike<number>, z: ArrayLike<number>) => Float64Array {
  const arena = new Arena();
  const latent = arena.input('z', [1, config.latent]);
  const logProbs = pixelLogProbs(config, data, paramScope(arena), arena.input('x', [1, ...data]), latent);
  const specs = collectSpecs((scope) => pixelvae.loss(config, data, scope));
  const weights = Object.fromEntries(
    Object.entries(initialWeights(specs, 2)).map(([name, w]) => {
      const shift = randomData(name, w.data.length, 0.3);
      return [name, w.data.map((v, i) => v + shift[i]!)];
    }),
  );
  return (x, z) => interpret({ arena, outputs: { logProbs } }, { ...weights, x, z }).logProbs!.data;
}

describe('pixels of a PixelVAE', () => {
  const logProbs = conditionals();
  const x = Float64Array.from({ length: sizeOf(data) }, (_, i) => (37 * i) % 256);
  const z = [0.3, -0.7];

  it('depend on the latent everywhere, and on the pixels before them', () => {
    const before = logProbs(x, z);
    const moved = logProbs(x, [0.9, -0.7]);
    expect(before.every((v, p) => v !== moved[p])).toBe(true);
    for (const p of [0, 7, 20, 54]) {
      const after = logProbs(
        x.map((v, i) => (i === p ? (v + 100) % 256 : v)),
        z,
      );
      const changed = [...before.keys()].filter((q) => after[q] !== before[q]);
      expect(changed[0]).toBe(p);
      expect(changed).toContain(p + 8); // the one below
    }
  });

  it('have probabilities that sum to 1', () => {
    for (const p of [0, 30]) {
      let total = 0;
      for (let k = 0; k < 256; k++) {
        const changed = x.map((v, i) => (i === p ? k : v));
        total += Math.exp(logProbs(changed, z)[p]!);
      }
      expectClose([total], [1], 1e-9);
    }
  });
});
