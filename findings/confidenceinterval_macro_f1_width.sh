#!/usr/bin/env bash
# What:     the interval of a macro-averaged F1 in confidenceinterval, method takahashi (its default).
# Version:  confidenceinterval 1.0.5 (numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0).
# Expected: the delta method for the confusion matrix, as in the paper that it names. With numerical derivatives that agrees with the
#           bootstrap of the same package.
# Seen:     an interval that is twice as wide for two classes, 1.6 times for three, and too narrow for ten (0.8 times).
#           Precision, recall and the micro averages are right, and so is macro F1 with method="bootstrap_percentile".
# Matters:  F1 of verdicts (A better, B better, tie) of LLM judges: differences are missed with few classes and made up with many.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --no-compile --no-deps confidenceinterval==1.0.5 numpy==2.4.6 scipy==1.17.1 \
  scikit-learn==1.9.1 joblib==1.6.0 cloudpickle==3.1.3 threadpoolctl==3.6.0 narwhals==2.29.0 statsmodels==0.15.0 patsy==1.0.3 \
  packaging==26.4 pandas==3.1.1 python-dateutil==2.9.0.post0 six==1.17.0
venv/bin/python -W ignore - > seen << 'EOF'
import confidenceinterval
import numpy as np


def macro_f1(shares):
    return np.mean(2 * np.diag(shares) / (shares.sum(axis=0) + shares.sum(axis=1)))


def delta_method(shares, rows, step=1e-6):
    slopes = np.zeros_like(shares)
    for cell in np.ndindex(shares.shape):
        up, down = shares.copy(), shares.copy()
        up[cell] += step
        down[cell] -= step
        slopes[cell] = (macro_f1(up) - macro_f1(down)) / (2 * step)
    return 1.96 * np.sqrt(((shares * slopes**2).sum() - (shares * slopes).sum() ** 2) / rows)


def half_width(truth, verdicts, **options):
    return np.diff(confidenceinterval.f1_score(truth, verdicts, **options)[1])[0] / 2


rng = np.random.default_rng(0)
for classes in (2, 3, 5, 10):
    truth = rng.integers(0, classes, 1000)
    verdicts = np.where(rng.random(1000) < 0.7, truth, rng.integers(0, classes, 1000))
    shares = np.zeros((classes, classes))
    np.add.at(shares, (truth, verdicts), 1 / 1000)
    sampled = half_width(truth, verdicts, average="macro", method="bootstrap_percentile", n_resamples=1000, random_state=np.random.RandomState(0))
    print(f"{classes} classes: macro {half_width(truth, verdicts, average='macro'):.3f}, delta method {delta_method(shares, 1000):.3f}, "
          f"bootstrap {sampled:.3f}; micro {half_width(truth, verdicts, average='micro'):.3f}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
2 classes: macro 0.048, delta method 0.022, bootstrap 0.022; micro 0.022
3 classes: macro 0.040, delta method 0.025, bootstrap 0.026; micro 0.025
5 classes: macro 0.032, delta method 0.027, bootstrap 0.025; micro 0.027
10 classes: macro 0.023, delta method 0.028, bootstrap 0.030; micro 0.028
EOF
