#!/usr/bin/env bash
# What:     evalica.elo with weights for votes.
# Version:  evalica 0.4.2, both solvers.
# Expected: a vote of weight 0 changes nothing, weight 2 counts twice, and the sum of all ratings stays where it was.
# Seen:     the weight multiplies what a model won but not what was expected of it. With weight 0 both models of a vote lose points, with
#           0.5 the winner of an even battle gains nothing and the loser loses in full, with 2 points come out of nothing: the mean of
#           all ratings moves with the number of votes. counting and bradley_terry treat the same weights as expected.
# Matters:  votes are weighted by a judge's confidence or by how often a pair was compared; a model with many votes of little weight sinks
#           below models that lost more.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps evalica==0.4.2 numpy==2.3.3 pandas==3.1.1 scipy==1.17.1 \
  python-dateutil==2.9.0.post0 six==1.17.0
"$dir/venv/bin/python" - > "$dir/seen" << 'EOF'
import evalica
from evalica import Winner

A, B, WINNERS = ["good", "good", "fair"], ["fair", "weak", "weak"], [Winner.X, Winner.X, Winner.X]


def show(method, solver, weight):
    scores = method(A, B, WINNERS, weights=None if weight is None else [weight] * 3, solver=solver).scores
    print(f"{method.__name__} {solver}, weight {weight}: " + ", ".join(f"{name} {scores[name]:.1f}" for name in ("good", "fair", "weak")) +
          f", sum {scores.sum():.1f}")


for solver in ("naive", "pyo3"):
    for weight in (None, 1.0, 0.0, 0.5, 2.0):
        show(evalica.elo, solver, weight)
    show(evalica.counting, solver, 0.5)
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
elo naive, weight None: good 1004.0, fair 1000.0, weak 996.0, sum 3000.0
elo naive, weight 1.0: good 1004.0, fair 1000.0, weak 996.0, sum 3000.0
elo naive, weight 0.0: good 996.0, fair 996.0, weak 996.0, sum 2988.0
elo naive, weight 0.5: good 1000.0, fair 998.0, weak 996.0, sum 2994.0
elo naive, weight 2.0: good 1012.0, fair 1004.0, weak 996.0, sum 3012.0
counting naive, weight 0.5: good 1.0, fair 0.5, weak 0.0, sum 1.5
elo pyo3, weight None: good 1004.0, fair 1000.0, weak 996.0, sum 3000.0
elo pyo3, weight 1.0: good 1004.0, fair 1000.0, weak 996.0, sum 3000.0
elo pyo3, weight 0.0: good 996.0, fair 996.0, weak 996.0, sum 2988.0
elo pyo3, weight 0.5: good 1000.0, fair 998.0, weak 996.0, sum 2994.0
elo pyo3, weight 2.0: good 1012.0, fair 1004.0, weak 996.0, sum 3012.0
counting pyo3, weight 0.5: good 1.0, fair 0.5, weak 0.0, sum 1.5
EOF
