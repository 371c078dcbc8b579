"""Values of scikit-learn and SciPy that test/densities holds our densities to.

python scripts/make-density-goldens.py writes test/densities/goldens.json (scikit-learn 1.9, SciPy, NumPy).
"""

import json
from pathlib import Path

import numpy as np
from scipy.stats import norm
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import LocalOutlierFactor

random = np.random.default_rng(7)
rows = (random.normal(size=(40, 6)) @ random.normal(size=(6, 6)) + random.normal(size=6)).round(6)
points = (random.normal(size=(12, 6)) * 3).round(6)
others = (random.normal(size=(15, 6)) + 1.5).round(6)

covariance = np.cov(rows.T)
shrunk = 0.7 * covariance + 0.3 * np.eye(6)
lof = LocalOutlierFactor(n_neighbors=5, novelty=True, algorithm="brute").fit(rows)

third = (random.normal(size=(9, 6)) - 1).round(6)
kinds = [others, third]
count = np.mean([len(kind) for kind in kinds])
within = (40 * covariance + count * np.mean([np.cov(kind.T) for kind in kinds], 0)) / (40 + count)
shifts = np.array([kind.mean(0) - rows.mean(0) for kind in kinds]).T
discriminants = np.linalg.solve(0.7 * within + 0.3 * shrunk, shifts)
along = (rows - rows.mean(0)) @ discriminants

scores = np.sort(random.gamma(2.0, size=50)).round(6)
spread = min(scores.std(ddof=1), np.subtract(*np.percentile(scores, [75, 25])) / 1.34)
width = 0.9 * spread * 50**-0.2
at = np.quantile(scores, [0.05, 0.3, 0.5, 0.9])

goldens = {
    "rows": rows.tolist(),
    "points": points.tolist(),
    "others": others.tolist(),
    "distances": np.einsum("ij,jk,ik->i", points, np.linalg.inv(shrunk), points).tolist(),
    "ledoitWolf": LedoitWolf().fit(rows).shrinkage_,
    "factors": (-lof.score_samples(points)).tolist(),
    "third": third.tolist(),
    "contrasts": ((points - rows.mean(0)) @ discriminants / along.std(0, ddof=1)).T.tolist(),
    "scores": scores.tolist(),
    "at": at.tolist(),
    "z": [float(norm.ppf(norm.cdf((s - scores) / width).mean())) for s in at],
}
path = Path(__file__).parent.parent / "test" / "densities" / "goldens.json"
path.write_text(json.dumps(goldens) + "\n")
