#!/usr/bin/env bash
# What:     the rankings of evalica on votes with a clear order: A before B before C before D in every pair.
# Version:  evalica 0.4.2, both solvers (0.3.2 does the same).
# Expected: counting, average_win_rate, bradley_terry, pagerank and eigen all put A first and D last.
# Seen:     eigen returns exactly the reverse order, D first: it multiplies by the transposed win matrix, so a score adds up the battles
#           that a model lost. With the winners exchanged it returns A first. All methods have one interface and sort by score.
# Matters:  the methods are offered as alternatives of each other; an Arena-style list made by eigen, or a rank correlation with it, has
#           the wrong sign.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps evalica==0.4.2 numpy==2.3.3 pandas==3.1.1 scipy==1.17.1 \
  python-dateutil==2.9.0.post0 six==1.17.0
"$dir/venv/bin/python" - > "$dir/seen" << 'EOF'
import evalica
from evalica import Winner

COUNTS = (("A", "B", 6, 3), ("A", "C", 7, 2), ("A", "D", 9, 1), ("B", "C", 5, 4), ("B", "D", 6, 3), ("C", "D", 5, 3))


def order(method, solver, win=Winner.X, loss=Winner.Y):
    votes = [(a, b, winner) for a, b, wins, losses in COUNTS for winner in [win] * wins + [loss] * losses]
    return " ".join(method(*map(list, zip(*votes)), solver=solver).scores.index)


for solver in ("naive", "pyo3"):
    for method in (evalica.counting, evalica.average_win_rate, evalica.bradley_terry, evalica.pagerank, evalica.eigen):
        print(f"{method.__name__} {solver}: {order(method, solver)}")
    print(f"eigen {solver}, winners exchanged: {order(evalica.eigen, solver, Winner.Y, Winner.X)}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
counting naive: A B C D
average_win_rate naive: A B C D
bradley_terry naive: A B C D
pagerank naive: A B C D
eigen naive: D C B A
eigen naive, winners exchanged: A B C D
counting pyo3: A B C D
average_win_rate pyo3: A B C D
bradley_terry pyo3: A B C D
pagerank pyo3: A B C D
eigen pyo3: D C B A
eigen pyo3, winners exchanged: A B C D
EOF
