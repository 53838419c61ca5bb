"""Writes tests/data/golden/explain/{regression,lowess}.json: what statsmodels makes of made-up data.

    tools/golden/setup.sh
    .venv-golden/bin/python tools/golden/make_explain_golden.py tests/data/golden/explain
"""

import json
import sys
from pathlib import Path

import numpy as np
import scipy
import statsmodels
import statsmodels.api as sm
from scipy.stats import t as student


def versions():
    return {"statsmodels": statsmodels.__version__, "scipy": scipy.__version__, "numpy": np.__version__}


def regression():
    """Rows in clusters of one to four, errors that share a part within a cluster, columns of very different sizes."""
    random = np.random.default_rng(7)
    clusters = np.repeat(np.arange(60), random.integers(1, 5, 60))
    n = len(clusters)
    columns = np.column_stack([random.normal(0.3, 0.8, n), random.poisson(2.0, n) - random.poisson(1.0, n),
                               1e3 * random.normal(size=n) + 5e3, random.integers(0, 2, n) - random.integers(0, 2, n)])
    shared = random.normal(size=60)[clusters]
    y = 0.4 + columns @ [0.9, -0.15, 2e-4, 0.5] + shared + random.normal(size=n) * (1 + np.abs(columns[:, 0]))
    fit = sm.OLS(y, sm.add_constant(columns)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    interval = fit.conf_int(0.05)
    return {"clusters": clusters.tolist(), "columns": columns.T.tolist(), "y": y.tolist(),
            "coefficients": fit.params.tolist(), "errors": fit.bse.tolist(), "r_squared": fit.rsquared,
            "lo": interval[:, 0].tolist(), "hi": interval[:, 1].tolist(),
            "student_975": {str(df): student.ppf(0.975, df) for df in (3, 10, 29, 78, 220, 5000)}}


def lowess():
    """Lengths with ties and a long tail, scores with far-off points."""
    random = np.random.default_rng(11)
    x = np.round(np.exp(random.normal(6.5, 0.8, 240)) / 20) * 20
    y = np.sin(np.log(x)) + 0.4 * random.standard_t(2, len(x))
    cases = []
    for frac, it, delta in ((0.3, 3, 0.0), (1.0, 3, 0.0), (2 / 3, 0, 0.0), (0.5, 3, 0.01), (0.1, 2, 0.05)):
        width = delta * (x.max() - x.min())
        fit = sm.nonparametric.lowess(y, x, frac=frac, it=it, delta=width)
        cases.append({"frac": frac, "it": it, "delta": width, "x": fit[:, 0].tolist(), "fitted": fit[:, 1].tolist()})
    return {"x": x.tolist(), "y": y.tolist(), "cases": cases}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("regression", regression), ("lowess", lowess)):
        content = {"versions": versions(), "tolerance": 1e-9, **make()}
        (folder / f"{name}.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
