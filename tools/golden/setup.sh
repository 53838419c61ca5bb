#!/usr/bin/env bash
# Makes .venv-golden: the pinned Python side of the golden fixtures, checks and benchmarks. Never needed to build or run charm.
# Safe to run again.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=.venv-golden
stamp=$venv/.requirements.sha256
say() { printf 'golden setup: %s\n' "$*" >&2; }

[ -x $venv/bin/pip ] || python3 -m venv $venv
if [ ! -f $stamp ] || ! sha256sum --status --check $stamp; then
  say "installing tools/golden/requirements.txt"
  $venv/bin/pip install -q --disable-pip-version-check --no-deps -r tools/golden/requirements.txt
  # The torch wheel is a CUDA build whose libtorch_cuda.so names a dozen NVIDIA libraries that a CPU run never calls.
  torch_lib=$(echo $venv/lib/python3*/site-packages/torch/lib)
  tools/absent_cuda.sh "$torch_lib" "$torch_lib"
  sha256sum tools/golden/requirements.txt >$stamp
fi
$venv/bin/python -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)'
