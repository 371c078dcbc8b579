import { describe, expect, it } from 'vitest';
import { expectClose } from '../../test/support/compare.ts';
import { randomData } from '../../test/support/run.ts';
import { Arena, inputsOf, interpret, nameOf, paramsOf, type Value } from '../graph/index.ts';
import { alphaBars } from '../objectives/index.ts';
import { sizeOf } from '../tensor/shape.ts';
import { type DdpmConfig, ddpm } from './ddpm.ts';
import { collectSpecs, initialWeights, paramScope } from './scopes.ts';

const data = [1, 4, 4];
const small = ddpm.configure({ channels: 4, multipliers: [1, 2], groups: 2, steps: 8 }, data);
const specsOf = (config: DdpmConfig, shape: readonly number[]) =>
  collectSpecs((scope) => void ddpm.loss(config, shape, scope));
const weights = Object.fromEntries(
  Object.entries(initialWeights(specsOf(small, data), 1)).map(([name, w]) => {
    const shift = randomData(name, w.data.length, 0.2);
    return [name, w.data.map((v, i) => v + shift[i]!)] as const;
  }),
);
const x = Float64Array.from({ length: 16 }, (_, i) => (i * 37) % 256);

/** A loss at `weights` and x; noise by its input's name, and what is given. */
function evaluate(loss: Value, given: Record<string, ArrayLike<number>> = {}): number {
  const graph = { arena: loss.arena, outputs: { loss } };
  const noise = inputsOf(graph).map((v) => [nameOf(v), randomData(nameOf(v), sizeOf(v.shape))] as const);
  return interpret(graph, { ...Object.fromEntries(noise), ...weights, x, ...given }).loss!.data[0]!;
}

const scored = (scoring: object, config = small) => ddpm.scorer!(config, scoring).loss(data, paramScope(new Arena()));

describe('the network', () => {
  it.each([
    [[1, 2, 4], 1_081_089],
    [[1, 2, 4, 8], 4_215_937],
  ])('of multipliers %j has the parameters of its size', (multipliers, count) => {
    const specs = specsOf(ddpm.configure({ multipliers }, [1, 32, 32]), [1, 32, 32]);
    expect(specs.reduce((sum, s) => sum + sizeOf(s.shape), 0)).toBe(count);
  });

  it('refuses groups that do not divide the channels and images that cannot be halved', () => {
    expect(() => ddpm.configure({ channels: 12 }, [1, 32, 32])).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: ddpm: 12 channels do not make 8 groups]`,
    );
    expect(() => ddpm.configure({}, [1, 30, 30])).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: ddpm with 3 levels needs height and width divisible by 4, got 30×30; pad the images with \`pad: [32, 32]\`]`,
    );
  });

  it('predicts no noise before training', () => {
    const start = Object.fromEntries(
      Object.entries(initialWeights(specsOf(small, data), 1)).map(([k, w]) => [k, w.data]),
    );
    const noise = randomData('noise0', 16);
    const sum = noise.reduce((s, v) => s + Math.abs(v), 0);
    expectClose([evaluate(scored({}), { ...start, noise0: noise })], [sum], 1e-9);
  });
});

describe('training by log SNR', () => {
  const config = { ...small, draws: 'logSnr' } as const;

  it('draws each step as often as its part of the fall says, and the first as often as the second', () => {
    const logSnr = Array.from(alphaBars('linear', 8), (a) => Math.log(a / (1 - a)));
    const falls = logSnr.slice(1).map((end, i) => logSnr[i]! - end);
    const lengths = [falls[0]!, ...falls];
    const total = lengths.reduce((a, b) => a + b);
    const { nll } = ddpm.loss(config, data, paramScope(new Arena()));
    const noise = randomData('noise0', 16);
    let end = 0;
    for (const [t, length] of lengths.entries()) {
      const expected = evaluate(scored({ timesteps: [t] }));
      const inside = [end + 1e-9, end + length / total - 1e-9];
      for (const u of inside) expectClose([evaluate(nll, { u: [u], noise })], [expected], 1e-9);
      end += length / total;
    }
    expectClose([end], [1], 1e-12);
  });

  it('of a single step draws that step', () => {
    const one = ddpm.configure({ ...config, steps: 1 }, data);
    const { nll } = ddpm.loss(one, data, paramScope(new Arena()));
    const training = evaluate(nll, { u: [0.7], noise: randomData('noise0', 16) });
    expectClose([training], [evaluate(scored({}, one))], 1e-9);
  });
});

