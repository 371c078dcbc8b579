// Input complexity: by how many bits the model's code for an input is longer than a general compressor's.
//
// Serrà, Álvarez, Gómez, Slizovskaia, Núñez & Luque, "Input complexity and out-of-distribution detection with
// likelihood-based generative models", ICLR 2020: S(x) = −log₂ p(x) − L(x), L the length of the shortest of several
// compressors' files, in bits. Theirs are PNG, JPEG 2000 and FLIF; ours PNG and lossless WebP for images, as sharp
// writes them, and deflate for everything else.

import type { Dataset } from '../../src/data/index.ts';
import { ModelError } from '../../src/errors.ts';
import { compressedBits } from '../../src/paper/beyond/compressed.ts';
import { bySingles, type Method } from './method.ts';
import { openNll } from './ours.ts';

export const complexity: Method = {
  names: ['input-complexity'],
  source: 'Serrà et al. 2020',
  async fit(context) {
    const { model } = context;
    if (model.dims === undefined)
      throw new ModelError('the loss is no likelihood of discrete data, which a file length can be set against');
    const { forward, nll } = openNll(context);
    const score = async (data: Dataset) => {
      const bits = (await nll(data)).map((nats) => nats / Math.LN2);
      const lengths = await compressedBits(data);
      return { 'input-complexity': bits.map((b, i) => b - lengths[i]!) };
    };
    return bySingles(score, () => forward.dispose());
  },
};
