#!/usr/bin/env bash
# What:     weighted agreement of scores from 1 to 5 by CAC of irrCAC, with the list of all possible scores as `categories`.
# Version:  irrCAC 0.4.4 with the scipy that it asks for, 1.12.0 (numpy 1.26.4, pandas 2.3.3; Python 3.11 or 3.12).
# Expected: the order of that list is without effect for numbers, whose distances the weights are made of.
# Seen:     the weights are made for the sorted numbers and applied to the counts in the order of the list: a quadratic kappa of 0.88
#           becomes 0.10 when the scores are listed as they come up in the data, as unique() gives them. Linear and ordinal weights and the
#           other coefficients shown go the same way, no warning is given, and without `categories` all is well. Its page advises to give
#           them where some are never used.
# Matters:  agreement of judges who give grades looks like chance, or like agreement, by the order of a list.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages irrcac==0.4.4 numpy==1.26.4 scipy==1.12.0 \
  pandas==2.3.3 python-dateutil==2.9.0.post0 six==1.17.0 pytz==2026.6 tzdata==2026.6
PYTHONPATH=packages python3 -W ignore - > seen << 'EOF'
import pandas as pd
from irrCAC.raw import CAC

grades = pd.DataFrame({"judge": [3, 3, 1, 1, 5, 5, 2, 2, 4, 4, 1, 5], "other": [3, 4, 1, 2, 5, 4, 2, 3, 4, 5, 2, 5]})
seen_first = list(map(int, grades["judge"].unique()))
for weights in ("identity", "linear", "quadratic", "ordinal"):
    for categories in (None, sorted(seen_first), seen_first):
        cac = CAC(grades, weights=weights, categories=categories)
        values = {name: float(getattr(cac, name)()["est"]["coefficient_value"]) for name in ("conger", "krippendorff", "gwet")}
        print(f"{weights}, categories {categories}: {values}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
identity, categories None: {'conger': 0.37931, 'krippendorff': 0.39738, 'gwet': 0.37595}
identity, categories [1, 2, 3, 4, 5]: {'conger': 0.37931, 'krippendorff': 0.39738, 'gwet': 0.37595}
identity, categories [3, 1, 5, 2, 4]: {'conger': 0.37931, 'krippendorff': 0.39738, 'gwet': 0.37595}
linear, categories None: {'conger': 0.69492, 'krippendorff': 0.70386, 'gwet': 0.69032}
linear, categories [1, 2, 3, 4, 5]: {'conger': 0.69492, 'krippendorff': 0.70386, 'gwet': 0.69032}
linear, categories [3, 1, 5, 2, 4]: {'conger': 0.20354, 'krippendorff': 0.22122, 'gwet': 0.22581}
quadratic, categories None: {'conger': 0.88, 'krippendorff': 0.88345, 'gwet': 0.87724}
quadratic, categories [1, 2, 3, 4, 5]: {'conger': 0.88, 'krippendorff': 0.88345, 'gwet': 0.87724}
quadratic, categories [3, 1, 5, 2, 4]: {'conger': 0.10219, 'krippendorff': 0.11951, 'gwet': 0.16113}
ordinal, categories None: {'conger': 0.82775, 'krippendorff': 0.83273, 'gwet': 0.82418}
ordinal, categories [1, 2, 3, 4, 5]: {'conger': 0.82775, 'krippendorff': 0.83273, 'gwet': 0.82418}
ordinal, categories [3, 1, 5, 2, 4]: {'conger': 0.13178, 'krippendorff': 0.14927, 'gwet': 0.17949}
EOF
