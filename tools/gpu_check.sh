#!/usr/bin/env bash
# Builds charm on a GPU machine and says whether it is right there and how fast, in one call of under ten minutes, without a network:
#   facts, configure, build of tests and benchmark, golden tests on the GPU, scoring speed, loading, transformers beside it, build and run of
#   the program itself
# Each step has a time limit; when one fails, the others still run where they can. Results: gpu_check.json and gpu_check.log in --out.
#
#   tools/gpu_check.sh [--out DIR] [--bundle DIR] [--torch DIR] [--pyarrow DIR] [--python PROGRAM] [--build DIR] [--cpu]
#
#   --python   a Python with torch and pyarrow (default python3); transformers, where it is there, is the peer
#   --torch    folder of the torch package, built for CUDA (default: that of --python)
#   --pyarrow  folder of the pyarrow package, any version (default: that of --python)
#   --bundle   folder that tools/gpu_bundle.sh filled (default gpu-bundle); without it the libraries must be installed
#   --out      default: $OUT, else gpu-check
#   --cpu      a dry run of the same steps on a CPU with a tiny model
# Environment: CHARM_TEXT_LIB, a prebuilt Rust bridge where the bundle has none and cargo is missing; GPU_CHECK_SECONDS, for everything
# (570).
set -uo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-gpu-check} bundle=gpu-bundle python=python3 torch= pyarrow= build=build/gpu-check device=cuda
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2; shift ;;
    --bundle) bundle=$2; shift ;;
    --torch) torch=$2; shift ;;
    --pyarrow) pyarrow=$2; shift ;;
    --python) python=$2; shift ;;
    --build) build=$2; shift ;;
    --cpu) device=cpu ;;
    *) sed -n '2,19s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
  shift
done
mkdir -p "$out" "$build"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
begin=$SECONDS
limit=${GPU_CHECK_SECONDS:-570}
: >"$out/gpu_check.log"
folder_of() { "$python" -c "import os, $1; print(os.path.dirname($1.__file__))" 2>/dev/null; }
torch=${torch:-$(folder_of torch)}
pyarrow=${pyarrow:-$(folder_of pyarrow)}
export OMP_WAIT_POLICY=passive PYTHONUNBUFFERED=1

# step NAME SECONDS COMMAND...: what it prints goes to the log and to $work/NAME.out, how it ended to $work/steps.
step() {
  local name=$1 seconds=$2 start=$SECONDS left=$((limit - (SECONDS - begin))) outcome
  shift 2
  [ "$seconds" -le "$left" ] || seconds=$left
  printf '\n=== %s\n' "$name" >>"$out/gpu_check.log"
  if [ "$left" -le 5 ]; then
    outcome="no time left"
  else
    timeout -k 5 "$seconds" "$@" >"$work/$name.out" 2>"$work/$name.err"
    case $? in
      0) outcome=ok ;;
      124 | 137) outcome="stopped after $seconds s" ;;
      *) outcome=failed ;;
    esac
    cat "$work/$name.out" "$work/$name.err" >>"$out/gpu_check.log"
  fi
  printf '%s\t%s\t%s\n' "$name" $((SECONDS - start)) "$outcome" >>"$work/steps"
  printf '%-14s %4d s  %s\n' "$name" $((SECONDS - start)) "$outcome"
  [ "$outcome" = ok ] && return 0
  cat "$work/$name.out" "$work/$name.err" 2>/dev/null | grep -iE 'error|fail|worst' | tail -n 10 | cut -c1-300 | sed 's/^/    /'
  return 1
}
leave_out() {
  printf '%s\t0\t%s\n' "$1" "$2" >>"$work/steps"
  printf '%-14s    -    %s\n' "$1" "$2"
}

step facts 90 bash -c '
  nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>/dev/null || echo "no nvidia-smi"
  ${CXX:-c++} --version | head -1; cmake --version | head -1; nproc
  "$0" -c "import sys, torch; print(sys.version.split()[0], \"torch\", torch.__version__, \"cuda\", torch.version.cuda, torch.cuda.is_available())"
  echo "torch: $1"; echo "pyarrow: $2"' "$python" "$torch" "$pyarrow"

options=(-G Ninja -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O2 -DCHARM_WERROR=OFF -DCHARM_BENCH=ON -DCHARM_TESTS=ON
         -DCHARM_TORCH=ON -DCHARM_TORCH_ROOT="$torch" -DCHARM_PYARROW_ROOT="$pyarrow" -DCMAKE_EXE_LINKER_FLAGS=-Wl,--allow-shlib-undefined)
[ $device = cpu ] || options+=(-DCHARM_CUDA=ON)
libraries=
if [ -f "$bundle/bundle.tar.gz" ]; then
  mkdir -p "$build/bundle" && tar -C "$build/bundle" -xzf "$bundle/bundle.tar.gz"
  prefix=$(cd "$build/bundle" && pwd)
  libraries=$prefix/usr/lib/x86_64-linux-gnu
  options+=(-DCMAKE_PREFIX_PATH="$prefix/usr" -DCMAKE_LIBRARY_PATH="$libraries" -DOPENSSL_ROOT_DIR="$prefix/usr"
            -DCHARM_NPM_ROOT="$prefix/npm" -DCHARM_TEXT_LIB="${CHARM_TEXT_LIB:-$prefix/libcharm_text.a}")
  for package in fmt yaml-cpp GTest; do options+=("-D${package}_DIR=$libraries/cmake/$package"); done
