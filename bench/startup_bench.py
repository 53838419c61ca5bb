"""Start-up time and peak memory of `charm score` on a model folder; prints JSON.

Time: from starting the program to its end for one short conversation, files in the page cache, the best of the repetitions; an
upper bound for the time to the first score. Memory: peak resident size over a larger input against the weights' bytes.
  .venv-golden/bin/python bench/startup_bench.py --model runs/smollm2-rm --charm build/release/bin/charm
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def write_responses(path, num_prompts, num_responses, words):
    stream = random.Random(0)
    vocabulary = "the river runs past seven old houses and nobody counts them but the ferryman who sings at night".split()
    with open(path, "w", encoding="utf-8") as f:
        for p in range(num_prompts):
            prompt = f"Question {p}: " + " ".join(stream.choices(vocabulary, k=words // 2))
            for r in range(num_responses):
                text = " ".join(stream.choices(vocabulary, k=stream.randint(words // 2, 3 * words // 2)))
                f.write(json.dumps({"prompt": prompt, "response": text, "sample": r, "policy": "bench"}) + "\n")


def timed(command):
    """(wall seconds, peak resident MiB) of a child."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    elapsed = time.perf_counter() - start
    if status:
        raise SystemExit(f"startup_bench: {command} ended with status {os.waitstatus_to_exitcode(status)}")
    return elapsed, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--charm", default=ROOT / "build/release/bin/charm", type=Path)
    parser.add_argument("--dtype", default="float32", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--prompts", type=int, default=16, help="prompts of 7 responses in the memory run")
    args = parser.parse_args()

    weights = sum(f.stat().st_size for f in args.model.glob("*.safetensors"))
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        write_responses(work / "one.jsonl", 1, 1, 20)
        write_responses(work / "many.jsonl", args.prompts, 7, 350)
        command = lambda name, run: [str(args.charm), "score", "--model", str(args.model), "--responses",
                                     str(work / f"{name}.jsonl"), "--output", str(work / f"{name}-{run}"), "--dtype",
                                     args.dtype, "--quiet"]
        first = [timed(command("one", run))[0] for run in range(args.repetitions)]
        elapsed, peak = timed(command("many", 0))
    print(json.dumps({
        "bench": "startup", "dtype": args.dtype, "first_score_s": {"best": min(first), "all": first},
        "weights_file_mib": weights / 2**20, "peak_memory_mib": peak, "above_weights_mib": peak - weights / 2**20,
        "memory_run": {"rows": args.prompts * 7, "elapsed_s": elapsed},
    }, indent=2))


if __name__ == "__main__":
    main()
