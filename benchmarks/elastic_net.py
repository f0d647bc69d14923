"""How long the difficulty probe takes on labels that the features hardly know, against scikit-learn's own search.

The search of `ElasticNetCV` goes down the whole path of penalties; weak labels want the largest, and the smallest take
nearly all the time. Ratios of CPU seconds within one run. Command (half a CPU minute):

    python benchmarks/elastic_net.py
"""

import os
import sys
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

N_PROMPTS, WIDTH, N_FACTORS = 1200, 896, 40  # labelled prompts, columns, directions that the columns share
STRENGTHS = {"none": 0.0, "weak": 0.02, "strong": 0.25}  # of the signal beside noise of deviation .3


def main() -> None:
    """Print one line a strength of the labels."""
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import ElasticNetCV

    from saerl_core.signals.linear import fit_elastic_net

    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    folds = np.arange(N_PROMPTS) % 3
    splits = [(np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in range(3)]
    for name, strength in STRENGTHS.items():
        x = rng.normal(size=(N_PROMPTS, N_FACTORS)) @ rng.normal(size=(N_FACTORS, WIDTH))
        x += 0.3 * rng.normal(size=x.shape)
        x /= x.std(axis=0)
        signal = x[:, :5].mean(axis=1)
        y = np.clip(0.5 + strength * signal / signal.std() + 0.3 * rng.normal(size=N_PROMPTS), 0, 1)
        first = float(np.abs(x.T @ (y - y.mean())).max()) / (N_PROMPTS * 0.5)
        start = time.process_time()
        search = ElasticNetCV(l1_ratio=0.5, alphas=np.geomspace(first, first * 1e-3, 24), cv=splits, tol=1e-3)
        theirs = search.fit(x, y).predict(x)
        middle = time.process_time()
        ours = fit_elastic_net(x, y, folds, 0.5, 1).predict(x)
        end = time.process_time()
        line = f"labels {name}: {(end - middle) / (middle - start):.3f}x the CPU seconds of ElasticNetCV"
        sys.stdout.write(f"{line}, predictions differ by at most {np.abs(ours - theirs).max():.4f}\n")


if __name__ == "__main__":
    main()
