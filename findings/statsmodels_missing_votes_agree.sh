#!/usr/bin/env bash
# What:     Fleiss' kappa of raw votes with gaps, by aggregate_raters and fleiss_kappa.
# Version:  statsmodels 0.15.0 (numpy 2.4.6, scipy 1.17.1).
# Expected: gaps (NaN) are left out, or an error, which the page of aggregate_raters promises for data that are no integers.
# Seen:     without n_cat, the default, NaN becomes a category like any other and takes part in the agreement. Items that nobody rated
#           count as full agreement: they lift a kappa of 0 to 0.7. Raters who always agree where they vote, each on some items, get a
#           kappa below 0 instead of 1. With n_cat the same data are refused.
# Matters:  agreement of raters or LLM judges on items that each see only in part, as crowd votes and parsed verdicts are.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages statsmodels==0.15.0 numpy==2.4.6 scipy==1.17.1 \
  pandas==3.1.1 patsy==1.0.3 packaging==26.3 python-dateutil==2.9.0.post0 six==1.17.0
PYTHONPATH=packages python3 -W error - > seen << 'EOF'
import itertools

import numpy as np
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

nan = np.nan


def kappa(votes):
    table, categories = aggregate_raters(np.array(votes, float))
    return f"categories {categories.tolist()}, kappa {fleiss_kappa(table):.3f}"


chance = list(itertools.product((0, 1), repeat=3))
print("all eight votes of three raters, agreement by chance:", kappa(chance))
for unrated in (4, 8, 40):
    print(f"and {unrated} items that nobody rated:", kappa([*chance, *[(nan,) * 3] * unrated]))
pairs = list(itertools.combinations(range(4), 2))
half = [[label if rater in pair else nan for rater in range(4)] for label in (0, 1) for pair in pairs]
print("four raters, two of them vote on each item and agree always:", kappa(half))
print("the same votes without the gaps:", kappa([[label] * 2 for label in (0, 1) for _ in pairs]))
try:
    print("with n_cat given:", aggregate_raters(np.array(half), n_cat=2))
except TypeError:
    print("with n_cat given: TypeError")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
all eight votes of three raters, agreement by chance: categories [0.0, 1.0], kappa 0.000
and 4 items that nobody rated: categories [0.0, 1.0, nan], kappa 0.500
and 8 items that nobody rated: categories [0.0, 1.0, nan], kappa 0.600
and 40 items that nobody rated: categories [0.0, 1.0, nan], kappa 0.714
four raters, two of them vote on each item and agree always: categories [0.0, 1.0, nan], kappa -0.067
the same votes without the gaps: categories [0.0, 1.0], kappa 1.000
with n_cat given: TypeError
EOF
