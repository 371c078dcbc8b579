// Deep features: the Mahalanobis distance of what flows into a model's linear layers, averaged over places; and with
// shuffled weights.
//
// Lee, Lee, Lee & Shin, "A simple unified framework for detecting out-of-distribution samples and adversarial attacks",
// NeurIPS 2018: feature maps averaged over places, a normal of them, distances from its mean. They have a classifier, a
// mean for each class and weights for the layers; a generative model has one class, and all layers stand in one normal,
// shrunk as the combined detector's are. The control has the entries of every weight tensor permuted: what it tells
// apart it tells by statistics of images, not by anything that was learned.

import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import type { Dataset } from '../../src/data/index.ts';
import { type Rows, rowOf } from '../../src/densities/rows.ts';
import { asMatrix } from '../../src/densities/shrunk-normal.ts';
import { fitStandard, standardise } from '../../src/densities/standard.ts';
import { ModelError } from '../../src/errors.ts';
import { meanActivations } from '../../src/features/activations.ts';
import { nameOf, paramsOf } from '../../src/graph/index.ts';
import { shuffled } from '../../src/paper/beyond/shuffled.ts';
import type { Weights } from '../../src/tensor/weights.ts';
import { openForward } from './forward.ts';
import { bySingles, type Method } from './method.ts';

/** The share of the identity in the covariance. */
const SHRINKAGE = 0.3;

export const deepFeatures = ofWeights('deep-mahalanobis', (weights) => weights);
export const shuffledFeatures = ofWeights('deep-mahalanobis, shuffled', shuffled);

function ofWeights(
  name: string,
  change: (weights: Weights, learned: readonly string[], seed: number) => Weights,
): Method {
  return {
    names: [name],
    source: 'Lee et al. 2018',
    async fit(context) {
      const loss = context.model.loss();
      const learned = paramsOf({ arena: loss.arena, outputs: { loss } }).map(nameOf);
      const weights = change(context.model.weights, learned, context.seed);
      const activations = meanActivations(loss);
      if (activations.length === 0)
        throw new ModelError(`${context.model.about}: has no products with learned weights`);
      const forward = openForward(context, loss, activations, { weights });
      const found = await forward.rows(context.fit);
      const standard = fitStandard(found);
      const distance = fitDistances(standardise(standard, found), SHRINKAGE);
      const score = async (data: Dataset) => ({
        [name]: distance(standardise(standard, await forward.rows(data))),
      });
      return bySingles(score, () => forward.dispose());
    },
  };
}

/**
 * Squared distances under (1 − a) S + a I of standardised rows [n, p], by the n rows and not by p × p numbers, of which
 * there are more: with X the rows and c = a (n − 1) / (1 − a), uᵀ Σ⁻¹ u = (‖u‖² − (X u)ᵀ (X Xᵀ + c I)⁻¹ X u) / a
 * (Woodbury).
 */
export function fitDistances(rows: Rows, a: number): (points: Rows) => Float64Array {
  const { n } = rows;
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) gram[i * n + j] = gram[j * n + i] = dot(rowOf(rows, i), rowOf(rows, j));
    gram[i * n + i]! += (a * (n - 1)) / (1 - a);
  }
  const factored = new CholeskyDecomposition(asMatrix(gram, n));
  return (points) => {
    const along = new Matrix(n, points.n);
    for (let k = 0; k < n; k++) {
      for (let i = 0; i < points.n; i++) along.set(k, i, dot(rowOf(rows, k), rowOf(points, i)));
    }
    const explained = Matrix.mul(along, factored.solve(along)).sum('column');
    return Float64Array.from({ length: points.n }, (_, i) => {
      const u = rowOf(points, i);
      return (dot(u, u) - explained[i]!) / a;
    });
  };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
