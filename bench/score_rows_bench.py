"""Memory and time of `charm score` where nearly all of it is reading, tokenising and writing rows; prints JSON.

Two policies answer the same prompts with words of a seeded vocabulary; a tiny reward model (of `charm demo`) scores 64 tokens of each row.
Programs and thread counts are interleaved in every round. `above_start` is the peak memory above that of a run of two rows.
  build/release/bin/charm demo --output /tmp/demo
  python3 bench/score_rows_bench.py --model /tmp/demo/world/reward_model --charm OLD/charm build/release/bin/charm [--rows 40000]
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


def write_rows(folder, num_rows, num_bytes, seed):
    """One JSON lines file for each of two policies; returns the files and the bytes of all texts."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(4000)]
    files, total = [], 0
    for policy in ("a", "b"):
        files.append(folder / f"{policy}.jsonl")
        with open(files[-1], "w", encoding="utf-8") as out:
            for i in range(num_rows // 2):
                response = ""
                while len(response) < num_bytes:
                    response += " ".join(rng.choices(words, k=50)) + ".\n"
                row = {"prompt": f"Question {i}: what is it about?", "response": response[:num_bytes], "policy": policy}
                total += len(row["prompt"]) + num_bytes
                out.write(json.dumps(row) + "\n")
    return files, total


def run(charm, model, files, output, threads):
    command = [charm, "score", "--model", model, "--responses", *files, "--output", output, "--max-tokens", "64", "--threads", threads,
               "--quiet"]
    shutil.rmtree(output, ignore_errors=True)
    begin = time.monotonic()
    process = subprocess.Popen([str(word) for word in command])
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{charm} failed with status {status}")
    return {"wall_s": time.monotonic() - begin, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charm", nargs="+", default=["build/release/bin/charm"])
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", type=int, default=40000)
    parser.add_argument("--bytes", type=int, default=2500)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny = folder / "tiny"
        tiny.mkdir()
        few, _ = write_rows(tiny, 2, args.bytes, args.seed)
        files, text_bytes = write_rows(folder, args.rows, args.bytes, args.seed)
        results = {(charm, threads): [] for charm in args.charm for threads in args.threads}
        for _ in range(args.rounds):
            for charm, threads in results:
                start = run(charm, args.model, few, folder / "few", threads)
                result = run(charm, args.model, files, folder / "out", threads)
                result["above_start"] = (result["peak_bytes"] - start["peak_bytes"]) / text_bytes
                results[charm, threads].append(result)
    median = lambda rounds, key: statistics.median(result[key] for result in rounds)
    print(json.dumps({"rows": args.rows, "text_bytes": text_bytes, "results": [
        {"charm": charm, "threads": threads, **{key: round(median(rounds, key), 3) for key in rounds[0]}}
        for (charm, threads), rounds in results.items()]}, indent=1))


if __name__ == "__main__":
    main()
