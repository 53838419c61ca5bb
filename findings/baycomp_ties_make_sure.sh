#!/usr/bin/env bash
# What:     the Bayesian sign test of two models' scores, baycomp.SignTest.probs(x, y), without a region of practical equivalence (rope).
# Version:  baycomp 1.0.3 (numpy 2.4.6, scipy 1.17.1).
# Expected: two probabilities that add up to 1, of the second model being better in more comparisons than the first, or the reverse. Ties
#           say nothing about that: with 30 wins and 40 losses it is 0.886, however many ties there are (a closed form, and the share of
#           the same posterior's samples).
# Seen:     it is counted which of the three, left, tie or right, is the most frequent in a sample; samples where ties lead are thrown
#           away. The rest is a selection: 0.886 becomes 0.942 with 45 ties, 0.980 with 60, 0.997 with 70, and with 120 none is left, 0 / 0.
# Matters:  two judges or reward models on preference pairs tie often: a difference becomes significant by their ties.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages baycomp==1.0.3 numpy==2.4.6 scipy==1.17.1
PYTHONPATH=packages python3 -W ignore - > seen << 'EOF'
import numpy as np
from baycomp import SignTest
from scipy.stats import beta

FIRST, SECOND = 30, 40
print(f"wins {FIRST} and {SECOND}, closed form: {beta.sf(0.5, SECOND, FIRST):.3f}")
for ties in (0, 15, 30, 45, 60, 70, 120):
    second = np.array([-1.0] * FIRST + [1.0] * SECOND + [0.0] * ties)
    first = np.zeros(len(second))
    left, right = SignTest.probs(first, second, nsamples=200000, random_state=0)
    sample = SignTest(first, second, nsamples=200000, random_state=0).sample
    print(f"{ties} ties: the second is better with {right:.3f}, in the same samples {np.mean(sample[:, 2] > sample[:, 0]):.3f}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
wins 30 and 40, closed form: 0.886
0 ties: the second is better with 0.886, in the same samples 0.886
15 ties: the second is better with 0.886, in the same samples 0.886
30 ties: the second is better with 0.897, in the same samples 0.886
45 ties: the second is better with 0.942, in the same samples 0.885
60 ties: the second is better with 0.980, in the same samples 0.886
70 ties: the second is better with 0.997, in the same samples 0.886
120 ties: the second is better with nan, in the same samples 0.886
EOF
