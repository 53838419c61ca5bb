"""transformers on the shape and lengths that gpu_score_bench wrote with --lengths: batch 1, and batches of 8 padded to their longest.

Prints JSON: useful tokens per second (those of the full sequences), as gpu_score_bench counts them. Sequences are sorted by length, which
favours padded batches. Each way runs for about --seconds over as many sequences as that allows.
  python3 bench/gpu_peer.py lengths.json [--device cuda] [--seconds 20]
"""

import argparse
import json
import time

import torch
import transformers
from transformers import LlamaConfig, LlamaForSequenceClassification


def make_model(shape, device):
    config = LlamaConfig(**{k: v for k, v in shape.items() if k not in ("architectures", "torch_dtype", "id2label", "model_type")},
                         num_labels=1)
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = LlamaForSequenceClassification(config)
    finally:
        torch.set_default_dtype(previous)
    return model.eval()


def run(model, lengths, batch_size, device, seconds, synchronize):
    """Useful tokens per second."""
    generator = torch.Generator().manual_seed(0)
    vocab, pad = model.config.vocab_size, model.config.pad_token_id

    def score(batch):
        longest = max(batch)
        ids = torch.full((len(batch), longest), pad)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        for row, length in enumerate(batch):
            ids[row, :length] = torch.randint(1, vocab, (length,), generator=generator)
            mask[row, :length] = 1
        return model(input_ids=ids.to(device), attention_mask=mask.to(device)).logits.float().cpu()

    batches = [lengths[i:i + batch_size] for i in range(0, len(lengths), batch_size)]
    batches = batches[::2] + batches[1::2][::-1]  # a part of them is like all of them
    with torch.inference_mode():
        for batch in batches[:2]:
            score(batch)
        synchronize()
        start, useful = time.perf_counter(), 0
        for batch in batches:
            score(batch)
            useful += sum(batch)
            if time.perf_counter() - start > seconds:
                break
        synchronize()
    return {"useful_tokens_per_s": useful / (time.perf_counter() - start), "useful_tokens": useful}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lengths")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args()
    with open(args.lengths) as file:
        data = json.load(file)
    model = make_model(data["shape"], args.device)
    lengths = sorted(g["prompt"] + r for g in data["groups"] for r in g["responses"])
    synchronize = torch.cuda.synchronize if args.device == "cuda" else (lambda: None)
    result = {"transformers": transformers.__version__, "torch": torch.__version__, "attention": model.config._attn_implementation}
    for batch_size in (1, 8):
        result[f"batch_{batch_size}"] = run(model, lengths, batch_size, args.device, args.seconds, synchronize)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
