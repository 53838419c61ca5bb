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
  # The torch wheel is a CUDA build whose libtorch_cuda.so names a dozen NVIDIA libraries (3 GB) that a CPU run never calls.
  # Empty libraries of those names satisfy the loader; a real one found earlier on the path wins.
  torch_lib=$(echo $venv/lib/python3*/site-packages/torch/lib)
  sources=$(mktemp -d)
  nm -D --undefined-only "$torch_lib"/libtorch_{cuda,python,nvshmem,cuda_linalg}.so |
    awk '$2 ~ /^(cublas|cudnn|cusparse|cufft|curand|nccl|cuFile|nvshmem|cusolver)/ {sub(/@.*/, "", $2); print $2}' |
    sort -u >"$sources/names"
  awk '{print "void " $1 "(void) { __builtin_trap(); }"}' "$sources/names" >"$sources/absent.c"
  gcc -shared -fPIC -o "$torch_lib/libcharm_absent_cuda.so" "$sources/absent.c"
  for pass in 1 2 3; do
    for name in $(ldd "$torch_lib"/libtorch_{python,cuda,nvshmem}.so | awk '/not found/ {print $1}' | sort -u); do
      echo "int charm_absent_library;" >"$sources/empty.c"
      gcc -shared -fPIC -Wl,-soname,"$name" -o "$torch_lib/$name" "$sources/empty.c" \
        -Wl,--no-as-needed -L"$torch_lib" -lcharm_absent_cuda -Wl,-rpath,'$ORIGIN'
    done
  done
  rm -rf "$sources"
  sha256sum tools/golden/requirements.txt >$stamp
fi
$venv/bin/python -c 'import torch, transformers; print("torch", torch.__version__, "transformers", transformers.__version__)'
