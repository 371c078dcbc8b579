// Text, in windows of bytes: whatever the bytes are, they are text.

import { writeFileSync } from 'node:fs';
import { openText } from '../../test/support/readers.ts';
import { checkData, type Format } from './format.ts';

const LENGTH = 16;

export const text: Format = {
  extension: 'txt',
  tolerant: true,
  samples: () =>
    ['A text that is long enough for three windows of bytes. '.repeat(2), 'Ünïcödé und mehr 日本語'].map((words) => ({
      bytes: new TextEncoder().encode(words),
    })),
  async read({ bytes, path }) {
    writeFileSync(path, bytes);
    await checkData(await openText(path, path, LENGTH));
    return undefined;
  },
};
