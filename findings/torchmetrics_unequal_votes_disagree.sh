#!/usr/bin/env bash
# What:     Fleiss' kappa of a table of votes, items by categories, by torchmetrics (functional form and class).
# Version:  torchmetrics 1.9.0 (torch 2.11.0, numpy 2.3.3).
# Expected: items may have different numbers of votes, as in Fleiss' paper, or an error (statsmodels raises one). The example on the
#           function's page is itself a table whose rows have different sums; full agreement is 1, as the page says.
# Seen:     every item is taken to have as many votes as the one with the most, and the votes that it lacks count against agreement:
#           raters who agree on every item get 0.36 if half of the items have two votes instead of three, and one item with ten votes
#           beside twenty with three takes them below 0. Agreement of chance becomes negative.
# Matters:  agreement of raters or LLM judges where some votes are missing or could not be parsed.
set -euo pipefail
tools=$(cd "$(dirname "$0")/../tools" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-compile --no-deps torch==2.11.0 nvidia-cuda-runtime==13.0.96 \
  nvidia-cuda-cupti==13.0.85 torchmetrics==1.9.0 lightning-utilities==0.15.3 numpy==2.3.3 packaging==26.3 typing-extensions==4.16.0 \
  filelock==4.2.12 fsspec==2026.9.0 jinja2==3.1.6 markupsafe==3.0.4 networkx==3.6.1 sympy==1.14.0 mpmath==1.4.1 setuptools==80.9.0
"$tools/absent_cuda.sh" "$dir"/venv/lib/python3*/site-packages/torch/lib "$dir/absent"  # instead of 3 GB that no CPU uses
LD_LIBRARY_PATH=$dir/absent "$dir/venv/bin/python" -W ignore - > "$dir/seen" << 'EOF'
import torch
from torchmetrics.functional.nominal import fleiss_kappa
from torchmetrics.nominal import FleissKappa


def by_items(table):
    """Fleiss' kappa with each item's own number of votes."""
    table = table.double()
    votes = table.sum(1)
    observed = ((table**2).sum(1) - votes) / (votes * (votes - 1))
    expected = (table.sum(0) / votes.sum()).square().sum()
    return (observed.mean() - expected) / (1 - expected)


def show(title, rows):
    table = torch.tensor(rows)
    metric = FleissKappa()
    metric.update(table)
    function, of_class, own = (round(float(kappa), 3) + 0 for kappa in (fleiss_kappa(table), metric.compute(), by_items(table)))
    print(f"{title}: {function:.3f}, class {of_class:.3f}, with each item's own votes {own:.3f}")


show("unanimous, three votes on each item", [[3, 0], [0, 3]] * 10)
show("unanimous, three votes or two", [[3, 0], [0, 3], [2, 0], [0, 2]] * 5)
show("unanimous, three votes and one item with ten", [[3, 0], [0, 3]] * 10 + [[10, 0]])
show("unanimous, two votes and one item with five", [[2, 0], [0, 2]] * 10 + [[5, 0]])
chance = [[3, 0], [2, 1], [2, 1], [2, 1], [1, 2], [1, 2], [1, 2], [0, 3]]
show("chance, three votes on each item", chance)
show("chance, three votes or two", chance + [[2, 0], [1, 1], [1, 1], [0, 2]] * 2)
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
unanimous, three votes on each item: 1.000, class 1.000, with each item's own votes 1.000
unanimous, three votes or two: 0.362, class 0.362, with each item's own votes 1.000
unanimous, three votes and one item with ten: -0.021, class -0.021, with each item's own votes 1.000
unanimous, two votes and one item with five: -0.102, class -0.102, with each item's own votes 1.000
chance, three votes on each item: 0.000, class 0.000, with each item's own votes 0.000
chance, three votes or two: -0.149, class -0.149, with each item's own votes 0.000
EOF
