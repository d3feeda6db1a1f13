"""Regression beside scikit-learn: the mean squared error on test samples, settings chosen on training samples.

For each seed diabetes is split anew, and Friedman's first problem (10 features, 5 of which matter, noise of variance 1;
scikit-learn's make_friedman1) is drawn anew. Of every method some settings are tried by 5-fold cross-validation on the
training samples; the best is fitted to all of them, and measured once on the test samples. Programs are compiled for
loihi1; their logits on the loop are held to the network's.

python examples/regression.py --seeds 3
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import conntra_neuro as cn

METHODS = ("Ridge", "MLPRegressor", "ConntraRegressor")


def data_of(name: str, seed: int) -> cn.Dataset:
    """Return a data set with its test samples."""
    if name == "diabetes":
        return cn.load_dataset("diabetes", seed=seed)
    x, y = make_friedman1(2000, noise=1.0, random_state=seed)
    return cn.Dataset("friedman1", x[:1000], y[:1000], x[1000:], y[1000:], target="value")


def search_of(method: str, seed: int) -> GridSearchCV:
    """Return a method with the settings that are tried."""
    if method == "Ridge":
        return GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [0.1, 1, 10, 100]})
    if method == "MLPRegressor":
        network = make_pipeline(StandardScaler(), MLPRegressor(max_iter=500, random_state=seed))
        scaled = TransformedTargetRegressor(network, transformer=StandardScaler())
        tried: dict[str, list[Any]] = {
            "regressor__mlpregressor__hidden_layer_sizes": [(16,), (64,)],
            "regressor__mlpregressor__alpha": [0.01, 1],
        }
        return GridSearchCV(scaled, tried)
    tried = {"hidden_layer_sizes": [(), (16,), (64,), (256,)]}
    return GridSearchCV(cn.ConntraRegressor(random_state=seed), tried)


def main() -> None:
    """Print what was chosen, and a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    given = parser.parse_args()
    seeds, rows = range(given.seeds), {method: [f"| {method}"] for method in given.methods}
    for name in ("diabetes", "friedman1"):
        for method in given.methods:
            errors, scores, chosen = [], [], []
            for seed in seeds:
                data, search = data_of(name, seed), search_of(method, seed)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    search.fit(data.x_train, data.y_train)
                predicted = search.predict(data.x_test)
                errors.append(mean_squared_error(data.y_test, predicted))
                scores.append(r2_score(data.y_test, predicted))
                chosen.append(", ".join(map(str, search.best_params_.values())))
                if method == "ConntraRegressor":
                    _check(search.best_estimator_, data, errors[-1])
            print(f"{name}, {method}: chosen {'; '.join(chosen)}", flush=True)
            digits = 0 if min(errors) > 100 else 2
            ends = f"{min(errors):,.{digits}f} to {max(errors):,.{digits}f}"
            rows[method] += [f"{np.mean(errors):,.{digits}f} ({ends})", f"{np.mean(scores):.3f}"]
    print("\n| | diabetes, MSE | R² | friedman1, MSE | R² |\n|---|---:|---:|---:|---:|")
    for cells in rows.values():
        print(f"{' | '.join(cells)} |")


def _check(fitted: Any, data: cn.Dataset, error: float) -> None:
    program = cn.compile(fitted.network_, chip="loihi1")
    result = program.run(data.x_test, data.y_test)
    assert result.mse is not None
    assert abs(result.mse - error) < 1e-9 * error
    few = program.run(data.x_test[:20], backend="loop")
    assert np.array_equal(few.predictions, result.predictions[:20])


if __name__ == "__main__":
    main()
