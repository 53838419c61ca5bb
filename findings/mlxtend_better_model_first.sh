#!/usr/bin/env bash
# What:     proportion_difference, mlxtend's test of the accuracies of two models.
# Version:  mlxtend 0.25.0 (numpy 2.4.6, scipy 1.17.1).
# Expected: the p of the two-tailed test that its user guide sets out, or at least one that is small for a large difference: 80 % against
#           70 % of 1000 pairs each is z = 5.2, p = 2e-07.
# Seen:     p is the normal distribution's value at z itself, so what is small depends on who is named first: 1.0000 with the better model
#           first, 1e-07 with the worse one first. Equal accuracies give 0.5. The two orders add up to 1.
# Matters:  a reward model that is named before a weaker baseline never differs from it; named after it, it differs at 5 % with the z of
#           a one-tailed test (-1.645).
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m pip install -q --disable-pip-version-check --no-compile --no-deps --target packages mlxtend==0.25.0 numpy==2.4.6 scipy==1.17.1 \
  scikit-learn==1.9.1 joblib==1.6.0 cloudpickle==3.1.3 threadpoolctl==3.6.0 narwhals==2.29.0 pandas==3.1.1 python-dateutil==2.9.0.post0 six==1.17.0 \
  matplotlib==3.11.2 contourpy==1.3.3 cycler==0.12.1 fonttools==4.68.0 kiwisolver==1.5.1 packaging==26.4 pillow==13.0.0 pyparsing==3.3.3
PYTHONPATH=packages python3 - > seen << 'EOF'
from mlxtend.evaluate import proportion_difference
from scipy.stats import norm

for one, other in ((0.8, 0.7), (0.7, 0.8), (0.75, 0.75), (0.72, 0.75), (0.72, 0.753)):
    z, p = proportion_difference(one, other, 1000)
    print(f"accuracy {one} against {other}: z {z:.2f}, p {p:.2g}; two-tailed {2 * norm.sf(abs(z)):.2g}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
accuracy 0.8 against 0.7: z 5.20, p 1; two-tailed 2e-07
accuracy 0.7 against 0.8: z -5.20, p 1e-07; two-tailed 2e-07
accuracy 0.75 against 0.75: z 0.00, p 0.5; two-tailed 1
accuracy 0.72 against 0.75: z -1.52, p 0.064; two-tailed 0.13
accuracy 0.72 against 0.753: z -1.68, p 0.047; two-tailed 0.094
EOF
