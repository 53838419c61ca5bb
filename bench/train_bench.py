"""Training speed on CPU: charm against transformers with torch's autograd, interleaved in one run; prints JSON.

Both take the same pairs of a preferences file in batches of whole pairs, compute in the same dtype with float32 master weights, and make
AdamW steps. The peer trains as TRL's RewardTrainer does: both sides of every pair by themselves, padded to the longest of a batch of
eight sequences. Seconds are those of the steps, without loading and tokenising; medians over the rounds. `tflop` is the arithmetic that the
steps need at least: three times the forward pass of every prompt once and every different response once, attention over the tokens before;
recomputation does not count. `of_peak` is that over charm's time over the best rate of one matrix product, torch's or ours (gemm_bench).
  .venv-golden/bin/python bench/train_bench.py --model RM --preferences pairs.parquet [--pairs 45] [--steps 2] [--rounds 2] [--shuffle prompts]
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from generate_bench import cpu_name
from score_bench import DTYPES, gemm_peak

ROOT = Path(__file__).parents[1]


def charm_seconds(args, preferences):
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([args.charm, "train", "--model", args.model, "--preferences", preferences, "--output", f"{folder}/out",
                              "--pairs-per-step", str(args.pairs), "--max-tokens", str(args.max_tokens), "--eval-fraction", "0",
                              "--dtype", args.dtype, "--shuffle", args.shuffle, "--threads", str(args.threads)],
                             capture_output=True, text=True, check=True)
        steps = [json.loads(line) for line in open(f"{folder}/out/metrics.jsonl")]
        tokens = sum(step["num_tokens"] for step in steps if step["kind"] == "train")
        rate = float(re.findall(r"([\d.]+) tokens/s", run.stderr)[-1])
    return tokens / rate, tokens


class Transformers:
    def __init__(self, args):
        self.args = args
        self.tokenizer = AutoTokenizer.from_pretrained(args.model)
        self.model = AutoModelForSequenceClassification.from_pretrained(args.model, dtype=torch.float32).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-6, weight_decay=0.001)

    def ids(self, conversation):
        text = self.tokenizer.apply_chat_template([dict(turn) for turn in conversation], tokenize=False)
        return self.tokenizer(text, add_special_tokens=False)["input_ids"][-self.args.max_tokens:]

    def scores(self, sequences):
        longest = max(map(len, sequences))
        pad = self.model.config.pad_token_id
        ids = torch.tensor([s + [pad] * (longest - len(s)) for s in sequences])
        mask = torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in sequences])
        with torch.autocast("cpu", torch.bfloat16, enabled=self.args.dtype == "bfloat16"):
            return self.model(ids, attention_mask=mask).logits[:, 0].float()

    def seconds(self, rows):
        encoded = [(self.ids(chosen), self.ids(rejected)) for chosen, rejected in rows]
        start = time.perf_counter()
        for at in range(0, len(encoded), self.args.pairs):
            step = encoded[at:at + self.args.pairs]
            self.optimizer.zero_grad()
            for first in range(0, len(step), 4):
                pairs = step[first:first + 4]
                scores = self.scores([side for pair in pairs for side in pair])
                (-torch.nn.functional.logsigmoid(scores[0::2] - scores[1::2]).sum() / len(step)).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
        return time.perf_counter() - start, sum(len(side) for pair in encoded for side in pair)


def forward_flop(config, sequences):
    """Of different sequences that share their longest common prefix: products of the layers and causal attention."""
    shared = len(os.path.commonprefix(sequences))
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    q, kv = config.num_attention_heads * head_dim, config.num_key_value_heads * head_dim
    weights = config.hidden_size * (2 * q + 2 * kv + 3 * config.intermediate_size)
    tokens = shared + sum(len(sequence) - shared for sequence in sequences)
    keys = shared * (shared + 1) / 2 + sum((len(s) * (len(s) + 1) - shared * (shared + 1)) / 2 for s in sequences)
    return config.num_hidden_layers * (2 * weights * tokens + 4 * q * keys)


def training_flop(peer, rows, shuffle):
    groups = {}
    for index, row in enumerate(rows):
        group = groups.setdefault(json.dumps([dict(turn) for turn in row[0][:-1]]) if shuffle == "prompts" else index, set())
        group.update(tuple(peer.ids(side)) for side in row)
    return 3 * sum(forward_flop(peer.model.config, [list(s) for s in group]) for group in groups.values())


def our_gemm_peak(program, dtype, threads):
    """GFLOP/s of `threads` processors, or 0 where the program is not built."""
    if not Path(program).exists():
        return 0.0
    run = subprocess.run([program, dtype, "1", "0.05"], capture_output=True, text=True, check=True)
    return threads * max(layer["charm"] for layer in json.loads(run.stdout)["results"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charm", default=ROOT / "build/release/bin/charm", type=Path)
    parser.add_argument("--model", required=True, help="Hugging Face folder of a reward model")
    parser.add_argument("--preferences", required=True, help="Parquet file of charm prefer")
    parser.add_argument("--pairs", type=int, default=16, help="pairs per step")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--max-tokens", type=int, default=1024)
    parser.add_argument("--shuffle", choices=["pairs", "prompts"], default="pairs")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    frame = pd.read_parquet(args.preferences).head(args.pairs * args.steps)
    peer = Transformers(args)
    times = {"charm": [], "transformers": []}
    with tempfile.TemporaryDirectory() as folder:
        frame.to_parquet(f"{folder}/pairs.parquet")
        rows = list(zip(frame["chosen"], frame["rejected"]))
        for _ in range(args.rounds):
            seconds, charm_tokens = charm_seconds(args, f"{folder}/pairs.parquet")
            times["charm"].append(seconds)
            seconds, peer_tokens = peer.seconds(rows)
            times["transformers"].append(seconds)
    peak = max(gemm_peak(DTYPES[args.dtype], peer.model.config.hidden_size, peer.model.config.intermediate_size),
               our_gemm_peak(ROOT / "build/bench/bench/gemm_bench", args.dtype, args.threads))
    tflop = training_flop(peer, rows, args.shuffle) / 1e12
    median = {name: statistics.median(values) for name, values in times.items()}
    print(json.dumps({"cpu": cpu_name(), "threads": args.threads, "dtype": args.dtype, "pairs": len(rows), "pairs_per_step": args.pairs,
                      "charm_tokens": charm_tokens, "transformers_tokens": peer_tokens,
                      "charm_s": round(median["charm"], 2), "transformers_s": round(median["transformers"], 2),
                      "ratio": round(median["transformers"] / median["charm"], 2), "tflop": round(tflop, 2), "gemm_peak_gflops": round(peak),
                      "of_peak": round(tflop * 1e3 / peak / median["charm"], 2), "seconds": times}, indent=1))


if __name__ == "__main__":
    main()