describe('the score', () => {
  it.each([0, 3, 7])('at step %d is the loss of training when it draws that step', (t) => {
    const { nll } = ddpm.loss(small, data, paramScope(new Arena()));
    const training = evaluate(nll, { u: [(t + 0.5) / 8], noise: randomData('noise0', 16) });
    expectClose([evaluate(scored({ timesteps: [t] }))], [training], 1e-9);
  });

  it('sums over steps and averages over noise', () => {
    const at = (t: number, k: number) => evaluate(scored({ timesteps: [t] }), { noise0: randomData(`noise${k}`, 16) });
    const expected = [0, 1, 2].reduce((sum, k) => sum + (at(2, k) + at(5, k)) / 3, 0);
    expectClose([evaluate(scored({ timesteps: [2, 5], noiseSamples: 3 }))], [expected], 1e-9);
  });

  it('by the bound has the sum of all terms as its mean', () => {
    const { terms, term, scalars } = ddpm.bound!(small, data);
    const [first, noise] = [randomData('noiseFirst', 16), randomData('noise0', 16)];
    const each = Array.from({ length: terms }, (_, k) => {
      const given = Object.fromEntries(Object.entries(scalars(k)).map(([name, v]) => [name, [v]]));
      return evaluate(term(paramScope(new Arena())), { noise: k === 0 ? first : noise, ...given });
    });
    const alphas = alphaBars('linear', 8);
    const logSnr = Array.from(alphas, (a) => Math.log(a / (1 - a)));
    const part = (t: number) => (logSnr[0]! - logSnr[t]!) / (logSnr[0]! - logSnr[7]!); // of [0, 1): steps up to t
    const found = [1, 2, 3, 4, 5, 6, 7].reduce((sum, t) => {
      const at = evaluate(scored({ bound: true }), { u0: [(part(t - 1) + part(t)) / 2] });
      return sum + (part(t) - part(t - 1)) * at;
    }, 0);
    expectClose([found], [each.reduce((a, b) => a + b)], 1e-9);
  });

  it('by the bound takes one step from each of equal parts', () => {
    const noise = randomData('noise0', 16);
    const one = (u: number) => evaluate(scored({ bound: true }), { u0: [u] });
    const two = evaluate(scored({ bound: true, noiseSamples: 2 }), { u0: [0.3], u1: [0.8], noise1: noise });
    expectClose([two], [(one(0.15) + one(0.9)) / 2], 1e-9);
  });

  it('is of step 1 unless asked otherwise, and has every parameter', () => {
    expect(ddpm.scorer!(small, {})).toMatchObject({ scoring: { timesteps: [1], noiseSamples: 1 }, isBound: false });
    expect(ddpm.scorer!(small, { bound: true })).toMatchObject({ isBound: true });
    for (const scoring of [{ timesteps: [0, 4], noiseSamples: 2 }, { bound: true }]) {
      const loss = scored(scoring);
      const names = paramsOf({ arena: loss.arena, outputs: { loss } }).map(nameOf);
      expect(names.sort()).toEqual(Object.keys(weights).sort());
    }
  });

  it('refuses steps that are not there and half a bound', () => {
    expect(() => scored({ timesteps: [8] })).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: ddpm scoring: timestep 8, expected one of 0 to 7]`,
    );
    expect(() => scored({ bound: true, timesteps: [1] })).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: ddpm scoring: the bound is of all steps; leave out the timesteps]`,
    );
    expect(() => scored({ timesteps: [] })).toThrowErrorMatchingInlineSnapshot(
      `[ModelError: ddpm scoring configuration: timesteps: Too small: expected array to have >=1 items]`,
    );
  });
});

describe('the sampler', () => {
  const config = ddpm.configure({}, [1, 32, 32]);

  it('has the means and variances of the paper (Ho et al., eq. 7) and ends without noise', () => {
    const { steps, scalars } = ddpm.iterativeSampler!(config, [1, 32, 32]);
    expect(steps).toBe(1000);
    const alphas = alphaBars('linear', 1000);
    for (const t of [999, 500, 1]) {
      const [barT, barS] = [alphas[t]!, alphas[t - 1]!];
      const beta = 1 - barT / barS;
      const found = scalars(999 - t);
      expect(found.t).toBe(t);
      expectClose(
        [found.ofClean!, found.ofState!, found.std!],
        [
          (Math.sqrt(barS) * beta) / (1 - barT),
          (Math.sqrt(1 - beta) * (1 - barS)) / (1 - barT),
          Math.sqrt((beta * (1 - barS)) / (1 - barT)),
        ],
        1e-9,
      );
    }
    expect(scalars(999)).toEqual({ t: 0, ofClean: 1, ofState: 0, std: 0 });
  });

  it.each([1, 7, 50, 999])('of %d steps goes from the last to the image', (count) => {
    const { steps, scalars } = ddpm.iterativeSampler!(config, [1, 32, 32], count);
    const visited = Array.from({ length: steps }, (_, k) => scalars(k).t!);
    expect(visited).toHaveLength(count);
    expect(visited[0]).toBe(999);
    expect(visited.every((t, k) => t >= 0 && (k === 0 || t < visited[k - 1]!))).toBe(true);
    expect(scalars(count - 1)).toMatchObject({ ofClean: 1, ofState: 0, std: 0 });
  });
});
