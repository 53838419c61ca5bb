"""Writes tests/data/golden/weights: tiny reward models as training tools and the Hub publish them, with golden.json as in
make_model_golden.py. Adapters are merged by peft, files of torch.save are read by torch, heads that transformers has no class for are the
published code's formulas (stored_heads.py).
  .venv-golden/bin/python tools/golden/make_weights_golden.py
"""

import argparse
from pathlib import Path

import torch
from transformers import AutoConfig, Gemma2Config, LlamaConfig, MistralConfig, Qwen2Config

import model_rows
import stored_heads
import tiny
import weights

SHAPES = [(7, [1, 5]), (20, [3, 30]), (0, [9])]


def describe(folder, config, seed, load, rows=None, more_rows=()):
    """golden.json by `load(folder, dtype)`. `more_rows`: as in model_rows.describe."""
    usual, model_rows.load = model_rows.load, load
    rows = rows or model_rows.token_rows(config, seed, shapes=SHAPES)
    model_rows.describe(folder, rows, layer_rows=(), more_rows=more_rows)
    model_rows.load = usual
    golden = folder / "golden.json"
    golden.write_text(golden.read_text().replace("make_model_golden.py", "make_weights_golden.py"))


def adapters(root):
    config = weights.write_base(root / "base", 1, attention_bias=True)
    weights.write_adapter(root / "lora", root / "base", 2, r=3, lora_alpha=6, target_modules=["q_proj", "v_proj", "up_proj"])
    describe(root / "lora", config, 3, weights.merged)
    weights.write_adapter(root / "lora-bias-bin", root / "base", 4, safe=False, r=2, lora_alpha=3, bias="lora_only", use_rslora=True,
                          target_modules=["q_proj", "k_proj", "o_proj", "embed_tokens"])
    describe(root / "lora-bias-bin", config, 5, weights.merged)
    # A LoRA run that trained a head on a causal LM; ranks and alphas by pattern.
    config = weights.write_base(root / "base-lm", 6, causal_lm=True)
    weights.write_adapter(root / "lora-head", root / "base-lm", 7, r=4, lora_alpha=8, task_type="SEQ_CLS", target_modules="all-linear",
                          rank_pattern={r"layers\.1\.mlp\..*": 2, "v_proj": 1}, alpha_pattern={"layers.0.self_attn.q_proj": 20})
    describe(root / "lora-head", config, 8, weights.merged)
    # A bfloat16 base whose own head the adapter replaces.
    config = weights.write_base(root / "base-bf16", 9, torch.bfloat16)
    weights.write_adapter(root / "lora-bf16", root / "base-bf16", 10, r=2, lora_alpha=2, target_modules=["down_proj"],
                          modules_to_save=["score"])
    describe(root / "lora-bf16", config, 11, weights.merged)


def adapter_kinds(root):
    """Settings of LoraConfig that decide what is merged, and into what: also those of a config that was edited after training, where
    peft loads a part of the file."""
    models, llama = root.parent / "models", root / "base"
    every = dict(r=3, lora_alpha=6, target_modules=["q_proj", "k_proj", "up_proj", "down_proj"])
    edited = lambda **edit: dict(every, edit=edit)
    experts = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj", "mlp.gate.weight"]
    cases = [
        ("left-out", llama, edited(target_modules=["down_proj", "self_attn.k_proj"])),
        ("layers", llama, edited(layers_to_transform=[1], layers_pattern="layers", fan_in_fan_out=True)),
        ("exclude", llama, edited(exclude_modules=["layers.0.self_attn.q_proj", "up_proj"], init_lora_weights="eva")),
        ("regex", llama, edited(target_modules=r"(?=.*layers\.[01]\.)(?!.*\bmlp\b).*_proj")),
        ("patterns", llama, dict(every, use_rslora=True, rank_pattern={r".*\.1\..*": 1, "up_proj": 2},
                                 alpha_pattern={"^model.layers.0.mlp.up_proj": 5, r"layers\.\d+\.self_attn.k_proj": 9})),
        ("bias-all", llama, dict(every, bias="all")),
        ("factor-biases", models / "biases", dict(every, lora_bias=True)),
        ("token-rows", llama, dict(every, trainable_token_indices=[3, 11, 30])),
        ("vocabulary", llama, dict(every, vocabulary=44, modules_to_save=["embed_tokens"], task_type="SEQ_CLS")),
        ("experts", models / "mixtral", dict(every, target_modules=["q_proj"], target_parameters=experts)),
        ("experts-qwen3", models / "qwen3-moe", dict(every, target_parameters=experts[1:], target_modules=["v_proj"],
                                                     rank_pattern={r"experts\.down_proj": 2}, alpha_pattern={"gate.weight": 12})),
        ("wrapper", models / "gemma3-wrapper", dict(every, target_modules="all-linear", task_type="SEQ_CLS")),
    ]
    for number, (name, base, settings) in enumerate(cases):
        folder = root / f"lora-{name}"
        weights.write_adapter(folder, base, 80 + 2 * number, **settings)
        config = AutoConfig.from_pretrained(base)
        config.vocab_size = settings.get("vocabulary", config.get_text_config().vocab_size)
        more = model_rows.token_rows(config, 999, shapes=SHAPES) if name == "left-out" else ()
        describe(folder, config, 81 + 2 * number, weights.merged, more_rows=more)
    # Factors of each expert by itself, as peft wrote them with transformers 4.
    weights.write_expert_adapter(root / "lora-experts-v4", models / "mixtral", 110, r=2, lora_alpha=5)
    describe(root / "lora-experts-v4", AutoConfig.from_pretrained(models / "mixtral"), 111, weights.merged)


