"""Tiny random models for fixtures: a few tens of kilobytes each, the same bytes for the same seed."""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForSequenceClassification, LlamaConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

# Written out by hand so that a fixture's template is in view: ChatML without a newline after the closing token.
CHATML = ("{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def in_files(model):
    """Its tensors under the names and in the shapes in which save_pretrained writes them: transformers 5 fuses experts in memory."""
    architectures = model.config.architectures  # save_pretrained changes them
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        model.config.architectures = architectures
        return load_file(Path(folder) / "model.safetensors")


def seeded_weights(config, seed, dtype=torch.float32, head=True, model=None):
    """Weights large enough that attention, mlp and head all move the score; stored in `dtype`."""
    model = model or AutoModelForSequenceClassification.from_config(config)
    # Norms that add 1 themselves.
    adds_one = config.model_type.startswith(("gemma", "qwen3_5")) and not config.model_type.startswith("gemma4")
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, value in sorted(in_files(model).items()):
        noise = torch.randn(value.shape, generator=generator)
        if name.endswith("bias"):
            new = 0.2 * noise
        elif "norm" in name or name.endswith("layer_scalar"):
            new = (0.0 if adds_one and not name.endswith("linear_attn.norm.weight") else 1.0) + 0.2 * noise
        elif "embed_tokens" in name:
            new = noise
        else:
            new = noise * value.shape[-1] ** -0.5
        if name != "score.weight" or head:
            weights[name] = new.to(dtype).contiguous()
    return weights


def write_model(folder, config_json, weights, max_shard_bytes=None):
    """config.json as given and model.safetensors, in shards with an index where a limit is given."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_json(folder / "config.json", config_json)
    if max_shard_bytes is None:
        shards = {"model.safetensors": weights}
    else:
        parts, size = [{}], 0
        for name, value in weights.items():
            size += value.numel() * value.element_size()
            if size > max_shard_bytes:
                parts.append({})
                size = value.numel() * value.element_size()
            parts[-1][name] = value
        shards = {f"model-{i + 1:05d}-of-{len(parts):05d}.safetensors": part for i, part in enumerate(parts)}
        total = sum(v.numel() * v.element_size() for v in weights.values())
        write_json(folder / "model.safetensors.index.json", {
            "metadata": {"total_size": total},
            "weight_map": {name: shard for shard, part in shards.items() for name in part}})
    for shard, part in shards.items():
        save_file(part, folder / shard, metadata={"format": "pt"})
        (folder / shard).chmod(0o644)


def write_tokenizer(folder):
    """Byte-level BPE over the 256 bytes and a handful of merges, with the ChatML template. Pad is the closing token."""
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "n"), ("e", "r"), ("o", "u"), ("Ġ", "a"), ("in", "g")]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = SPECIALS + alphabet + ["".join(m) for m in merges]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIALS])
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIALS[0], "eos_token": SPECIALS[2],
        "pad_token": SPECIALS[2], "clean_up_tokenization_spaces": False, "model_max_length": 512,
        "chat_template": CHATML})
    return len(tokens)


def v5_json(config, **changes):
    """config.json as transformers 5 writes it."""
    value = json.loads(config.to_json_string())
    value.pop("transformers_version", None)
    value["architectures"] = [MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES.get(config.model_type)]
    value["dtype"] = "float32"
    value.update(changes)
    return {k: v for k, v in value.items() if v is not None}


def v4_json(config, **changes):
    """The same in transformers 4's spelling: rope_theta, rope_scaling, torch_dtype."""
    value = v5_json(config)
    rope = dict(value.pop("rope_parameters"))
    value["rope_theta"] = rope.pop("rope_theta")
    value["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    value["torch_dtype"] = value.pop("dtype")
    value["transformers_version"] = "4.43.1"
    value.update(changes)
    return value


def tiny_config(config_class=LlamaConfig, **changes):
    value = dict(vocab_size=48, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, num_labels=1, pad_token_id=0,
                 bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)
    value.update(changes)
    return config_class(**value)


def numbers(tensor):
    """Nested lists with the nine digits that give a float32 back."""
    if tensor.dim() > 1:
        return [numbers(t) for t in tensor]
    return [float(f"{v:.9g}") for v in tensor.double().tolist()]


def write_json(path, value):
    Path(path).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_compact_json(path, value):
    """One line per entry of the top level and of `rows`: readable in a diff, small on disk."""
    lines = []
    for key, item in value.items():
        if key == "rows":
            body = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in item)
            lines.append(f'"rows": [\n{body}\n]')
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}")
    Path(path).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
