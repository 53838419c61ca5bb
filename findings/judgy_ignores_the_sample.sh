#!/usr/bin/env bash
# What:     judgy's interval of a pass rate that is corrected for the errors of an LLM judge.
# Version:  judgy 0.1.0 (numpy 2.4.6).
# Expected: a 95 % interval holds two uncertainties: how often the judge errs, and which answers happened to be judged. With a judge who
#           never errs it is that of a proportion: 6 of 10 passed is 0.31 to 0.83 (Wilson).
# Seen:     the bootstrap draws the labelled examples again and never the judged answers: the pass rate that the judge observed is a
#           constant. A judge who is right on all labelled examples gets an interval of width 0, for ten answers as for ten thousand.
#           A judge who is known well is little better: with 2000 labelled examples, 95 % of them right, and 50 judged answers, the
#           interval holds the true rate in 14 of 200 repetitions instead of about 190.
# Matters:  the better the judge, the more certain a win rate of few answers looks; two models are told apart that no one can tell apart.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages judgy==0.1.0 numpy==2.4.6
PYTHONPATH=packages python3 - > seen << 'EOF'
import numpy as np
from judgy import estimate_success_rate


def judged_by(accuracy, truth):
    return np.where(rng.random(truth.size) < accuracy, truth, 1 - truth)


rng = np.random.default_rng(1)
np.random.seed(0)
labels = np.repeat([1, 0], 20)
for answers in (10, 10000):
    rate, low, high = estimate_success_rate(labels, labels, np.arange(answers) % 10 < 6, bootstrap_iterations=1000)
    print(f"a judge without an error, {answers} answers: {rate:.2f}, interval {low:.2f} to {high:.2f}")

labels = np.repeat([1, 0], 1000)
held = 0
for _ in range(200):
    answers = judged_by(0.95, (rng.random(50) < 0.6).astype(int))
    _, low, high = estimate_success_rate(labels, judged_by(0.95, labels), answers, bootstrap_iterations=300)
    held += low <= 0.6 <= high
print(f"a judge who errs in 5 %, 50 answers: {held} of 200 intervals hold the true rate")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
a judge without an error, 10 answers: 0.60, interval 0.60 to 0.60
a judge without an error, 10000 answers: 0.60, interval 0.60 to 0.60
a judge who errs in 5 %, 50 answers: 14 of 200 intervals hold the true rate
EOF
