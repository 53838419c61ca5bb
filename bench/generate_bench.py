"""Generation speed on CPU: charm against transformers and llama.cpp, interleaved in one run; prints JSON.

SmolLM2-135M (tools/smollm2.sh), greedy, prompts of 32 tokens, 128 new tokens in each stream. tokens/s counts written tokens from the
moment all prompts are read; `with_prompts` counts them over the whole time. `of_bandwidth` is one stream's share of what the memory
allows when every weight is read once a token: bytes of the weights times tokens/s over the bytes/s two threads read from a large buffer.
  cmake --preset bench && cmake --build --preset bench --target generate_model_bench
  python3 bench/generate_bench.py [--dtype bfloat16] [--rounds 3] [--peers transformers llama]
Needs runs/smollm2; the peers need .venv-golden (tools/golden/setup.sh) and .venv-llama (llama-cpp-python, gguf).
"""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Worker:
    def __init__(self, *command):
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
                                        env=env)
        self.loaded = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[0]} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, **job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def weight_bytes(folder, dtype):
    """Bytes that decoding one token reads: all tensors, the tied embedding once."""
    with open(folder / "model.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    count = 0
    for name, info in header.items():
        size = 1
        for n in info.get("shape", [0]):
            size *= n
        count += size if name != "__metadata__" else 0
    return count * (2 if dtype == "bfloat16" else 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "runs/smollm2")
    parser.add_argument("--gguf", type=Path, default=ROOT / ".deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--program", type=Path, default=ROOT / "build/bench/bench/generate_model_bench")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new", type=int, default=128)
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 16, 64])
    parser.add_argument("--peers", nargs="*", choices=["transformers", "llama"], default=["transformers", "llama"])
    args = parser.parse_args()

    workers = {"charm": Worker(args.program, args.model, args.dtype, args.threads)}
    if "transformers" in args.peers:
        workers["transformers"] = Worker(ROOT / ".venv-golden/bin/python", "bench/generate_peers.py", "transformers", args.model,
                                         args.dtype, args.threads)
    if "llama" in args.peers:
        unquantised = ROOT / f"runs/bench/smollm2-{args.dtype}.gguf"
        unquantised.parent.mkdir(parents=True, exist_ok=True)
        if not unquantised.exists():
            subprocess.run([ROOT / ".venv-llama/bin/python", "bench/generate_peers.py", "gguf", args.gguf, args.dtype, unquantised],
                           cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        workers["llama"] = Worker(ROOT / ".venv-llama/bin/python", "bench/generate_peers.py", "llama", unquantised, args.threads)

    wanted = [(name, streams) for streams in args.streams for name in workers if name != "transformers" or streams == 1]
    results = {key: [] for key in wanted}
    for name, streams in wanted:  # warm-up
        workers[name].ask(streams=streams, prompt=32, new=4)
    for _ in range(args.rounds):
        for name, streams in wanted:
            results[name, streams].append(workers[name].ask(streams=streams, prompt=32, new=args.new))
    for worker in workers.values():
        worker.close()

    rates = {}
    for (name, streams), rounds in results.items():
        rate = lambda r: (r["tokens"] - streams) / (r["total_s"] - r["filled_s"])
        rates.setdefault(name, {})[str(streams)] = {
            "tokens_per_s": statistics.median(map(rate, rounds)), "best": max(map(rate, rounds)),
            "with_prompts": statistics.median(r["tokens"] / r["total_s"] for r in rounds),
            "cpu_s": statistics.median(r["cpu_s"] for r in rounds)}
    charm = rates["charm"]
    bandwidth = workers["charm"].loaded["read_bytes_per_s"]
    size = weight_bytes(args.model, args.dtype)
    of = lambda a, b: a["tokens_per_s"] / b["tokens_per_s"]
    ratios = {"64_streams_over_1": of(charm["64"], charm["1"]) if "64" in charm and "1" in charm else None,
              "of_bandwidth": charm["1"]["tokens_per_s"] * size / bandwidth if "1" in charm else None,
              "of_bandwidth_best": charm["1"]["best"] * size / bandwidth if "1" in charm else None}
    for name in rates:
        for streams, rate in rates[name].items():
            if name != "charm":
                ratios[f"charm_over_{name}_{streams}"] = of(charm[streams], rate)
    print(json.dumps({"cpu": cpu_name(), "load_average": os.getloadavg(), "dtype": args.dtype, "threads": args.threads,
                      "rounds": args.rounds, "new_tokens": args.new, "model": workers["charm"].loaded["model"],
                      "read_gb_per_s": bandwidth / 1e9, "weight_mb": size / 1e6, "ratios": ratios, "rates": rates}, indent=1))


if __name__ == "__main__":
    main()
