// Every architecture at its smallest, against finite differences on the float64 interpreter.

import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { finiteDifferences, randomData } from '../../test/support/run.ts';
import { differentiate } from '../autodiff/index.ts';
import { Arena, interpret, nameOf, paramsOf, type Value, verify } from '../graph/index.ts';
import { sqNorm } from '../ops/index.ts';
import { RandomStream } from '../tensor/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import {
  type ArchitectureName,
  architecture,
  collectSpecs,
  type IterativeSampler,
  initialWeights,
  paramScope,
  type Scope,
} from './index.ts';

const SMALL = {
  ddpm: {
    config: { channels: 2, multipliers: [1, 2], groups: 2, steps: 4 },
    data: [1, 4, 4],
    second: 'down1.conv1.weight',
  },
  glow: { config: { levels: 2, steps: 1, hidden: 4 }, data: [1, 4, 4], second: 'level0.step0.invconv.lower' },
  pixelcnn: { config: { layers: 2, channels: 2, mixtures: 2 }, data: [1, 4, 5], second: 'layer0.link.weight' },
  pixelvae: {
    config: { hidden: 1, latent: 2, layers: 2, channels: 2, mixtures: 2 },
    data: [1, 8, 8],
    second: 'layer0.given.weight',
  },
  transformer: { config: { layers: 1, width: 3, heads: 1 }, data: [4], second: 'block0.attention.query.weight' },
  vae: { config: { hidden: 2, latent: 2 }, data: [1, 8, 8], second: 'decoder.out.weight' },
} satisfies Record<ArchitectureName, object>;

/** Away from the symmetric starting point: zero-initialised parameters get values too. */
function build(name: ArchitectureName) {
  const { config: input, data } = SMALL[name];
  const model = architecture(name);
  const config = model.configure(input, data);
  const arena = new Arena();
  const { nll } = model.loss(config, data, paramScope(arena));
  const specs = collectSpecs((scope) => model.loss(config, data, scope));
  const weights = Object.entries(initialWeights(specs, 1)).map(([key, w]) => {
    const trainable = specs.find((s) => s.name === key)!.trainable;
    const shift = randomData(key, w.data.length, trainable ? 0.3 : 0);
    return [key, Float64Array.from(w.data, (v, i) => v + shift[i]!)] as const;
  });
  const size = sizeOf(data);
  const x = Float64Array.from({ length: size }, (_, i) => [0, 255, 3, 77, 128, 254][i % 6]!);
  const u = new Float64Array(name === 'ddpm' ? 1 : size); // of the step, or of every pixel
  new RandomStream(5, 'u').uniform(0, u);
  const noise = randomData('noise', size);
  const bindings = { ...Object.fromEntries(weights), x, u, eps: randomData('eps', 2), noise };
  return { model, config, data, arena, nll, specs, bindings };
}

/** The last step of a sampler and its pixels, in one graph. */
function iterated(sampler: IterativeSampler, scope: Scope): Value {
  return sampler.toPixels(sampler.step(scope, 0.7));
}

