"""Scoring speed on CPU: charm against transformers at batch 1, interleaved in one run; prints JSON.

A random Llama reward model (d 768, 12 layers, 12 heads, 4 KV heads, ffn 2304, vocabulary 32000: layers of 82 M parameters) scores
28 sequences: 4 prompts of 7 responses, lengths drawn from a seed with means 240 and 450. Useful tokens are those of all 28 full
sequences, however a program computes them; the rate is useful tokens per second, the median over the rounds.
  cmake --preset bench && cmake --build --preset bench --target score_model_bench
  .venv-golden/bin/python bench/score_bench.py [--dtype bfloat16] [--rounds 3]
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

ROOT = Path(__file__).parents[1]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def make_model(folder):
    """Weights of a realistic size (0.02, norms 1); made once."""
    if (folder / "config.json").exists():
        return
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=32000, hidden_size=768, intermediate_size=2304, num_hidden_layers=12,
                         num_attention_heads=12, num_key_value_heads=4, max_position_embeddings=4096, rms_norm_eps=1e-5,
                         num_labels=1, pad_token_id=0, tie_word_embeddings=False)
    model = LlamaForSequenceClassification(config)
    layers = sum(p.numel() for n, p in model.named_parameters() if ".layers." in n)
    assert 80e6 < layers < 84e6, layers
    model.save_pretrained(folder)


def draw_groups(seed, num_prompts=4, num_responses=7, prompt_mean=240, response_mean=450):
    """Lengths uniform in 0.4 .. 1.6 times the mean, then shifted so that the means are exact."""
    generator = torch.Generator().manual_seed(seed)

    def lengths(count, mean):
        values = (mean * (0.4 + 1.2 * torch.rand(count, generator=generator))).round().long()
        values += mean - round(values.float().mean().item())
        return values.tolist()

    ids = lambda n: torch.randint(3, 32000, (n,), generator=generator).tolist()
    responses = lengths(num_prompts * num_responses, response_mean)
    return [{"prompt": ids(n), "responses": [ids(responses[p * num_responses + r]) for r in range(num_responses)]}
            for p, n in enumerate(lengths(num_prompts, prompt_mean))]


def gemm_peak(dtype, seconds=1.0):
    """GFLOP/s of one large product of the mlp's shape, best of the repetitions."""
    a, b = torch.randn(3072, 768).to(dtype), torch.randn(2304, 768).to(dtype)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.nn.functional.linear(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * 3072 * 768 * 2304 / best / 1e9


def transformers_round(model, sequences):
    start, cpu_start = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        scores = [model(torch.tensor([ids])).logits[0, 0].item() for ids in sequences]
    return time.perf_counter() - start, time.process_time() - cpu_start, scores


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--charm-bench", default=ROOT / "build/bench/bench/score_model_bench", type=Path)
    parser.add_argument("--work", default=ROOT / "runs/bench", type=Path, help="folder for the model and the groups")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--budget-tokens", type=int, default=8192)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    model_dir, groups_file = args.work / "llama-82m", args.work / f"groups-{args.seed}.json"
    args.work.mkdir(parents=True, exist_ok=True)
    make_model(model_dir)
    groups = draw_groups(args.seed)
    groups_file.write_text(json.dumps({"groups": groups}))
    sequences = [g["prompt"] + r for g in groups for r in g["responses"]]
    useful = sum(map(len, sequences))

    peer = LlamaForSequenceClassification.from_pretrained(model_dir, dtype=DTYPES[args.dtype]).eval()  # sdpa: its fastest on CPU
    peer_name = f"transformers batch 1, {peer.config._attn_implementation} attention"
    transformers_round(peer, sequences[:2])
    rounds, cpu, gemm = {"charm": [], "transformers": []}, {"charm": [], "transformers": []}, []
    for _ in range(args.rounds):
        command = [args.charm_bench, model_dir, groups_file, args.dtype, args.threads, 1, args.budget_tokens]
        charm = json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)
        rounds["charm"].append(charm["rounds_s"][0])
        cpu["charm"].append(charm["rounds_cpu_s"][0])
        gemm.append(gemm_peak(DTYPES[args.dtype]))
        elapsed, cpu_elapsed, scores = transformers_round(peer, sequences)
        rounds["transformers"].append(elapsed)
        cpu["transformers"].append(cpu_elapsed)

    rate = {name: useful / statistics.median(values) for name, values in rounds.items()}
    print(json.dumps({
        "bench": "score", "cpu": cpu_name(), "threads": args.threads, "dtype": args.dtype, "torch": torch.__version__,
        "sequences": len(sequences), "useful_tokens": useful, "computed_tokens": charm["computed_tokens"],
        "rounds_s": rounds, "rounds_cpu_s": cpu, "useful_tokens_per_s": {k: round(v, 1) for k, v in rate.items()},
        "ratio": round(rate["charm"] / rate["transformers"], 3), "peer": peer_name,
        "gemm_peak_gflops": round(max(gemm), 1),
        "largest_score_difference": max(abs(a - b) for a, b in zip(charm["scores"], scores)),
        "charm_model": charm.get("model"), "charm_load_s": charm["load_s"], "charm_peak_memory_mib": charm["peak_memory_mib"],
    }, indent=2))


if __name__ == "__main__":
    main()
