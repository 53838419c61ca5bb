"""The fixtures of families other than plain Llama, of further heads, and small twins of published reward models."""

import torch
from transformers import (Gemma2Config, Gemma3Config, Gemma3TextConfig, Gemma4Config, Gemma4TextConfig, GemmaConfig, LlamaConfig, MistralConfig, MixtralConfig, Olmo2Config,
                          Olmo3Config, Phi3Config, Qwen2_5_VLConfig, Qwen2Config, Qwen2VLConfig, Qwen3_5Config, Qwen3_5TextConfig, Qwen3Config,
                          Qwen3MoeConfig, Qwen3VLConfig)

import heads
import model_rows as golden
import tiny
import twins

SHAPES = [(7, [1, 5]), (20, [3, 30]), (0, [9])]
SMALL = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=1, head_dim=8)


def identity(path):
    """A patch that takes the modules of this name out of every layer."""
    def patch(model):
        for layer in model.model.layers:
            if path.startswith("self_attn.") and not hasattr(layer, "self_attn"):
                continue  # of linear attention
            parent, name = (layer.self_attn, path[10:]) if path.startswith("self_attn.") else (layer, path)
            setattr(parent, name, torch.nn.Identity())
    return patch


def in_linear_attention(change):
    """A patch that changes the gated delta net of every layer that has one."""
    def patch(model):
        with torch.no_grad():
            for layer in model.model.layers:
                if hasattr(layer, "linear_attn"):
                    change(layer.linear_attn)
    return patch


def in_layers(change):
    def patch(model):
        with torch.no_grad():
            for layer in model.model.layers:
                change(layer)
    return patch


def last_tap_only(net):
    net.conv1d.weight.zero_()
    net.conv1d.weight[:, :, -1] = 1.0


def no_output_gate(model):
    """All gates of attention's output at one half: the second half of each head's rows of q_proj makes them."""
    with torch.no_grad():
        for layer in model.model.layers:
            if hasattr(layer, "self_attn"):
                for tensor in layer.self_attn.q_proj.parameters():
                    heads = tensor.view(-1, 2, layer.self_attn.head_dim, *tensor.shape[1:])
                    heads[:, 1] = 0.0


def no_biases(model):
    for layer in model.model.layers:
        for linear in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj):
            torch.nn.init.zeros_(linear.bias)


def same_experts(model):
    """The first expert in place of each other one."""
    for layer in model.model.layers:
        if hasattr(layer.mlp, "experts"):
            for stacked in layer.mlp.experts.parameters():
                stacked.data[:] = stacked.data[:1]


def newer_name(name):
    """A wrapper's tensor in the files of transformers 4.52 to 4.57."""
    if name.startswith("language_model.model."):
        return "model.language_model." + name.removeprefix("language_model.model.")
    if name.startswith("model."):
        return "model.language_model." + name.removeprefix("model.")
    return name if name == "score.weight" else "model." + name


def no_embedding_scale(model):
    model.model.embed_tokens.embed_scale.fill_(1.0)


GATE = [36, 37, 38, 39, 5]  # where the gating network of the fixture reads


def gated_rows(seed):
    """Rows with the gate at the end of a shared prompt, across the border, in the response, twice, at the start, and with pads behind."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda n: torch.randint(6, 36, (n,), generator=generator).tolist()
    prompt = [1, *draw(8), *GATE, 4]
    rows = [(prompt + draw(n), len(prompt)) for n in (1, 6, 20)]
    prompt = [1, *draw(30)]
    rows += [(prompt + GATE + draw(n), len(prompt) + 2) for n in (2, 9)]
    rows += [(prompt + draw(4) + GATE + draw(7), len(prompt)), (prompt + GATE + draw(12) + GATE, len(prompt))]
    rows += [(GATE + draw(5), 0), (draw(3) + GATE + draw(2), 0), (prompt + GATE + [0, 0], len(prompt))]
    return rows


def drop(value, *keys):
    return {k: v for k, v in value.items() if k not in keys}


def phi3_spelling(value):
    """The original length beside the rope settings, as Phi-3's configs have it."""
    scaling = dict(value["rope_scaling"])
    return {**value, "original_max_position_embeddings": scaling.pop("original_max_position_embeddings"), "rope_scaling": scaling}


