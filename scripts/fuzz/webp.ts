// WebP pictures.

import type { Format } from './format.ts';
import { picture, readPicture } from './pictures.ts';

export const webp: Format = {
  extension: 'webp',
  samples: () =>
    Promise.all([
      picture('webp', 3, {}),
      picture('webp', 3, { lossless: true }),
      picture('webp', 4, { quality: 50 }),
      picture('webp', 1, { nearLossless: true }),
    ]),
  read: async (file) => void (await readPicture(file)),
};