elif [ -n "${CHARM_TEXT_LIB:-}" ]; then
  options+=(-DCHARM_TEXT_LIB="$CHARM_TEXT_LIB")
fi
golden=gpu_golden_test
[ $device = cpu ] && golden=torch_test
build_targets() { cmake --build "$build" --parallel "$(nproc)" --target "$@"; }
export -f build_targets; export build
step configure 120 cmake -S . -B "$build" "${options[@]}" &&
  step build 400 bash -c 'build_targets "$@"' build $golden gpu_score_bench

# Our programs find the bundle's libraries, other programs the machine's.
ours() { env ${libraries:+LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"} "$@"; }
export -f ours; export libraries
run_ours=(bash -c 'ours "$@"' run)
built() { [ -x "$build/$1" ]; }

if built tests/torch/$golden; then
  filter='*'
  [ $device = cpu ] && filter='*TorchGolden*:Plugin.*'
  step golden 150 "${run_ours[@]}" "$build/tests/torch/$golden" --gtest_filter="$filter"
else
  leave_out golden "not built"
fi
if built bench/gpu_score_bench; then
  shape=(--shape llama-8b)
  [ $device = cpu ] && shape=(--shape tiny --layers 2 --prompts 1 --budget 4096 --rounds 1)
  step score 150 "${run_ours[@]}" "$build/bench/gpu_score_bench" --device $device "${shape[@]}" --lengths "$work/lengths.json"
  # A model of a few layers from disk: the way weights take. Four of the 8B model's layers are 3.8 GB.
  step load 90 "${run_ours[@]}" "$build/bench/gpu_score_bench" --device $device "${shape[@]}" --layers 4 --prompts 1 --rounds 1 --save "$work/model"
  rm -rf "$work/model"
else
  leave_out score "not built"
  leave_out load "not built"
fi
if [ ! -s "$work/lengths.json" ]; then
  leave_out peer "no lengths from the score step"
elif "$python" -c 'import torch, transformers' 2>/dev/null; then
  seconds=20
  [ $device = cpu ] && seconds=3
  step peer 150 "$python" bench/gpu_peer.py "$work/lengths.json" --device $device --seconds $seconds
else
  leave_out peer "absent: $python has no transformers"
fi
if [ -f "$build/build.ninja" ] && step build_program 400 bash -c 'build_targets "$@"' build charm charm_torch_plugin; then
  step program 120 "${run_ours[@]}" "$build/bin/charm" demo --output "$work/demo"
else
  leave_out program "not built"
fi

"$python" - "$work" "$out/gpu_check.json" "$device" <<'PYTHON'
import json, re, sys
from pathlib import Path

work, target, device = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
result = {"device": device, "steps": {}, "facts": (work / "facts.out").read_text().splitlines()}
for line in (work / "steps").read_text().splitlines():
    name, seconds, outcome = line.split("\t")
    result["steps"][name] = {"seconds": int(seconds), "outcome": outcome}
for name in ("score", "load", "peer"):
    try:
        result[name] = json.loads((work / f"{name}.out").read_text())
    except (OSError, ValueError):
        result[name] = None
golden = work / "golden.out"
text = golden.read_text() if golden.exists() else ""
rungs = [{"rung": m[1].strip(), "values": int(m[2]), "worst": float(m[3]), "tolerance": float(m[4])}
         for m in re.finditer(r"^  (.+): (\d+) values, worst (\S+) \(tolerance (\S+)\)", text, re.M)]
result["golden"] = {"rungs": rungs, "failed": re.findall(r"^\[  FAILED  \] (\S+)", text, re.M),
                    "skipped": len(re.findall(r"^\[  SKIPPED \]", text, re.M))}
score, peer = result["score"], result["peer"]
if score and peer:
    result["ratio"] = {way: score["score"]["useful_tokens_per_s"] / peer[way]["useful_tokens_per_s"] for way in ("batch_1", "batch_8")}
target.write_text(json.dumps(result, indent=1) + "\n")

def line(name, text):
    print(f"{name:28} {text}")

print()
line("golden", f"{len(rungs)} rungs, failed: {', '.join(sorted(set(result['golden']['failed']))) or 'none'}")
if rungs:
    worst = max(rungs, key=lambda r: r["worst"] / r["tolerance"])
    line("nearest to its tolerance", f"{worst['rung']}: {worst['worst']:.3g} of {worst['tolerance']:.3g}")
if score:
    s = score["score"]
    line("product peak", f"{score['gemm_peak']['tflops']:.4g} TFLOP/s")
    line("charm, useful tokens/s", f"{s['useful_tokens_per_s']:.0f} ({s['computed_tokens_per_s']:.0f} computed), attention {score['attention']}")
    line("share of the peak", f"{s['share_of_peak']:.2f}")
    if score["memory"]:
        line("device memory", f"{score['memory']['peak_gib']:.1f} GiB")
if result["load"]:
    line("load", f"{result['load']['load']['load_gb_per_s']:.2f} GB/s")
if peer:
    for way in ("batch_1", "batch_8"):
        line(f"transformers, {way}", f"{peer[way]['useful_tokens_per_s']:.0f} useful tokens/s; charm is {result.get('ratio', {}).get(way, 0):.2f} times that")
else:
    line("transformers", result["steps"].get("peer", {}).get("outcome", "absent"))
sys.exit(any(s["outcome"] in ("failed", "no time left") or s["outcome"].startswith("stopped") for s in result["steps"].values()))
PYTHON
status=$?
echo "written: $out/gpu_check.json, $out/gpu_check.log ($((SECONDS - begin)) s)"
exit $status
