#!/usr/bin/env bash
# What:     evalica.bradley_terry and evalica.newman on votes in which one model has not lost.
# Version:  evalica 0.4.2, both solvers.
# Expected: the undefeated model is first (infinite or very large), the others are ranked among themselves as their votes say.
# Seen:     every score of every model becomes 1e-06. The result is sorted by score, so the ranking is the order in which names first
#           occur (first column, then second), here the weakest model first. The Bradley-Terry fit reports 2 of 100 iterations, as a
#           fit that converged does; there is no warning. One model without a win does the same to bradley_terry, but not to newman.
#           A single lost vote brings all scores back.
# Matters:  small vote files and single categories often have an undefeated model; ratings, and with them the target win rates of all
#           other pairs of policies, are lost in silence.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps evalica==0.4.2 numpy==2.3.3 pandas==3.1.1 scipy==1.17.1 \
  python-dateutil==2.9.0.post0 six==1.17.0
"$dir/venv/bin/python" - > "$dir/seen" << 'EOF'
import evalica
from evalica import Winner


def fit(method, solver, *counts):
    votes = [(a, b, winner) for a, b, wins, losses in counts for winner in [Winner.X] * wins + [Winner.Y] * losses]
    result = method(*map(list, zip(*votes)), solver=solver)
    return ", ".join(f"{name} {score:.4g}" for name, score in result.scores.items()) + f" ({result.iterations} iterations)"


others = (("weak", "good", 2, 8), ("weak", "fair", 4, 6), ("good", "fair", 6, 4))
champion = (("best", "good", 5, 0), ("best", "fair", 5, 0), ("best", "weak", 5, 0))
one_loss = (("best", "good", 5, 1), *champion[1:])
loser = (("last", "good", 0, 5), ("last", "fair", 0, 5), ("last", "weak", 0, 5))
for method in (evalica.bradley_terry, evalica.newman):
    for solver in ("naive", "pyo3"):
        for title, votes in (("undefeated", others + champion), ("one loss", others + one_loss), ("winless", others + loser)):
            print(f"{method.__name__} {solver}, {title}: {fit(method, solver, *votes)}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
bradley_terry naive, undefeated: weak 1e-06, good 1e-06, best 1e-06, fair 1e-06 (2 iterations)
bradley_terry naive, one loss: best 8.559, good 0.9303, fair 0.4705, weak 0.2669 (9 iterations)
bradley_terry naive, winless: weak 1e-06, good 1e-06, last 1e-06, fair 1e-06 (100 iterations)
bradley_terry pyo3, undefeated: weak 1e-06, good 1e-06, best 1e-06, fair 1e-06 (2 iterations)
bradley_terry pyo3, one loss: best 8.559, good 0.9303, fair 0.4705, weak 0.2669 (9 iterations)
bradley_terry pyo3, winless: weak 1e-06, good 1e-06, last 1e-06, fair 1e-06 (100 iterations)
newman naive, undefeated: weak 1e-06, good 1e-06, best 1e-06, fair 1e-06 (100 iterations)
newman naive, one loss: best 11.81, good 1.284, fair 0.6494, weak 0.3684 (21 iterations)
newman naive, winless: good 2.752, fair 1.547, weak 0.8696, last 1e-06 (100 iterations)
newman pyo3, undefeated: weak 1e-06, good 1e-06, best 1e-06, fair 1e-06 (100 iterations)
newman pyo3, one loss: best 11.81, good 1.284, fair 0.6494, weak 0.3684 (21 iterations)
newman pyo3, winless: good 2.752, fair 1.547, weak 0.8696, last 1e-06 (100 iterations)
EOF
