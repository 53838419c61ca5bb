#!/usr/bin/env bash
# What:     two models compared on the same items by autorank, where their scores are not normal.
# Version:  autorank 1.3.0 (scipy 1.17.1, statsmodels 0.15.0, numpy 2.4.6, pandas 3.1.1).
# Expected: Wilcoxon's signed rank test for a difference, as its description says, on both sides as the t-test that it takes for normal
#           scores is: about 50 of 1000 pairs of equal models differ at 0.05.
# Seen:     the test asks only whether the model with the larger median is better, and which one that is has been read off the same
#           scores. Twice as many equal models differ. And where items are so unlike that a few of them decide the median, a model that is
#           better on 96 of 101 items gets p = 1 instead of 2e-15; the report assumes that there is no significant difference.
# Matters:  comparisons of two models or judges over tasks: differences are reported where there are none, and missed where they are plain.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages autorank==1.3.0 baycomp==1.0.3 \
  contourpy==1.3.3 cycler==0.12.1 fonttools==4.68.0 formulaic==1.2.2 interface-meta==2.0.1 jinja2==3.1.6 kiwisolver==1.5.1 \
  markupsafe==3.0.4 matplotlib==3.11.2 narwhals==2.29.0 numpy==2.4.6 packaging==26.4 pandas==3.1.1 patsy==1.0.3 pillow==13.0.0 \
  pyparsing==3.3.3 python-dateutil==2.9.0.post0 six==1.17.0 scipy==1.17.1 statsmodels==0.15.0 typing-extensions==4.16.0 \
  tzdata==2026.6 wrapt==2.5.2
PYTHONPATH=packages MPLCONFIGDIR=$dir python3 -W ignore - > seen << 'EOF'
import contextlib
import io

import numpy as np
import pandas as pd
from autorank import autorank, create_report
from scipy.stats import wilcoxon


def compare(scores):
    with contextlib.redirect_stdout(io.StringIO()):  # it prints a table in every call
        result = autorank(scores)
    return result


generator = np.random.default_rng(0)
found = {"autorank": 0, "scipy": 0}
for _ in range(1000):
    scores = pd.DataFrame(generator.exponential(size=(60, 2)), columns=["a", "b"])
    result = compare(scores)
    assert result.omnibus == "wilcoxon"
    found["autorank"] += bool(result.pvalue < 0.05)
    found["scipy"] += bool(wilcoxon(scores["a"], scores["b"]).pvalue < 0.05)
print("equal models that differ, of 1000 pairs:", found)

items = np.arange(101.0)
scores = pd.DataFrame({"a": items**2, "b": items**2 + 1})
scores.loc[50:54, "b"] -= 1000
two = compare(scores)
better = int((scores["b"] > scores["a"]).sum())
print(f"b is better on {better} items of {len(items)}, medians {scores.median().to_dict()}")
print(f"autorank: {two.omnibus}, p {two.pvalue:.3f}; scipy: p {wilcoxon(scores['a'], scores['b']).pvalue:.0e}")
report = io.StringIO()
with contextlib.redirect_stdout(report):
    create_report(two)
print("report:", report.getvalue().strip().split(". ")[-1])
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
equal models that differ, of 1000 pairs: {'autorank': 106, 'scipy': 60}
b is better on 96 items of 101, medians {'a': 2500.0, 'b': 2026.0}
autorank: wilcoxon, p 1.000; scipy: p 2e-15
report: Therefore, we assume that there is no statistically significant difference between the medians of the populations.
EOF
