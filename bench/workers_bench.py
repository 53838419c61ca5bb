"""`charm score` as two processes of one thread (mpirun -n 2) against one process of two threads, interleaved; prints JSON.

Whole commands are timed, from start to the written files; both must write the same bytes. Needs mpirun (Debian: openmpi-bin).
  .venv-golden/bin/python bench/workers_bench.py --model runs/smollm2-rm [--dtype bfloat16]
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

from generate_bench import cpu_name
from startup_bench import timed, write_responses

ROOT = Path(__file__).parents[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--charm", default=ROOT / "build/release/bin/charm", type=Path)
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=24, help="of 7 responses each")
    args = parser.parse_args()

    mpirun = ["mpirun", "-n", "2", "--bind-to", "none", *(["--allow-run-as-root", "--oversubscribe"] if os.geteuid() == 0 else [])]
    ways = {"two_processes": (mpirun, 1), "two_threads": ([], 2)}
    seconds = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        write_responses(work / "rows.jsonl", args.prompts, 7, 250)
        for round_ in range(args.rounds):
            written = {}
            for way, (launcher, threads) in ways.items():
                output = work / f"{way}-{round_}"
                seconds[way].append(timed([*launcher, str(args.charm), "score", "--model", str(args.model), "--responses", str(work / "rows.jsonl"),
                                           "--output", str(output), "--dtype", args.dtype, "--threads", str(threads), "--quiet"])[0])
                written[way] = (output / "bench.parquet").read_bytes()
            assert written["two_processes"] == written["two_threads"], "the two wrote different bytes"
    median = {way: statistics.median(values) for way, values in seconds.items()}
    print(json.dumps({"bench": "workers", "cpu": cpu_name(), "load_average": os.getloadavg(), "rows": args.prompts * 7, "dtype": args.dtype,
                      "seconds": seconds, "two_processes_over_two_threads": median["two_threads"] / median["two_processes"]}, indent=1))


if __name__ == "__main__":
    main()