def fused_experts(root):
    for number, name in enumerate(["mixtral", "qwen3-moe"]):
        weights.write_fused(root / f"{name}-fused", root.parent / "models" / name)
        config = AutoConfig.from_pretrained(root / f"{name}-fused")
        describe(root / f"{name}-fused", config, 120 + number, model_rows.load)


def files_of_torch(root):
    cases = {"bin": {}, "bin-strided": {"strided": True}, "bin-sharded": {"shards": 3},
             "bin-wrapped": {"names": lambda name: "module._orig_mod." + name.replace("layers.0.", "layers.0._fsdp_wrapped_module.")}}
    for number, (name, how) in enumerate(cases.items()):
        dtype = torch.bfloat16 if name == "bin-sharded" else torch.float32
        config = weights.write_base(root / name, 20 + number, dtype)
        describe(root / name, config, 30 + number, model_rows.load)
        weights.torch_save(root / name, **how)


def head_case(root, name, seed, config_class, shapes, formula, architecture, rows_of=None, place="model", trunk_prefix="model.", own=None,
              extra=None, scale=1.5, **changes):
    config = tiny.tiny_config(config_class, **{**weights.SIZES, **changes})
    head = stored_heads.random_tensors(shapes, seed, scale)
    value = tiny.v5_json(config, architectures=[architecture], **(own or {}))
    for key in ("num_labels", "id2label", "label2id"):
        value.pop(key, None)
    stored_heads.write(root / name, config, value, seed, {**head, **(extra or {})}, place, trunk_prefix)
    for key, setting in (own or {}).items():
        setattr(config, key, setting)
    describe(root / name, config, seed + 1, stored_heads.loader(head, formula), rows_of(seed + 2) if rows_of else None)


def gate_rows(pattern):
    """Rows with the gate's pattern at the end of the shared prompt, twice, and in the response."""
    def rows(seed):
        generator = torch.Generator().manual_seed(seed)
        draw = lambda n: torch.randint(7, 36, (n,), generator=generator).tolist()
        prompt = [1, *draw(8), *pattern, 4]
        out = [(prompt + draw(n), len(prompt)) for n in (1, 6, 20)]
        out.append((prompt + draw(3) + pattern + draw(5), len(prompt)))
        return out + [(pattern + draw(5), 0), (prompt + draw(4) + [0, 0], len(prompt))]
    return rows


