#!/usr/bin/env bash
# What:     the intervals of calibration errors in uncertainty-calibration (import calibration).
# Version:  uncertainty-calibration 0.1.4 (numpy 2.4.6, scikit-learn 1.9.1).
# Expected: get_calibration_error_uncertainties(..., alpha=0.1) is the 1 - alpha, so the 90 % interval of the bootstrap, as its page says.
# Seen:     alpha is handed on to a function that takes percent: 0.1 becomes the 99.9 % interval, which of the 100 resamples is all of
#           them, the lowest to the highest. alpha=0.5 is nearly the same interval; alpha=10 is the 90 % one.
# Matters:  differences of calibration that the stated level would show are taken for noise.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --no-compile --no-deps numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 joblib==1.6.0 \
  cloudpickle==3.1.3 threadpoolctl==3.6.0 narwhals==2.29.0 wheel==0.46.1 setuptools==80.9.0
venv/bin/pip install -q --disable-pip-version-check --no-compile --no-deps --no-build-isolation uncertainty-calibration==0.1.4
venv/bin/python - > seen << 'EOF'
import calibration
import numpy as np

rng = np.random.default_rng(0)
chances = rng.random(1000)
wins = (rng.random(1000) < chances**1.5).astype(int)


def interval(alpha):
    np.random.seed(0)
    return calibration.get_calibration_error_uncertainties(chances, wins, p=1, alpha=alpha)


np.random.seed(0)
error = calibration.get_calibration_error(chances, wins, p=1, debias=False)
resamples = []
for _ in range(100):
    rows = np.random.choice(list(range(1000)), size=1000, replace=True)
    resamples.append(calibration.get_calibration_error(chances[rows], wins[rows], p=1, debias=False))
for share in (90, 99.9):
    low, high = np.percentile(resamples, [50 - share / 2, 50 + share / 2])
    print(f"{share} % of the resamples: {2 * error - high:.3f} to {2 * error - low:.3f}")
print(f"all of the resamples: {2 * error - max(resamples):.3f} to {2 * error - min(resamples):.3f}")
for alpha in (0.1, 0.5, 10):
    low, _, high = interval(alpha)
    print(f"alpha={alpha}: {low:.3f} to {high:.3f}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
90 % of the resamples: 0.070 to 0.105
99.9 % of the resamples: 0.067 to 0.113
all of the resamples: 0.067 to 0.113
alpha=0.1: 0.067 to 0.113
alpha=0.5: 0.067 to 0.112
alpha=10: 0.070 to 0.105
EOF