describe.each(Object.keys(SMALL) as ArchitectureName[])('%s', (name) => {
  const { model, config, data, arena, nll, specs, bindings } = build(name);

  it('has the gradient of its nll in every parameter', () => {
    const params = paramsOf({ arena, outputs: { nll } });
    expect(params.map(nameOf).sort()).toEqual(
      specs
        .filter((s) => s.trainable)
        .map((s) => s.name)
        .sort(),
    );
    const outputs = Object.fromEntries(differentiate(nll, params).map((g, i) => [nameOf(params[i]!), g]));
    verify({ arena, outputs });
    const gradients = interpret({ arena, outputs }, bindings);
    for (const p of params) {
      const expected = finiteDifferences(nll, bindings, nameOf(p));
      expectClose(gradients[nameOf(p)]!.data, expected, 1e-6, nameOf(p), Math.max(1, ...expected.map(Math.abs)));
    }
  });

  it('has the gradient of a squared gradient norm', () => {
    const params = paramsOf({ arena, outputs: { nll } });
    const p = params.find((v) => nameOf(v) === SMALL[name].second)!;
    const norm = sqNorm(differentiate(nll, [p])[0]!);
    const [g] = differentiate(norm, [p]);
    const expected = finiteDifferences(norm, bindings, nameOf(p));
    const scale = Math.max(...expected.map(Math.abs));
    expectClose(interpret({ arena, outputs: { g: g! } }, bindings).g!.data, expected, 1e-5, nameOf(p), scale);
  });

  it('has a scalar nll, finite for black, white and noisy images', () => {
    expect(nll).toMatchObject({ shape: [], lead: 'example' });
    for (const x of [0, 255, 128].map((v) => new Float64Array(sizeOf(data)).fill(v))) {
      const values = interpret({ arena, outputs: { nll } }, { ...bindings, x });
      for (const v of Object.values(values)) expect(Number.isFinite(v.data[0])).toBe(true);
    }
  });

  it('samples images in pixel units, using parameters that the loss has', () => {
    const sampling = new Arena();
    const weights = initialWeights(specs, 1);
    const x = model.sample
      ? model.sample(config, data, paramScope(sampling), weights, { temperature: 0.7, pixelNoise: false })
      : iterated(model.iterativeSampler!(config, data), paramScope(sampling));
    expect(x).toMatchObject({ shape: [1, ...data], lead: 'example' });
    const known = new Set(specs.map((s) => s.name));
    for (const p of paramsOf({ arena: sampling, outputs: { x } }, { all: true })) expect(known).toContain(nameOf(p));
  });
});

it('names the architectures there are', () => {
  expect(() => architecture('glw')).toThrowErrorMatchingInlineSnapshot(
    `[ModelError: no architecture 'glw'; there are ddpm, glow, pixelcnn, pixelvae, transformer, vae]`,
  );
});

it('says what is wrong with a configuration', () => {
  const glow = architecture('glow');
  expect(() => glow.configure({}, [1, 28, 28])).toThrowErrorMatchingInlineSnapshot(
    `[ModelError: glow with 3 levels needs height and width divisible by 8, got 28×28; pad the images with \`pad: [32, 32]\`]`,
  );
  expect(() => glow.configure({ levels: 0, step: 1 }, [1, 32, 32])).toThrowErrorMatchingInlineSnapshot(
    `[ModelError: glow configuration: levels: Too small: expected number to be >0; Unrecognized key: "step" (there are levels, steps, hidden)]`,
  );
  expect(() => architecture('vae').configure({}, [784])).toThrowErrorMatchingInlineSnapshot(
    `[ModelError: vae needs images of shape [channels, height, width], got [784]]`,
  );
  expect(glow.configure({}, [1, 32, 32])).toEqual({ levels: 3, steps: 8, hidden: 64 });
});

describe('settings that nobody can mean are refused before anything is built', () => {
  const keys = Object.entries(SMALL).flatMap(([name, { config }]) =>
    Object.keys(config).map((key) => [name as ArchitectureName, key] as const),
  );

  it.each(keys)('%s: %s', (name, key) => {
    const { config, data } = SMALL[name];
    const started = performance.now();
    for (const size of [1e9, 2 ** 32, 2 ** 53 - 1]) {
      const value = Array.isArray((config as Record<string, unknown>)[key]) ? [1, size] : size;
      expect(() => architecture(name).configure({ ...config, [key]: value }, data)).toThrow(
        new RegExp(`^${name} configuration: ${key}.*: Too big`),
      );
    }
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it.each(Object.keys(SMALL) as ArchitectureName[])('%s: the shape of its data', (name) => {
    const { config, data } = SMALL[name];
    for (const axis of data.keys()) {
      const vast = data.map((d, i) => (i === axis ? 2 ** 32 : d));
      expect(() => architecture(name).configure(config, vast)).toThrow(/needs (images of at most|sequences of 2 to)/);
    }
  });

  it('more weights than fit into a file', () => {
    const config = architecture('vae').configure({ hidden: 2 ** 16 }, [1, 8, 8]);
    expect(() => collectSpecs((scope) => void architecture('vae').loss(config, [1, 8, 8], scope))).toThrow(
      'the model would have more than 536870912 weights, with ',
    );
  });
});
