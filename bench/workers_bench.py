"""`charm score` as two processes of one thread (--shard 0/2, 1/2) against one process of two threads, interleaved; prints JSON.

Whole commands are timed, from the start of the first to the end of the last and the written files; both ways must write the same bytes.
  .venv-golden/bin/python bench/workers_bench.py --model runs/smollm2-rm [--dtype bfloat16]
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from generate_bench import cpu_name
from startup_bench import write_responses

ROOT = Path(__file__).parents[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--charm", default=ROOT / "build/release/bin/charm", type=Path)
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompts", type=int, default=24, help="of 7 responses each")
    args = parser.parse_args()

    ways = {"two_processes": (1, [["--shard", "0/2"], ["--shard", "1/2"]]), "two_threads": (2, [[]])}
    seconds = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        write_responses(work / "rows.jsonl", args.prompts, 7, 250)
        for round_ in range(args.rounds):
            written = {}
            for way, (threads, shards) in ways.items():
                output = work / f"{way}-{round_}"
                command = [args.charm, "score", "--model", args.model, "--responses", work / "rows.jsonl", "--output", output, "--dtype",
                           args.dtype, "--threads", str(threads), "--quiet"]
                start = time.perf_counter()
                processes = [subprocess.Popen([*command, *shard]) for shard in shards]
                if any([process.wait() for process in processes]):
                    raise SystemExit("workers_bench: charm score failed")
                seconds[way].append(time.perf_counter() - start)
                written[way] = (output / "bench.parquet").read_bytes()
            assert written["two_processes"] == written["two_threads"], "the two wrote different bytes"
    median = {way: statistics.median(values) for way, values in seconds.items()}
    print(json.dumps({"bench": "workers", "cpu": cpu_name(), "load_average": os.getloadavg(), "rows": args.prompts * 7, "dtype": args.dtype,
                      "seconds": seconds, "two_processes_over_two_threads": median["two_threads"] / median["two_processes"]}, indent=1))


if __name__ == "__main__":
    main()
