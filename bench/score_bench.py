"""Scoring speed on CPU: charm against transformers and llama.cpp, interleaved in one run; prints JSON.

A random Llama or Mixtral reward model scores groups of token ids: each prompt with all its responses, lengths uniform around their means from a
seed. Useful tokens are those of all full sequences, however a program computes them; a rate is useful tokens per second, the median over
the rounds. `unique_tflop` is the arithmetic that scoring needs at least: the products of every prompt once and every response, keys and
values only in the last layer but for the rows that are read, and attention over the tokens before; `of_peak` is that over charm's time
over the best of three large products of torch.
  cmake --preset bench && cmake --build --preset bench --target score_model_bench
  .venv-golden/bin/python bench/score_bench.py [--shape 82m] [--dtype bfloat16] [--rounds 3]
  .venv-golden/bin/python bench/score_bench.py --shape 82m --prompts 1 --responses 32 --prompt-tokens 1000 --response-tokens 200
  .venv-golden/bin/python bench/score_bench.py --shape smollm2 --prompts 12 --responses 1 --peers llama      # needs .venv-llama, runs/smollm2-rm
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import time
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, LlamaConfig, MixtralConfig

from generate_bench import Worker, cpu_name

ROOT = Path(__file__).parents[1]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
VOCABULARY = 32000
SHAPES = {  # hidden, ffn, layers, heads, key heads
    "24m": (384, 1024, 14, 6, 2),
    "82m": (768, 2304, 12, 12, 4),
    "1b": (2048, 8192, 16, 32, 8),
    "82m-moe": (768, 1152, 12, 12, 4),
    "moe-layer": (2048, 5824, 2, 32, 8),
}
EXPERTS = {"82m-moe": (8, 2), "moe-layer": (8, 2)}  # experts, experts per token; 82 M active parameters in all layers, or in each


def make_model(folder, shape):
    """Weights of a realistic size (0.02, norms 1) in bfloat16, which every dtype can hold; made once."""
    if (folder / "config.json").exists():
        return
    torch.manual_seed(0)
    hidden, ffn, layers, heads, key_heads = SHAPES[shape]
    sizes = dict(vocab_size=VOCABULARY, hidden_size=hidden, intermediate_size=ffn, num_hidden_layers=layers, num_attention_heads=heads,
                 num_key_value_heads=key_heads, max_position_embeddings=4096, rms_norm_eps=1e-5, num_labels=1, pad_token_id=0,
                 tie_word_embeddings=False)
    if shape in EXPERTS:
        config = MixtralConfig(**sizes, num_local_experts=EXPERTS[shape][0], num_experts_per_tok=EXPERTS[shape][1])
    else:
        config = LlamaConfig(**sizes)
    AutoModelForSequenceClassification.from_config(config).to(torch.bfloat16).save_pretrained(folder)


def draw_groups(args):
    """Lengths uniform in 0.4 .. 1.6 times the mean, then shifted so that the means are exact."""
    generator = torch.Generator().manual_seed(args.seed)

    def lengths(count, mean):
        values = (mean * (0.4 + 1.2 * torch.rand(count, generator=generator))).round().long()
        values += mean - round(values.float().mean().item())
        return values.tolist()

    ids = lambda n: torch.randint(3, VOCABULARY, (n,), generator=generator).tolist()
    responses = lengths(args.prompts * args.responses, args.response_tokens)
    return [{"prompt": ids(n), "responses": [ids(responses[p * args.responses + r]) for r in range(args.responses)]}
            for p, n in enumerate(lengths(args.prompts, args.prompt_tokens))]


def unique_flop(config, groups):
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    q, kv = config.num_attention_heads * head_dim, config.num_key_value_heads * head_dim
    keys = 2 * config.hidden_size * 2 * kv
    active = getattr(config, "num_experts_per_tok", 1)
    rest = 2 * (2 * config.hidden_size * q + 3 * config.hidden_size * config.intermediate_size * active)
    full_layers = config.num_hidden_layers - 1
    total = 0
    for group in groups:
        p, responses = len(group["prompt"]), [len(r) for r in group["responses"]]
        tokens = p + sum(responses)
        pairs = p * (p + 1) // 2 + sum(n * p + n * (n + 1) // 2 for n in responses)
        last_pairs = sum(p + n for n in responses)
        total += tokens * (keys + rest) * full_layers + tokens * keys + len(responses) * rest
        total += 4 * q * (pairs * full_layers + last_pairs)
    return total


def gemm_peak(dtype, hidden, ffn, seconds=0.7):
    """GFLOP/s of the best of three large products."""
    best = 0.0
    for rows, inputs, outputs in ((3072, hidden, ffn), (3072, ffn, hidden), (2048, 2048, 2048)):
        a, b = torch.randn(rows, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype)
        end = time.perf_counter() + seconds / 3
        while time.perf_counter() < end:
            start = time.perf_counter()
            torch.nn.functional.linear(a, b)
            best = max(best, 2 * rows * inputs * outputs / (time.perf_counter() - start) / 1e9)
    return best


class Transformers:
    """Batches of `size` in the order given, padded on the right."""

    def __init__(self, model, size):
        self.model, self.size = model, size

    def __call__(self, sequences):
        scores = []
        with torch.inference_mode():
            for at in range(0, len(sequences), self.size):
                batch = sequences[at:at + self.size]
                longest = max(map(len, batch))
                ids = torch.tensor([s + [0] * (longest - len(s)) for s in batch])
                mask = None if self.size == 1 else torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in batch])
                scores += self.model(ids, attention_mask=mask).logits[:, 0].tolist()
        return scores


class LlamaCpp:
    """Evaluates every sequence, as a prompt of its own."""

    def __init__(self, dtype, threads):
        self.worker = Worker(ROOT / ".venv-llama/bin/python", "bench/generate_peers.py", "evaluate", unquantised_gguf(dtype), threads)

    def __call__(self, sequences):
        self.worker.ask(sequences=sequences)
        return None


def unquantised_gguf(dtype):
    path = ROOT / f"runs/bench/smollm2-{dtype}.gguf"
    if not path.exists():
        subprocess.run([ROOT / ".venv-llama/bin/python", "bench/generate_peers.py", "gguf",
                        ROOT / ".deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", dtype, path], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charm-bench", default=ROOT / "build/bench/bench/score_model_bench", type=Path)
    parser.add_argument("--work", default=ROOT / "runs/bench", type=Path, help="folder for the model and the groups")
    parser.add_argument("--shape", choices=[*SHAPES, "smollm2"], default="82m")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--peers", nargs="*", choices=["batch1", "batch8", "llama"], default=["batch1"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--budget-tokens", type=int, default=8192)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--responses", type=int, default=7, help="to each prompt")
    parser.add_argument("--prompt-tokens", type=int, default=240, help="mean")
    parser.add_argument("--response-tokens", type=int, default=450, help="mean")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    model_dir = ROOT / "runs/smollm2-rm" if args.shape == "smollm2" else args.work / f"llama-{args.shape}"
    if args.shape != "smollm2":
        make_model(model_dir, args.shape)
    groups_file = args.work / "groups.json"
    groups = draw_groups(args)
    groups_file.write_text(json.dumps({"groups": groups}))
    sequences = [g["prompt"] + r for g in groups for r in g["responses"]]
    order = list(range(len(sequences)))
    random.Random(args.seed).shuffle(order)  # batches of mixed lengths, as files of responses have them
    sequences = [sequences[i] for i in order]
    useful = sum(map(len, sequences))

    config = AutoConfig.from_pretrained(model_dir)
    peers = {}
    if "batch1" in args.peers or "batch8" in args.peers:
        # Its fastest on CPU: attention by sdpa, experts by grouped_mm, both its default.
        model = AutoModelForSequenceClassification.from_pretrained(model_dir, dtype=DTYPES[args.dtype]).eval()
        peers.update({name: Transformers(model, int(name[5:])) for name in args.peers if name != "llama"})
    if "llama" in args.peers:
        peers["llama"] = LlamaCpp(args.dtype, args.threads)
    for peer in peers.values():
        peer(sequences[:2])
    rounds, cpu, gemm, scores = {"charm": [], **{name: [] for name in peers}}, [], [], {}
    for _ in range(args.rounds):
        command = [args.charm_bench, model_dir, groups_file, args.dtype, args.threads, 1, args.budget_tokens]
        charm = json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)
        rounds["charm"].append(charm["rounds_s"][0])
        cpu.append(charm["rounds_cpu_s"][0])
        gemm.append(gemm_peak(DTYPES[args.dtype], config.hidden_size, config.intermediate_size))
        for name, peer in peers.items():
            start = time.perf_counter()
            scores[name] = peer(sequences)
            rounds[name].append(time.perf_counter() - start)

    rate = {name: useful / statistics.median(values) for name, values in rounds.items()}
    flop = unique_flop(config, groups)
    differences = {name: max(abs(charm["scores"][i] - s) for i, s in zip(order, found)) for name, found in scores.items() if found}
    print(json.dumps({
        "bench": "score", "cpu": cpu_name(), "load_average": os.getloadavg(), "threads": args.threads, "shape": args.shape,
        "dtype": args.dtype, "torch": torch.__version__, "sequences": len(sequences), "useful_tokens": useful,
        "computed_tokens": charm["computed_tokens"], "unique_tflop": round(flop / 1e12, 3), "rounds_s": rounds, "charm_cpu_s": cpu,
        "useful_tokens_per_s": {k: round(v, 1) for k, v in rate.items()},
        "ratio": {name: round(rate["charm"] / rate[name], 3) for name in peers},
        "gemm_peak_gflops": round(max(gemm), 1), "of_peak": round(flop / statistics.median(rounds["charm"]) / 1e9 / max(gemm), 3),
        "largest_score_difference": differences, "charm_model": charm.get("model"), "charm_load_s": charm["load_s"],
        "charm_peak_memory_mib": charm["peak_memory_mib"],
    }, indent=1))


if __name__ == "__main__":
    main()
