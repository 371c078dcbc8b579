// Descriptions of models that ask for far more than there is: refused at once, by the file and the setting or the
// layer.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inTemporaryFolder } from '../../test/support/cli.ts';
import { type SmallName, smallModel, smallSizes } from '../../test/support/models.ts';
import { ModelError } from '../errors.ts';
import { writeSafetensors } from '../store/index.ts';
import { folderStore, loadModel } from './index.ts';

type Json = { [key: string]: Json | number | string };

/** The description with every number in its settings and its data, one at a time, in place of which `size` stands. */
function* enlarged(info: Json, size: number): Generator<{ where: string; text: string }> {
  for (const part of ['config', 'data']) {
    const places: string[][] = [];
    const walk = (v: unknown, path: string[]) => {
      if (typeof v === 'number') places.push(path);
      else if (typeof v === 'object' && v !== null)
        for (const [key, inner] of Object.entries(v)) walk(inner, [...path, key]);
    };
    walk(info[part], [part]);
    for (const place of places) {
      const copy = structuredClone(info);
      const parent = place.slice(0, -1).reduce((at, key) => at[key] as Json, copy);
      parent[place.at(-1)!] = size;
      yield { where: place.join('.'), text: JSON.stringify(copy) };
    }
  }
}

describe.each(Object.keys(smallSizes) as SmallName[])('a model.json of %s', (name) => {
  it.each([1e9, 2 ** 31, 2 ** 53 - 1, 1000])('with a size of %d is read or refused at once', async (size) => {
    await inTemporaryFolder(async (dir) => {
      const { info, weights } = smallModel(name);
      await folderStore(dir).write('model.json', JSON.stringify(info));
      await folderStore(dir).write('weights.safetensors', writeSafetensors(weights));
      await loadModel(dir);
      for (const { where, text } of enlarged(JSON.parse(JSON.stringify(info)), size)) {
        await writeFile(join(dir, 'model.json'), text);
        const began = performance.now();
        const error = await loadModel(dir).catch((e: unknown) => e);
        expect(performance.now() - began, where).toBeLessThan(1000);
        if (size > 1000) expect(error, where).toBeInstanceOf(ModelError);
        if (error instanceof Error) expect(error.message).toMatch(/model\.json|weights\.safetensors/);
      }
    });
  });
});

describe('the scoring of a diffusion model', () => {
  it.each([
    [{ noiseSamples: 1e9 }, /noiseSamples: .*256/],
    [{ bound: true, noiseSamples: 1e9 }, /noiseSamples: .*256/],
    [{ timesteps: [1, 2, 3], noiseSamples: 100 }, /3 timesteps with 100 draws of the noise each, expected at most 256/],
    [{ timesteps: new Array(1000).fill(1) }, /timesteps: .*256/],
  ])('of %j is refused before it is built', (scoring, message) => {
    const { arch, info } = smallModel('ddpm');
    expect(() => arch.scorer!(info.config, scoring)).toThrow(message);
  });
});
