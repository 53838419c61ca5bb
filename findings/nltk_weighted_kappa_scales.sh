#!/usr/bin/env bash
# What:     weighted kappa of two raters who give grades, AnnotationTask.weighted_kappa(max_distance) of nltk.
# Version:  nltk 3.10.4, against scikit-learn 1.9.1.
# Expected: the largest distance divides the observed and the expected disagreement alike, so it has no effect on kappa.
# Seen:     it reaches the expected disagreement only: the observed one is divided by the default, 1. The distance from perfect agreement
#           grows by the factor max_distance: 0.864 of grades 0 to 2 becomes 0.729 with their true largest distance, 2, and the quadratic
#           0.879 becomes 0.515 with 4. Do_Kw, which averages the observed disagreement, does take the argument. Without it all is right.
# Matters:  agreement of raters or LLM judges on a scale; who names the scale's range is told that they agree less, or less than chance.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages nltk==3.10.4 regex==2026.11.19 tqdm==4.70.1 \
  click==8.5.1 defusedxml==0.7.1 joblib==1.6.0 cloudpickle==3.1.3 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 threadpoolctl==3.6.0 \
  narwhals==2.29.0
PYTHONPATH=packages python3 - > seen << 'EOF'
from nltk.metrics.agreement import AnnotationTask
from sklearn.metrics import cohen_kappa_score

pairs = [(0, 0)] * 14 + [(1, 1)] * 15 + [(2, 2)] * 16 + [(0, 1)] * 2 + [(1, 2), (1, 0), (2, 0)]
one, other = zip(*pairs)
votes = [(rater, item, pair[place]) for place, rater in enumerate("ab") for item, pair in enumerate(pairs)]
for weights, power in (("linear", 1), ("quadratic", 2)):
    task = AnnotationTask(votes, distance=lambda grade, of_other: abs(grade - of_other) ** power)
    print(f"{weights}: scikit-learn {cohen_kappa_score(one, other, weights=weights):.3f}, nltk {task.weighted_kappa():.3f}, "
          f"nltk with max_distance={2**power} {task.weighted_kappa(2**power):.3f}, with 10 {task.weighted_kappa(10):.3f}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
linear: scikit-learn 0.864, nltk 0.864, nltk with max_distance=2 0.729, with 10 -0.357
quadratic: scikit-learn 0.879, nltk 0.879, nltk with max_distance=4 0.515, with 10 -0.213
EOF