def heads(root):
    width, vocab = weights.SIZES["hidden_size"], weights.SIZES["vocab_size"]
    v_head = {"v_head.summary.weight": (1, width), "v_head.summary.bias": (1,)}
    case = lambda *args, **more: head_case(root, *args, **more)
    case("trl-value-head", 40, LlamaConfig, v_head, stored_heads.value_head, "LlamaForCausalLM")
    case("llamafactory-safetensors", 43, Qwen2Config, v_head, stored_heads.value_head, "Qwen2ForCausalLM", place={"value_head.safetensors": ""})
    case("llamafactory-bin", 46, LlamaConfig, v_head, stored_heads.value_head, "LlamaForCausalLM", place={"value_head.bin": ""})
    case("openrlhf", 49, LlamaConfig, {"score.weight": (1, width)}, stored_heads.openrlhf, "RewardModel")
    case("openrlhf-value-head", 52, MistralConfig, {"reward_head.weight": (1, width)}, stored_heads.openrlhf, "RewardModel",
         sliding_window=None, own={"value_head_prefix": "reward_head", "normalize_reward": True, "mean": -0.4, "std": 1.7})
    lm_head = {"lm_head.weight": (vocab, width)}
    case("llama-3.1-Nemotron-70B-Reward-HF", 55, LlamaConfig, lm_head, stored_heads.lm_logit(0), "LlamaForCausalLM")
    qrm = stored_heads.shapes_of_gate((0, 3, 6, 9), (2, 5, 8), (width, 12, 12, 12, 3))
    qrm.update({"regression_layer.weight": (12, width), "reward_transform_matrix": (3, 3), "gating.logit_scale": (1,)})
    case("qrm-llama3.1-8b", 58, LlamaConfig, qrm, stored_heads.qrm(10.0), "LlamaForRewardModelWithGating31",
         rows_of=gate_rows(stored_heads.LLAMA_GATE), own={"gating_token_pattern": stored_heads.LLAMA_GATE},
         extra={f"gating.layers.{n}.num_batches_tracked": torch.tensor(7) for n in (2, 5, 8)})
    # QRM's own repositories have ArmoRM's class name; QRM-Llama3 has another in RewardBench, with the same formula.
    case("qrm-llama3-8b", 74, LlamaConfig, qrm, stored_heads.qrm(10.0), "LlamaForRewardModelWithGating", rows_of=gate_rows(stored_heads.LLAMA_GATE),
         own={"gating_token_pattern": stored_heads.LLAMA_GATE, "num_quantiles": 4, "num_objectives": 3})
    qrm = stored_heads.shapes_of_gate((0, 4, 8, 11), (2, 6, 10), (width, 10, 10, 10, 4))
    qrm["regression_layer.weight"] = (20, width)
    case("qrm-gemma-2-27b", 61, Gemma2Config, qrm, stored_heads.qrm(1.0), "Gemma2ForQuantileSequenceClassification",
         rows_of=gate_rows(stored_heads.GEMMA_GATE), own={"gating_token_pattern": stored_heads.GEMMA_GATE}, attn_logit_softcapping=2.0,
         query_pre_attn_scalar=8, sliding_window=6)
    urm = stored_heads.shapes_of_mlp("weights.fc.", (0, 2, 4), (width, width, width, 5))
    urm["score.weight"] = (10, width)
    case("urm-llama-3.1-8b", 64, LlamaConfig, urm, stored_heads.urm, "LlamaForSequenceClassificationWithNormal_Weights")
    ldl = stored_heads.shapes_of_mlp("regression_layer.network.", (0, 2, 4), (width, 12, 12, 50))
    ldl.update(stored_heads.shapes_of_mlp("gating_layer.network.", (0, 3, 6), (width, 12, 12, 5)))
    for softmax in (True, False):
        case("ldl-reward-gemma-2-27b" if softmax else "ldl-without-softmax", 67 if softmax else 70, Gemma2Config, ldl, stored_heads.ldl(softmax, 0.6),
             "LDLRewardModel27B", place={"regression_layer.pt": "regression_layer.", "gating_layer.pt": "gating_layer."}, trunk_prefix="",
             own={"softmax": softmax, "temperature": 0.6}, scale=3.0 if softmax else 1.5, attn_logit_softcapping=2.0, query_pre_attn_scalar=8, sliding_window=6)


def internlm2(root):
    """A row ends with the reward token, which charm appends to a conversation."""
    own = {"reward_token_id": 6, "bias": False, "auto_map": {"AutoModel": "modeling_internlm2.InternLM2ForRewardModel"}}
    config = tiny.tiny_config(LlamaConfig, **{**weights.SIZES, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4})
    config.reward_token_id = own["reward_token_id"]
    head = stored_heads.random_tensors({"v_head.weight": (1, config.hidden_size)}, 130)
    value = tiny.v4_json(config, architectures=["InternLM2ForRewardModel"], model_type="internlm2", pad_token_id=2, **own)
    for key in ("num_labels", "id2label", "label2id", "head_dim", "attention_bias", "mlp_bias", "reward_token_id"):
        value.pop(key, None)
    value.update(own)
    trunk = stored_heads.internlm2_weights(tiny.seeded_weights(config, 131, head=False), config)
    tiny.write_model(root / "internlm2-7b-reward", value, {**trunk, **head})
    rows = [(ids + [own["reward_token_id"]], length) for ids, length in model_rows.token_rows(config, 132, shapes=SHAPES)]
    describe(root / "internlm2-7b-reward", config, 133, stored_heads.internlm2_loader(config, head), rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[2] / "tests/data/golden/weights")
    root = parser.parse_args().output
    torch.set_num_threads(1)
    adapters(root)
    adapter_kinds(root)
    fused_experts(root)
    files_of_torch(root)
    heads(root)
    internlm2(root)


if __name__ == "__main__":
    main()