def write(root):
    def case(name, seed, config_class, to_json=tiny.v5_json, own_head=False, layers=True, gradients=True, rows_of=None, make_model=None,
             rename=lambda name: name, layers_by_error=False, **changes):
        config = tiny.tiny_config(config_class, **{**SMALL, **changes})
        value = to_json(config)
        weights = tiny.seeded_weights(config, seed, model=make_model and make_model(config))
        weights = {rename(name): tensor for name, tensor in weights.items()}
        if own_head:
            weights = heads.own_weights(weights, value, config, seed)
        tiny.write_model(root / name, value, weights)
        rows_of = rows_of or (lambda seed: golden.token_rows(config, seed, shapes=SHAPES))
        rows, more = rows_of(seed), [row for n in range(1, 9) for row in rows_of(seed + 1000 * n)]
        scores = golden.describe(root / name, rows, layer_rows=(1, 2) if layers else (), gradients=gradients, more_rows=more,
                                 layers_by_error=layers_by_error)
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

    # Rows that end with the pad token: the pooled token is an earlier one, and the frequencies are those of the whole row.
    closed = lambda seed: [(ids + pads * [0], length) for (ids, length), pads in zip(
        golden.token_rows(tiny.tiny_config(LlamaConfig, **SMALL), seed, shapes=SHAPES), [1, 3, 2, 1, 5])]
    case("dynamic-rope-closed", 24, LlamaConfig, rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
         max_position_embeddings=16, rows_of=closed, gradients=False)

    # Activations that no family has by default.
    for number, activation in enumerate(["gelu_new", "quick_gelu", "relu", "relu2"]):
        case(activation.replace("_", "-"), 25 + number, LlamaConfig, hidden_act=activation)

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

    # Qwen3.5: scored, not trained.
    hybrid = dict(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=6, linear_value_head_dim=10, num_hidden_layers=3,
                  gradients=False, layers_by_error=True)
    types = ["linear_attention", "full_attention", "linear_attention"]
    made = case("qwen3.5", 80, Qwen3_5TextConfig, **hybrid, attention_bias=True, layer_types=types, rope_parameters={
        **rope(10000.0), "partial_rotary_factor": 0.5, "mrope_section": [1, 1, 0], "mrope_interleaved": True})
    golden.must_matter(*made, rope_parameters={**rope(10000.0), "partial_rotary_factor": 1.0})
    golden.must_matter(*made, patch=identity("self_attn.q_norm"))
    golden.must_matter(*made, patch=identity("self_attn.k_norm"))
    golden.must_matter(*made, patch=identity("post_attention_layernorm"))
    golden.must_matter(*made, patch=no_output_gate)
    golden.must_matter(*made, patch=in_linear_attention(last_tap_only))
    golden.must_matter(*made, patch=in_linear_attention(lambda net: net.A_log.fill_(-20.0)))  # no decay
    for name in ("in_proj_a.weight", "in_proj_b.weight", "in_proj_z.weight", "dt_bias"):
        golden.must_matter(*made, patch=in_linear_attention(lambda net, name=name: net.get_parameter(name).zero_()))
    golden.must_matter(*made, patch=in_linear_attention(lambda net: net.norm.weight.fill_(1.0)))
    # As published configs are spelled: layers by interval, settings that transformers does not know. Heads of other sizes.
    case("qwen3.5-v4", 81, Qwen3_5TextConfig, **{**hybrid, "linear_num_key_heads": 3, "linear_num_value_heads": 3, "linear_key_head_dim": 12,
                                                 "linear_value_head_dim": 4, "num_hidden_layers": 4}, linear_conv_kernel_dim=3, rms_norm_eps=1e-6,
         rope_parameters={**rope(10000.0), "partial_rotary_factor": 0.25}, to_json=lambda c: {
             **drop(tiny.v4_json(c), "layer_types", "rms_norm_eps", "rope_theta"), "full_attention_interval": 3, "attn_output_gate": True,
             "mamba_ssm_dtype": "float32", "mlp_only_layers": [], "mtp_num_hidden_layers": 1, "rope_scaling": None},
         layer_types=["linear_attention", "linear_attention", "full_attention", "linear_attention"])
    qwen35_vision = dict(depth=1, hidden_size=8, intermediate_size=8, num_heads=1, out_hidden_size=16, num_position_embeddings=4)
    case("qwen3.5-wrapper", 82, lambda num_labels, **text: Qwen3_5Config(text_config=text, vision_config=qwen35_vision, num_labels=num_labels),
         **hybrid, layer_types=types, rope_parameters={**rope(10000000.0), "partial_rotary_factor": 0.25, "mrope_section": [1, 0, 0],
                                                       "mrope_interleaved": True})

    # Gemma.
    made = case("gemma", 56, GemmaConfig, head_dim=12, tie_word_embeddings=True)
    golden.must_matter(*made, patch=no_embedding_scale)
    golden.must_matter(*made, hidden_act="silu")
    golden.must_matter(*made, patch=identity("post_attention_layernorm"))
    # The two gelus differ by 5e-4 at most, which the hidden states show and the scores do not.
    case("gemma-v4", 57, GemmaConfig, num_key_value_heads=2, hidden_act="gelu", attention_bias=True,
         to_json=lambda c: {**tiny.v4_json(c), "hidden_activation": None})
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

    # Gemma-4, of which transformers has no classifier. Every layer kind twice, the last two with the K and V of others.
    kinds = ["sliding_attention", "full_attention"] * 3
    gemma4 = dict(num_hidden_layers=6, num_key_value_heads=2, sliding_window=6, gradients=False, layers_by_error=True,
                  make_model=heads.TextTrunk.of_config)
    gemma4_json = lambda c: tiny.v5_json(c, architectures=["Gemma4TextForSequenceClassification"])
    ropes = {"sliding_attention": rope(100.0), "full_attention": {"rope_type": "proportional", "rope_theta": 10000.0,
                                                                  "partial_rotary_factor": 0.5}}
    made = case("gemma4", 83, Gemma4TextConfig, **gemma4, to_json=gemma4_json, layer_types=kinds, rope_parameters=ropes, global_head_dim=12,
                num_global_key_value_heads=1, attention_k_eq_v=True, num_kv_shared_layers=2, use_double_wide_mlp=True,
                hidden_size_per_layer_input=6, vocab_size_per_layer_input=40)
    golden.must_matter(*made, sliding_window=8)
    golden.must_matter(*made, rope_parameters={**ropes, "full_attention": {**ropes["full_attention"], "partial_rotary_factor": 1.0}})
    golden.must_matter(*made, rope_parameters={**ropes, "sliding_attention": rope(10000.0)})
    for norm in ("self_attn.q_norm", "self_attn.k_norm", "self_attn.v_norm", "post_attention_layernorm", "post_feedforward_layernorm"):
        golden.must_matter(*made, patch=identity(norm))
    golden.must_matter(*made, patch=no_embedding_scale)
    golden.must_matter(*made, patch=in_layers(lambda layer: layer.layer_scalar.fill_(1.0)))
    golden.must_matter(*made, patch=in_layers(lambda layer: layer.per_layer_input_gate.weight.zero_()))
    golden.must_matter(*made, patch=lambda model: model.model.embed_tokens_per_layer.embed_scale.fill_(1.0))
    golden.must_matter(*made, patch=lambda model: model.model.per_layer_model_projection.weight.data.zero_())
    # As published: sizes of the layers without a window by their own keys, kinds and RoPE by default, neither shared K and V nor per-layer
    # embeddings.
    case("gemma4-v4", 84, Gemma4TextConfig, **gemma4, global_head_dim=16, hidden_size_per_layer_input=0, attention_bias=True,
         final_logit_softcapping=30.0, to_json=lambda c: {**drop(gemma4_json(c), "per_layer_config", "layer_types", "rope_parameters", "head_dim"),
                                                          "head_dim": 8, "num_key_value_heads": 2, "global_head_dim": 16,
                                                          "num_global_key_value_heads": 1, "use_bidirectional_attention": "vision"})
    case("gemma4-wrapper", 85, lambda num_labels, **text: Gemma4Config(text_config=text, num_labels=num_labels), **gemma4,
         to_json=lambda c: tiny.v5_json(c, architectures=["Gemma4ForSequenceClassification"]), layer_types=kinds, rope_parameters=ropes,
         global_head_dim=8, num_kv_shared_layers=3, hidden_size_per_layer_input=4, vocab_size_per_layer_input=40)

    # OLMo.
    made = case("olmo2", 60, Olmo2Config, rope_parameters=rope(500000.0))
    for norm in ("self_attn.q_norm", "self_attn.k_norm", "post_attention_layernorm", "post_feedforward_layernorm"):
        golden.must_matter(*made, patch=identity(norm))
    case("olmo2-v4", 61, Olmo2Config, num_key_value_heads=2, attention_bias=True, rope_parameters=rope(10000.0),
         to_json=lambda c: drop(tiny.v4_json(c), "rms_norm_eps", "head_dim"))
    olmo_yarn = {"rope_type": "yarn", "rope_theta": 500000.0, "factor": 8.0, "original_max_position_embeddings": 32,
                 "attention_factor": 1.2079441541679836, "beta_fast": 32.0, "beta_slow": 1.0}
    made = case("olmo3", 62, Olmo3Config, sliding_window=6, num_hidden_layers=3,
                layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                rope_parameters={"sliding_attention": rope(100.0), "full_attention": {**olmo_yarn, "rope_theta": 10000.0}})
    golden.must_matter(*made, layer_types=["full_attention"] * 3)
    golden.must_matter(*made, layer_types=["sliding_attention"] * 3)
    golden.must_matter(*made, rope_parameters={"sliding_attention": rope(10000.0), "full_attention": {**olmo_yarn, "rope_theta": 10000.0}})
    golden.must_matter(*made, rope_parameters={"sliding_attention": rope(100.0), "full_attention": rope(10000.0)})

    def olmo3_v4(config):
        value = drop(tiny.v5_json(config), "layer_types", "rope_parameters", "dtype", "head_dim")
        return {**value, "torch_dtype": "float32", "rope_theta": 500000.0, "rope_scaling": drop(olmo_yarn, "rope_theta")}
    case("olmo3-v4", 63, Olmo3Config, sliding_window=6, num_hidden_layers=4, layers=False, to_json=olmo3_v4,
         rope_parameters={"sliding_attention": rope(500000.0), "full_attention": olmo_yarn})

    # Mixtures of experts.
    made = case("mixtral", 64, MixtralConfig, num_local_experts=5, num_experts_per_tok=2, sliding_window=6)
    golden.must_matter(*made, num_experts_per_tok=1)
    golden.must_matter(*made, num_experts_per_tok=3)
    golden.must_matter(*made, patch=same_experts)
    golden.must_matter(*made, sliding_window=None)
    case("mixtral-v4", 65, MixtralConfig, num_local_experts=3, num_experts_per_tok=3, rope_parameters=rope(1000000.0), layers=False,
         to_json=lambda c: {**drop(tiny.v4_json(c), "rope_theta", "rms_norm_eps", "head_dim"), "num_local_experts": 3,
                            "output_router_logits": False, "router_aux_loss_coef": 0.02, "sliding_window": None})
    made = case("qwen3-moe", 66, Qwen3MoeConfig, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=12, norm_topk_prob=True,
                num_hidden_layers=3, mlp_only_layers=[1], attention_bias=True)
    golden.must_matter(*made, norm_topk_prob=False)
    golden.must_matter(*made, num_experts_per_tok=3)
    golden.must_matter(*made, patch=same_experts)
    golden.must_matter(*made, patch=identity("self_attn.q_norm"))
    case("qwen3-moe-v4", 67, Qwen3MoeConfig, num_experts=4, num_experts_per_tok=3, moe_intermediate_size=20, norm_topk_prob=False,
         num_hidden_layers=3, decoder_sparse_step=2, use_sliding_window=True, sliding_window=6, head_dim=12,
         to_json=lambda c: {**tiny.v4_json(c), "num_experts": 4, "max_window_layers": 1}, layers=False)

    # Phi-3: long and short rows, as above.
    made = case("phi3", 68, Phi3Config, rope_parameters=longrope, original_max_position_embeddings=16, max_position_embeddings=128,
                sliding_window=24)
    golden.must_matter(*made, rope_parameters={**longrope, "long_factor": longrope["short_factor"]})
    golden.must_matter(*made, rope_parameters={**longrope, "short_factor": longrope["long_factor"]})
    golden.must_matter(*made, sliding_window=None)
    case("phi3-v4", 69, Phi3Config, rope_parameters=longrope, original_max_position_embeddings=16, max_position_embeddings=64, layers=False,
         to_json=lambda c: {**drop(phi3_spelling(tiny.v4_json(c)), "rms_norm_eps"), "rope_scaling": {
             "type": "su", **drop(longrope, "rope_type", "rope_theta")}})

    partial = {**longrope, "short_factor": [1.0, 1.5, 2.0], "long_factor": [1.5, 4.0, 9.0], "partial_rotary_factor": 0.75}
    made = case("phi4-mini", 74, Phi3Config, rope_parameters=partial, original_max_position_embeddings=16, max_position_embeddings=128,
                tie_word_embeddings=True, to_json=lambda c: {**drop(phi3_spelling(tiny.v4_json(c))), "partial_rotary_factor": 0.75})
    golden.must_matter(*made, rope_parameters={**longrope, "partial_rotary_factor": 1.0})

    # Text sides of multimodal wrappers: names in the files as transformers 5.17 and before 4.52 writes them, and as those between do.
    siglip = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=28, patch_size=14)
    gemma3_wrapper = lambda num_labels, **text: Gemma3Config(text_config=text, vision_config=siglip, num_labels=num_labels,
                                                             mm_tokens_per_image=4)
    case("gemma3-wrapper", 70, gemma3_wrapper, query_pre_attn_scalar=3, sliding_window=6, rope_parameters=gemma3,
         layer_types=["sliding_attention", "full_attention"])

    def minimal_gemma3(config):
        text = drop(config.text_config.to_dict(), "num_attention_heads", "num_key_value_heads", "query_pre_attn_scalar", "pad_token_id",
                    "eos_token_id", "bos_token_id", "rms_norm_eps", "layer_types", "rope_parameters", "tie_word_embeddings", "dtype")
        text = {key: value for key, value in text.items() if value is not None}
        return {**drop(tiny.v5_json(config), "dtype"), "torch_dtype": "float32", "eos_token_id": [1, 3],
                "text_config": {**text, "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window_pattern": 2}}
    case("gemma3-wrapper-v4", 71, gemma3_wrapper, num_attention_heads=8, num_key_value_heads=4, head_dim=4, query_pre_attn_scalar=256,
         rms_norm_eps=1e-6, sliding_window=6, to_json=minimal_gemma3, rename=newer_name,
         rope_parameters={"sliding_attention": rope(10000.0), "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0}},
         layer_types=["sliding_attention", "full_attention"])
    qwen_vision = dict(depth=1, hidden_size=8, intermediate_size=8, num_heads=1, out_hidden_size=16)
    qwen_vl = lambda num_labels, **text: Qwen2_5_VLConfig(text_config=text, vision_config=qwen_vision, num_labels=num_labels)
    qwen_vl_json = lambda c, name="Qwen2_5_VL": {**tiny.v5_json(c), "architectures": [name + "ForSequenceClassification"]}
    case("qwen2.5-vl", 72, qwen_vl, rope_parameters={**rope(10000.0), "mrope_section": [1, 1, 2]}, to_json=qwen_vl_json, rename=newer_name,
         make_model=heads.TextTrunk.of_config)

    def flat_qwen_vl(config, name="Qwen2_5_VL"):
        value = qwen_vl_json(config, name)
        text = drop(value.pop("text_config"), "model_type", "layer_types", "rope_parameters", "head_dim", "num_key_value_heads")
        return {**text, **drop(value, "dtype"), "torch_dtype": "float32", "rope_theta": 1000000.0, "num_key_value_heads": 1,
                "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]}}
    case("qwen2.5-vl-v4", 73, qwen_vl, rope_parameters={**rope(1000000.0), "mrope_section": [1, 1, 2]}, to_json=flat_qwen_vl,
         make_model=heads.TextTrunk.of_config)

    case("qwen2-vl", 75, lambda num_labels, **text: Qwen2VLConfig(text_config=text, num_labels=num_labels, vision_config=dict(
        depth=1, embed_dim=8, hidden_size=16, num_heads=1)), rope_parameters={**rope(1000000.0), "mrope_section": [1, 1, 2]},
         to_json=lambda c: flat_qwen_vl(c, "Qwen2VL"), make_model=heads.TextTrunk.of_config)
    case("qwen3-vl", 76, lambda num_labels, **text: Qwen3VLConfig(text_config=text, num_labels=num_labels, vision_config=dict(
        depth=1, hidden_size=8, intermediate_size=8, num_heads=1, out_hidden_size=16, num_position_embeddings=4,
        deepstack_visual_indexes=[])), rope_parameters={**rope(5000000.0), "mrope_section": [2, 1, 1], "mrope_interleaved": True},
         to_json=lambda c: qwen_vl_json(c, "Qwen3VL"), make_model=heads.TextTrunk.of_config)

    # Heads.
    case("inf-orm", 32, LlamaConfig, own_head=True, layers=False, rope_parameters=rope(500000.0),
         to_json=lambda c: tiny.v5_json(c, architectures=["INFORMForSequenceClassification"]))
    grm = lambda c: drop(tiny.v5_json(c, architectures=["LlamaForCausalLM"], vhead_layer_type="mlp", vhead_num_layers=2,
                                      vhead_num_neurons=12), "id2label", "label2id", "num_labels")
    case("grm", 33, LlamaConfig, own_head=True, layers=False, to_json=grm)
    case("grm-linear", 34, Gemma2Config, own_head=True, layers=False, to_json=lambda c: {
        **grm(c), "architectures": ["GRewardModel"], "vhead_layer_type": "linear",
        "auto_map": {"AutoModelForSequenceClassification": "modeling_grm.GRewardModel"}})

    for number, name in enumerate(("EurusRewardModel", "LlamaRewardModel")):
        case(f"regression-head-{'mistral' if number == 0 else 'llama'}", 52 + number, (MistralConfig, LlamaConfig)[number], own_head=True,
             layers=False, to_json=lambda c: drop(tiny.v5_json(c, architectures=[name]), "id2label", "label2id", "num_labels"))
    case("qwen2-reward-model", 54, Qwen2Config, own_head=True, layers=False,
         to_json=lambda c: tiny.v5_json(c, architectures=["Qwen2ForRewardModel"]))
    case("armorm", 55, LlamaConfig, own_head=True, layers=False, gradients=False, rows_of=gated_rows, num_objectives=5, gating_n_hidden=2,
         gating_hidden_dim=12, gating_temperature=2, gating_token_pattern=GATE, to_json=lambda c: tiny.v5_json(
             c, architectures=["LlamaForRewardModelWithGating"], id2label={str(i): f"objective-{i}" for i in range(5)},
             label2id={f"objective-{i}": i for i in range(5)}))

    # Reward models of the CHARM paper and others that people use: every key of their config.json.
    for number, twin in enumerate(twins.TWINS):
        if not twin.in_repository:
            continue
        seed = 100 + number
        config = twins.write(twin, root / twin.folder, seed, vocab_size=40)
        rows = golden.token_rows(config, seed, shapes=SHAPES, pad_cases=config.pad_token_id is not None)
        more = [row for n in range(1, 9) for row in golden.token_rows(config, seed + 1000 * n, shapes=SHAPES)]
        golden.describe(root / twin.folder, rows, layer_rows=(), more_rows=more)
