// JPEG pictures.

import type { Format } from './format.ts';
import { picture, readPicture } from './pictures.ts';

export const jpeg: Format = {
  extension: 'jpg',
  samples: () =>
    Promise.all([
      picture('jpeg', 3, {}),
      picture('jpeg', 1, {}),
      picture('jpeg', 3, { progressive: true }),
      picture('jpeg', 3, { chromaSubsampling: '4:4:4', optimiseCoding: false }),
    ]),
  read: async (file) => void (await readPicture(file)),
};
