"""`RewardModel.score` of the Python module against `charm score` on the same rows, interleaved; prints JSON.

The model is loaded once in the module; the command's time is that of all rows less that of a run of one row. `ratio` is the module's time
over the command's, medians over the rounds; `equal` says whether all scores have the same bits.
  cmake --build --preset release --target charm charm_shared
  PYTHONPATH=python CHARM_LIBRARY=build/release/lib/libcharm.so .venv-golden/bin/python bench/module_bench.py --model runs/smollm2-rm \
    --responses responses.jsonl [--rows 400] [--rounds 3] [--threads 2] [--dtype float32]
"""

import argparse
import json
import statistics
import time

import charm_rm
import numpy as np

from generate_bench import cpu_name
from serve_bench import ROOT, offline, read_rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--responses", required=True, help="JSON lines with prompt and response")
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--program", default=str(ROOT / "build" / "release" / "bin" / "charm"))
    args = parser.parse_args()
    rows = read_rows(args.responses, args.rows)
    options = ["--threads", str(args.threads), "--dtype", args.dtype]
    module_s, command_s, equal = [], [], True
    with charm_rm.RewardModel(args.model, dtype=args.dtype, threads=args.threads) as model:
        model.score(rows[:8])
        for _ in range(args.rounds):
            start = time.monotonic()
            scores = model.score(rows)
            module_s.append(time.monotonic() - start)
            seconds, command_scores = offline(args.program, args.model, rows, options)
            command_s.append(seconds)
            equal &= np.asarray(scores, np.float32).tobytes() == np.asarray(command_scores, np.float32).tobytes()
    ratio = statistics.median(module_s) / statistics.median(command_s)
    print(json.dumps({"cpu": cpu_name(), "rows": len(rows), "threads": args.threads, "dtype": args.dtype, "module_s": module_s,
                      "command_s": command_s, "ratio": ratio, "equal": equal}, indent=1))


if __name__ == "__main__":
    main()
