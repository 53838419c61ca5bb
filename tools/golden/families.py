"""The fixtures of families other than plain Llama, of further heads, and small twins of published reward models."""

import torch
from transformers import Gemma2Config, Gemma3TextConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

import heads
import model_rows as golden
import tiny

SHAPES = [(7, [1, 5]), (20, [3, 30]), (0, [9])]
SMALL = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=1, head_dim=8)


def identity(path):
    """A patch that takes the modules of this name out of every layer."""
    def patch(model):
        for layer in model.model.layers:
            parent, name = (layer.self_attn, path[10:]) if path.startswith("self_attn.") else (layer, path)
            setattr(parent, name, torch.nn.Identity())
    return patch


def no_biases(model):
    for layer in model.model.layers:
        for linear in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
            torch.nn.init.zeros_(linear.bias)


def no_embedding_scale(model):
    model.model.embed_tokens.embed_scale.fill_(1.0)


def drop(value, *keys):
    return {k: v for k, v in value.items() if k not in keys}


def phi3_spelling(value):
    """The original length beside the rope settings, as Phi-3's configs have it."""
    scaling = dict(value["rope_scaling"])
    return {**value, "original_max_position_embeddings": scaling.pop("original_max_position_embeddings"), "rope_scaling": scaling}


def write(root):
    def case(name, seed, config_class, to_json=tiny.v5_json, own_head=False, layers=True, gradients=True, **changes):
        config = tiny.tiny_config(config_class, **{**SMALL, **changes})
        value = to_json(config)
        weights = tiny.seeded_weights(config, seed)
        if own_head:
            weights = heads.own_weights(weights, value, config, seed)
        tiny.write_model(root / name, value, weights)
        rows = golden.token_rows(config, seed, shapes=SHAPES)
        more = [row for n in range(1, 9) for row in golden.token_rows(config, seed + 1000 * n, shapes=SHAPES)]
        scores = golden.describe(root / name, rows, layer_rows=(1, 2) if layers else (), gradients=gradients, more_rows=more)
        return root / name, rows, scores

    rope = lambda theta, **more: {"rope_type": "default", "rope_theta": theta, **more}

    # Rope kinds of Llama.
    yarn = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
    made = case("yarn-rope", 20, LlamaConfig, rope_parameters=yarn, max_position_embeddings=128)
    golden.must_matter(*made, rope_parameters=rope(10000.0))
    golden.must_matter(*made, rope_parameters={**yarn, "attention_factor": 1.0})
    made = case("yarn-rope-v4", 21, Qwen2Config, max_position_embeddings=128, rope_parameters={
        "rope_type": "yarn", "rope_theta": 1000.0, "factor": 8.0, "original_max_position_embeddings": 16, "beta_fast": 4.0,
        "beta_slow": 0.5, "mscale": 1.0, "mscale_all_dim": 0.5, "truncate": False},
        to_json=lambda c: drop(tiny.v4_json(c), "layer_types"))
    golden.must_matter(*made, rope_parameters=rope(1000.0))
    made = case("dynamic-rope", 22, LlamaConfig, rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
                max_position_embeddings=16)
    golden.must_matter(*made, rope_parameters=rope(10000.0))

    # Long and short rows: the original length lies between them. Their factors and the place of that length differ.
    longrope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.1, 1.5, 2.0], "long_factor": [1.5, 3.0, 6.0, 9.0],
                "original_max_position_embeddings": 16}
    made = case("longrope", 50, LlamaConfig, rope_parameters=longrope, max_position_embeddings=128)
    golden.must_matter(*made, rope_parameters={**longrope, "long_factor": longrope["short_factor"]})
    golden.must_matter(*made, rope_parameters={**longrope, "short_factor": longrope["long_factor"]})
    golden.must_matter(*made, rope_parameters={**longrope, "attention_factor": 1.0})
    case("longrope-v4", 51, Qwen2Config, max_position_embeddings=64, rope_parameters={**longrope, "attention_factor": 1.2},
         to_json=lambda c: phi3_spelling(drop(tiny.v4_json(c), "layer_types")), layers=False)

    # Mistral, Qwen.
    made = case("mistral", 23, MistralConfig, sliding_window=6)
    golden.must_matter(*made, sliding_window=None)
    golden.must_matter(*made, sliding_window=7)
    made = case("qwen2", 24, Qwen2Config, use_sliding_window=True, sliding_window=6, max_window_layers=1,
                to_json=lambda c: drop(tiny.v4_json(c), "layer_types"))
    golden.must_matter(*made, patch=no_biases)
    golden.must_matter(*made, layer_types=["full_attention"] * 2)
    golden.must_matter(*made, layer_types=["sliding_attention"] * 2)
    types = ["sliding_attention", "full_attention"]
    made = case("qwen2-layer-types", 25, Qwen2Config, use_sliding_window=True, sliding_window=5, max_window_layers=1,
                layer_types=types)
    golden.must_matter(*made, layer_types=types[::-1])
    made = case("qwen3", 26, Qwen3Config, attention_bias=True, use_sliding_window=True, sliding_window=6, max_window_layers=1)
    golden.must_matter(*made, patch=identity("self_attn.q_norm"))
    golden.must_matter(*made, patch=identity("self_attn.k_norm"))
    golden.must_matter(*made, layer_types=["full_attention"] * 2)
    case("qwen3-head-dim", 27, Qwen3Config, head_dim=12, layers=False)

    # Gemma.
    made = case("gemma2", 28, Gemma2Config, head_dim=12, query_pre_attn_scalar=3, attn_logit_softcapping=2.0, sliding_window=6,
                num_hidden_layers=3, tie_word_embeddings=True)
    golden.must_matter(*made, attn_logit_softcapping=None)
    golden.must_matter(*made, query_pre_attn_scalar=12)
    golden.must_matter(*made, layer_types=["full_attention"] * 3)
    golden.must_matter(*made, layer_types=["full_attention", "sliding_attention", "full_attention"])
    golden.must_matter(*made, hidden_activation="silu")
    golden.must_matter(*made, patch=no_embedding_scale)
    golden.must_matter(*made, patch=identity("post_attention_layernorm"))
    golden.must_matter(*made, patch=identity("post_feedforward_layernorm"))
    golden.must_matter(*made, patch=identity("pre_feedforward_layernorm"))
    case("gemma2-v4", 29, Gemma2Config, attn_logit_softcapping=None, query_pre_attn_scalar=256, attention_bias=True,
         to_json=lambda c: {**drop(tiny.v4_json(c), "layer_types"), "hidden_act": "gelu_pytorch_tanh",
                            "cache_implementation": "hybrid", "attn_logit_softcapping": None}, layers=False, sliding_window=9)
    gemma3 = {"sliding_attention": rope(100.0), "full_attention": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 8.0}}
    made = case("gemma3", 30, Gemma3TextConfig, head_dim=12, query_pre_attn_scalar=3, sliding_window=6, num_hidden_layers=3,
                layer_types=["sliding_attention", "full_attention", "sliding_attention"], rope_parameters=gemma3)
    golden.must_matter(*made, rope_parameters={**gemma3, "sliding_attention": rope(10000.0)})
    golden.must_matter(*made, rope_parameters={**gemma3, "full_attention": rope(10000.0)})
    golden.must_matter(*made, patch=identity("self_attn.q_norm"))
    golden.must_matter(*made, layer_types=["full_attention"] * 3)

    def gemma3_v4(config):
        value = drop(tiny.v5_json(config), "layer_types", "rope_parameters", "dtype")
        return {**value, "torch_dtype": "float32", "rope_theta": 10000.0, "rope_local_base_freq": 100.0, "sliding_window_pattern": 3,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    case("gemma3-v4", 31, Gemma3TextConfig, query_pre_attn_scalar=8, sliding_window=6, num_hidden_layers=4, to_json=gemma3_v4,
         layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
         rope_parameters=gemma3, layers=False)

    # Heads.
    case("inf-orm", 32, LlamaConfig, own_head=True, layers=False, rope_parameters=rope(500000.0),
         to_json=lambda c: tiny.v5_json(c, architectures=["INFORMForSequenceClassification"]))
    grm = lambda c: drop(tiny.v5_json(c, architectures=["LlamaForCausalLM"], vhead_layer_type="mlp", vhead_num_layers=2,
                                      vhead_num_neurons=12), "id2label", "label2id", "num_labels")
    case("grm", 33, LlamaConfig, own_head=True, layers=False, to_json=grm)
    case("grm-linear", 34, Gemma2Config, own_head=True, layers=False, to_json=lambda c: {
        **grm(c), "architectures": ["GRewardModel"], "vhead_layer_type": "linear",
        "auto_map": {"AutoModelForSequenceClassification": "modeling_grm.GRewardModel"}})

    # Twins of the reward models of the CHARM paper and of Skywork-V2: their settings, with small sizes.
    published = dict(layers=False, gradients=False)
    llama3 = {"rope_type": "llama3", "rope_theta": 500000.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 8192}
    case("skywork-llama-3.1-8b-v0.2", 40, LlamaConfig, tiny.v4_json, rope_parameters={**llama3, "factor": 8.0}, eos_token_id=[2, 3],
         max_position_embeddings=131072, num_attention_heads=4, head_dim=None, **published)
    case("fsfairx-llama3-v0.1", 41, LlamaConfig, tiny.v4_json, rope_parameters=rope(500000.0), max_position_embeddings=8192,
         num_attention_heads=4, head_dim=None, pad_token_id=39, **published)
    case("rm-mistral-7b", 42, MistralConfig, lambda c: {**tiny.v4_json(c), "sliding_window": None}, sliding_window=None,
         rope_parameters=rope(1000000.0), max_position_embeddings=32768, num_attention_heads=4, **published)
    case("grm-llama3-8b-distill", 43, LlamaConfig, tiny.v4_json, rope_parameters=rope(500000.0), max_position_embeddings=8192,
         num_attention_heads=4, head_dim=None, **published)
    case("btrm-qwen2-7b-0613", 44, Qwen2Config, lambda c: {**drop(tiny.v4_json(c), "layer_types"), "sliding_window": 131072},
         rope_parameters=rope(1000000.0), max_position_embeddings=32768, use_sliding_window=False, sliding_window=131072,
         max_window_layers=28, hidden_size=28, num_attention_heads=7, head_dim=4, **published)
    case("skywork-v2-llama-3.2-1b", 45, LlamaConfig, tiny.v4_json, rope_parameters={**llama3, "factor": 32.0},
         max_position_embeddings=131072, num_attention_heads=4, tie_word_embeddings=True, eos_token_id=[2, 3], **published)
    case("skywork-v2-qwen3-8b", 46, Qwen3Config, lambda c: {**drop(tiny.v4_json(c), "layer_types"), "sliding_window": None},
         rope_parameters=rope(1000000.0), max_position_embeddings=40960, use_sliding_window=False, sliding_window=None,
         max_window_layers=36, num_attention_heads=4, **published)
