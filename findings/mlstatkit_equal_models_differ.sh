#!/usr/bin/env bash
# What:     DeLong's test of two models' AUC in MLstatkit when both rank the responses alike.
# Version:  MLstatkit 0.1.91 (numpy 2.4.6, scipy 1.17.1).
# Expected: a model compared with itself, or with a monotone function of its own scores, does not differ: p = 1, or no p at all.
# Seen:     p = 0, the strongest difference there can be, beside z = 0. The variance of the difference is 0 there, so the test falls back
#           to a bootstrap, whose p is twice the smaller share of the draws at or below 0 and above 0; all draws are 0, none is above.
#           The same for two models that both separate all pairs. Two scores exchanged, and DeLong's own p is back, 0.16.
# Matters:  reward models that differ by a scale or a sigmoid, or that reach 100 % on an easy set, are reported as different.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages MLstatkit==0.1.91 numpy==2.4.6 scipy==1.17.1 \
  scikit-learn==1.9.1 joblib==1.6.0 threadpoolctl==3.6.0 narwhals==2.29.0 tqdm==4.70.1
PYTHONPATH=packages python3 - > seen << 'EOF'
import numpy as np
from MLstatkit import Delong_test

rng = np.random.default_rng(0)
good = np.repeat([1, 0], 100)
scores = good + rng.normal(size=200)
swapped = scores.copy()
swapped[[0, 150]] = swapped[[150, 0]]
for title, one, other in (("the same scores", scores, scores), ("a sigmoid of the scores", scores, 1 / (1 + np.exp(-scores))),
                          ("two models without an error", good + 0.1 * scores / 10, good + 0.0),
                          ("two scores exchanged", scores, swapped)):
    z, p, _, _, auc, other_auc, info = Delong_test(good, one, other, random_state=0)
    print(f"{title}: AUC {auc:.3f} and {other_auc:.3f}, z {z:.2f}, p {p:.2f} ({info['method']})")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
the same scores: AUC 0.787 and 0.787, z 0.00, p 0.00 (bootstrap)
a sigmoid of the scores: AUC 0.787 and 0.787, z 0.00, p 0.00 (bootstrap)
two models without an error: AUC 1.000 and 1.000, z 0.00, p 0.00 (bootstrap)
two scores exchanged: AUC 0.787 and 0.777, z -1.40, p 0.16 (delong)
EOF
