"""SmolLM2-135M-Instruct: GGUF (Q4_1) -> Hugging Face folder with dequantised weights. Started by smollm2.sh."""

import argparse
import json
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
NORMAL_TOKEN = 1  # gguf.TokenType.NORMAL; anything else is a control token

# GGUF name -> Hugging Face name, per block and once.
BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}


def unpermute(weight, num_heads):
    """Rows of q and k from GGUF's interleaved rope order (pairs side by side) to Hugging Face's (halves)."""
    rows, cols = weight.shape
    return weight.reshape(num_heads, rows // num_heads // 2, 2, cols).swapaxes(1, 2).reshape(rows, cols)


def read_weights(reader, num_layers, num_heads, num_kv_heads, dtype):
    weights = {}
    for tensor in reader.tensors:
        name = tensor.name.removesuffix(".weight")
        values = np.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        if name in TOP_NAMES:
            target = TOP_NAMES[name]
        else:
            _, layer, part = name.split(".")
            if int(layer) >= num_layers:
                continue
            if part in ("attn_q", "attn_k"):
                values = unpermute(values, num_heads if part == "attn_q" else num_kv_heads)
            target = f"model.layers.{layer}.{BLOCK_NAMES[part]}"
        weights[f"{target}.weight"] = torch.from_numpy(np.array(values, order="C")).to(dtype)
    return weights


def build_tokenizer(field):
    tokens = field("tokenizer.ggml.tokens")
    kinds = field("tokenizer.ggml.token_type")
    merges = [tuple(merge.split(" ", 1)) for merge in field("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    # llama.cpp's "smollm" pre-tokenizer: every digit alone, then GPT-2's byte-level split.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t, kind in zip(tokens, kinds) if kind != NORMAL_TOKEN])
    return tokenizer, tokens


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def convert(args):
    reader = gguf.GGUFReader(args.gguf)
    field = lambda key: reader.fields[key].contents()
    all_layers = int(field("llama.block_count"))
    num_layers = args.layers or all_layers
    if not 1 <= num_layers <= all_layers:
        sys.exit(f"smollm2: --layers {num_layers}: the model has {all_layers}")
    num_heads = int(field("llama.attention.head_count"))
    num_kv_heads = int(field("llama.attention.head_count_kv"))
    hidden = int(field("llama.embedding_length"))
    bos, eos = int(field("tokenizer.ggml.bos_token_id")), int(field("tokenizer.ggml.eos_token_id"))
    pad, unk = int(field("tokenizer.ggml.padding_token_id")), int(field("tokenizer.ggml.unknown_token_id"))
    context = int(field("llama.context_length"))

    output = Path(args.output)
    if output.exists():
        sys.exit(f"smollm2: {output} exists: delete it first, or name another folder")
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)

    weights = read_weights(reader, num_layers, num_heads, num_kv_heads, DTYPES[args.dtype])
    save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
    (partial / "model.safetensors").chmod(0o644)  # safetensors writes through a private temporary file
    write_json(partial / "config.json", {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": int(field("llama.vocab_size")),
        "hidden_size": hidden,
        "intermediate_size": int(field("llama.feed_forward_length")),
        "num_hidden_layers": num_layers,
        "num_attention_heads": num_heads,
        "num_key_value_heads": num_kv_heads,
        "head_dim": hidden // num_heads,
        "hidden_act": "silu",
        "max_position_embeddings": context,
        "rms_norm_eps": 1e-5,  # the GGUF holds its nearest float32
        "rope_parameters": {"rope_theta": float(field("llama.rope.freq_base")), "rope_type": "default"},
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.041666666666666664,
        "tie_word_embeddings": True,
        "use_cache": True,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "pad_token_id": pad,
        "dtype": args.dtype,
    })
    write_json(partial / "generation_config.json", {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": pad})

    tokenizer, tokens = build_tokenizer(field)
    tokenizer.save(str(partial / "tokenizer.json"))
    write_json(partial / "tokenizer_config.json", {
        # The generic class: the others rebuild the pre-tokenizer from their name and ignore tokenizer.json's.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[bos],
        "eos_token": tokens[eos],
        "pad_token": tokens[pad],
        "unk_token": tokens[unk],
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "chat_template": field("tokenizer.chat_template"),
    })
    partial.rename(output)
    print(f"{output}: {num_layers} of {all_layers} layers, {sum(w.numel() for w in weights.values()) / 1e6:.1f} M parameters, "
          f"{args.dtype}")
    return output


def check(output):
    """Loads the folder in transformers and answers a question greedily; a wrong conversion babbles."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(output)
    model = AutoModelForCausalLM.from_pretrained(output).eval()
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    print(repr(tokenizer.decode(inputs["input_ids"][0])))
    with torch.no_grad():
        answer = model.generate(**inputs, max_new_tokens=24, do_sample=False)
    print(repr(tokenizer.decode(answer[0, inputs["input_ids"].shape[1]:])))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--output", required=True, help="folder to write; must not exist")
    parser.add_argument("--layers", type=int, help="keep the first N of 30 layers (a smaller trunk to train a reward model on)")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--check", action="store_true", help="load the result in transformers and answer a question")
    args = parser.parse_args()
    output = convert(args)
    if args.check:
        check(output)


if __name__ == "__main__":
    main()
