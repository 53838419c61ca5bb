#!/usr/bin/env bash
# What:     the expected calibration error of a preference model, sigmoid(margin) being the probability that the first response wins.
# Version:  torchmetrics 1.9.0 (torch 2.11.0).
# Expected: binary_calibration_error and multiclass_calibration_error with the columns [1 - p, p] see the same forecasts and agree; the
#           pages of both define it by the confidence and the accuracy of the top-1 prediction.
# Seen:     only the multiclass function does that. The binary one bins p itself against the label. Forecasts that favour the first response
#           everywhere (0.15 where it wins 5 %, 0.85 where it wins 75 %) are off by 0.1 each, which the binary function reports; as
#           top-1 confidence one is too low and one too high in the same bin, and the multiclass function says 0.
# Matters:  a bias towards one side, which is what a calibration of reward models looks for, is invisible to one of two functions that share a
#           definition; results under the one name cannot be compared.
set -euo pipefail
tools=$(cd "$(dirname "$0")/../tools" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check --no-deps torchmetrics==1.9.0 lightning-utilities==0.15.3 torch==2.11.0 \
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85 numpy==2.3.3 packaging==26.4 typing-extensions==4.16.0 setuptools==80.9.0 \
  jinja2==3.1.6 markupsafe==3.0.4 networkx==3.6.1 sympy==1.14.0 mpmath==1.4.1 filelock==4.2.12 fsspec==2026.9.0
"$tools/absent_cuda.sh" "$dir"/venv/lib/python3*/site-packages/torch/lib "$dir/absent"  # instead of 3 GB that no CPU uses
LD_LIBRARY_PATH=$dir/absent "$dir/venv/bin/python" -W ignore - > "$dir/seen" << 'EOF'
import torch
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

p = torch.tensor([0.15, 0.85]).repeat_interleave(100)
first_wins = torch.tensor([1] * 5 + [0] * 95 + [1] * 75 + [0] * 25)
for n_bins in (10, 15):
    binary = binary_calibration_error(p, first_wins, n_bins=n_bins)
    multiclass = multiclass_calibration_error(torch.stack([1 - p, p], dim=1), first_wins, num_classes=2, n_bins=n_bins)
    print(f"{n_bins} bins: binary {binary:.3f}, multiclass {multiclass:.3f}")
EOF
cat "$dir/seen"
diff - "$dir/seen" << 'EOF' && echo "as recorded"
10 bins: binary 0.100, multiclass 0.000
15 bins: binary 0.100, multiclass 0.000
EOF
