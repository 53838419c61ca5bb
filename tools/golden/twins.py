"""Published reward models as twins: every key of their config.json, with small sizes and random weights.

The values come from model cards, the base models' own config.json and public code that pins them; none of the files was downloaded, so
a key may differ from the file in the Hub. What each twin is there for stands in `why`.
"""

import copy
from dataclasses import dataclass

import torch
from transformers import AutoConfig

import heads
import tiny

LABELS = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
LLAMA3_SCALING = {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
                  "rope_type": "llama3"}


ARMORM = [
    "helpsteer-helpfulness", "helpsteer-correctness", "helpsteer-coherence", "helpsteer-complexity", "helpsteer-verbosity",
    "ultrafeedback-overall_score", "ultrafeedback-instruction_following", "ultrafeedback-truthfulness", "ultrafeedback-honesty",
    "ultrafeedback-helpfulness", "beavertails-is_safe", "prometheus-score", "argilla-overall_quality", "argilla-judge_lm",
    "code-complexity", "code-style", "code-explanation", "code-instruction-following", "code-readability"]


def llama3(**changes):
    return {"_name_or_path": "meta-llama/Meta-Llama-3-8B-Instruct", "architectures": ["LlamaForSequenceClassification"],
            "attention_bias": False, "attention_dropout": 0.0, "bos_token_id": 128000, "eos_token_id": 128009, "hidden_act": "silu",
            "hidden_size": 4096, **LABELS, "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 8192,
            "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
            "pad_token_id": 128256, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 500000.0,
            "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.40.0", "use_cache": True,
            "vocab_size": 128257, **changes}


def llama31(**changes):
    return llama3(**{"_name_or_path": "meta-llama/Llama-3.1-8B-Instruct", "eos_token_id": [128001, 128008, 128009], "head_dim": 128,
                     "max_position_embeddings": 131072, "mlp_bias": False, "pad_token_id": 128004, "rope_scaling": LLAMA3_SCALING,
                     "transformers_version": "4.45.2", "vocab_size": 128256, **changes})


def llama32(**changes):
    return llama31(**{"_name_or_path": "meta-llama/Llama-3.2-1B-Instruct", "rope_scaling": {**LLAMA3_SCALING, "factor": 32.0},
                      "tie_word_embeddings": True, "transformers_version": "4.51.3", **changes})


def mistral(**changes):
    return {"_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2", "architectures": ["MistralForSequenceClassification"],
            "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, **LABELS,
            "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 32768, "model_type": "mistral",
            "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "pad_token_id": 32000, "rms_norm_eps": 1e-05,
            "rope_theta": 1000000.0, "sliding_window": None, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
            "transformers_version": "4.38.2", "use_cache": True, "vocab_size": 32001, **changes}


def qwen2(**changes):
    return {"_name_or_path": "Qwen/Qwen2-7B-Instruct", "architectures": ["Qwen2ForSequenceClassification"], "attention_dropout": 0.0,
            "bos_token_id": 151643, "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 3584, **LABELS,
            "initializer_range": 0.02, "intermediate_size": 18944, "max_position_embeddings": 32768, "max_window_layers": 28,
            "model_type": "qwen2", "num_attention_heads": 28, "num_hidden_layers": 28, "num_key_value_heads": 4,
            "pad_token_id": 151643, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 131072,
            "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.41.2", "use_cache": True,
            "use_sliding_window": False, "vocab_size": 152064, **changes}


def qwen3(**changes):
    return {"architectures": ["Qwen3ForSequenceClassification"], "attention_bias": False, "attention_dropout": 0.0,
            "bos_token_id": 151643, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 4096, **LABELS,
            "initializer_range": 0.02, "intermediate_size": 12288, "max_position_embeddings": 40960, "max_window_layers": 36,
            "model_type": "qwen3", "num_attention_heads": 32, "num_hidden_layers": 36, "num_key_value_heads": 8,
            "pad_token_id": 151654, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000, "sliding_window": None,
            "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": "4.52.4", "use_cache": True,
            "use_sliding_window": False, "vocab_size": 151936, **changes}


def gemma2(**changes):
    return {"_name_or_path": "google/gemma-2-27b-it", "architectures": ["Gemma2ForSequenceClassification"], "attention_bias": False,
            "attention_dropout": 0.0, "attn_logit_softcapping": 50.0, "bos_token_id": 2, "cache_implementation": "hybrid",
            "eos_token_id": 1, "final_logit_softcapping": 30.0, "head_dim": 128, "hidden_act": "gelu_pytorch_tanh",
            "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 4608, **LABELS, "initializer_range": 0.02,
            "intermediate_size": 36864, "max_position_embeddings": 8192, "model_type": "gemma2", "num_attention_heads": 32,
            "num_hidden_layers": 46, "num_key_value_heads": 16, "pad_token_id": 0, "query_pre_attn_scalar": 144,
            "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "sliding_window": 4096, "sliding_window_size": 4096,
            "torch_dtype": "bfloat16", "transformers_version": "4.45.2", "use_cache": True, "vocab_size": 256000, **changes}


def gemma(**changes):
    return {"_name_or_path": "google/gemma-2b-it", "architectures": ["GemmaForSequenceClassification"], "attention_bias": False,
            "attention_dropout": 0.0, "bos_token_id": 2, "eos_token_id": 1, "head_dim": 256, "hidden_act": "gelu",
            "hidden_size": 2048, **LABELS, "initializer_range": 0.02, "intermediate_size": 16384, "max_position_embeddings": 8192,
            "model_type": "gemma", "num_attention_heads": 8, "num_hidden_layers": 18, "num_key_value_heads": 1, "pad_token_id": 0,
            "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 10000.0, "torch_dtype": "bfloat16",
            "transformers_version": "4.38.1", "use_cache": True, "vocab_size": 256000, **changes}


def olmo2(**changes):
    return {"_name_or_path": "allenai/OLMo-2-1124-7B-SFT", "architectures": ["Olmo2ForSequenceClassification"], "attention_bias": False,
            "attention_dropout": 0.0, "eos_token_id": 100257, "hidden_act": "silu", "hidden_size": 4096, **LABELS,
            "initializer_range": 0.02, "intermediate_size": 11008, "max_position_embeddings": 4096, "model_type": "olmo2",
            "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "pad_token_id": 100277, "rms_norm_eps": 1e-06,
            "rope_scaling": None, "rope_theta": 500000, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
            "transformers_version": "4.47.0.dev0", "use_cache": False, "vocab_size": 100352, **changes}


def mixtral(**changes):
    return {"architectures": ["MixtralForSequenceClassification"], "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2,
            "hidden_act": "silu", "hidden_size": 4096, **LABELS, "initializer_range": 0.02, "intermediate_size": 14336,
            "max_position_embeddings": 32768, "model_type": "mixtral", "num_attention_heads": 32, "num_experts_per_tok": 2,
            "num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8, "output_router_logits": False, "rms_norm_eps": 1e-05,
            "rope_theta": 1000000.0, "router_aux_loss_coef": 0.02, "sliding_window": None, "tie_word_embeddings": False,
            "torch_dtype": "bfloat16", "transformers_version": "4.36.0.dev0", "use_cache": True, "vocab_size": 32000, **changes}


def qwen3_moe(**changes):
    return {"architectures": ["Qwen3MoeForSequenceClassification"], "attention_bias": False, "attention_dropout": 0.0,
            "bos_token_id": 151643, "decoder_sparse_step": 1, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu",
            "hidden_size": 2048, **LABELS, "initializer_range": 0.02, "intermediate_size": 6144, "max_position_embeddings": 40960,
            "max_window_layers": 48, "mlp_only_layers": [], "model_type": "qwen3_moe", "moe_intermediate_size": 768, "norm_topk_prob": True,
            "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4,
            "output_router_logits": False, "pad_token_id": 151643, "rms_norm_eps": 1e-06, "rope_scaling": None, "rope_theta": 1000000.0,
            "router_aux_loss_coef": 0.001, "sliding_window": None, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
            "transformers_version": "4.51.0", "use_cache": True, "use_sliding_window": False, "vocab_size": 151936, **changes}


def phi3(**changes):
    return {"_name_or_path": "Phi-3-mini-4k-instruct", "architectures": ["Phi3ForSequenceClassification"], "attention_dropout": 0.0,
            "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config", "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"},
            "bos_token_id": 1, "embd_pdrop": 0.0, "eos_token_id": 32000, "hidden_act": "silu", "hidden_size": 3072, **LABELS,
            "initializer_range": 0.02, "intermediate_size": 8192, "max_position_embeddings": 4096, "model_type": "phi3",
            "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32, "original_max_position_embeddings": 4096,
            "pad_token_id": 32000, "resid_pdrop": 0.0, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 10000.0,
            "sliding_window": 2047, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.40.2",
            "use_cache": True, "attention_bias": False, "vocab_size": 32064, **changes}


def gemma3_wrapper(**changes):
    """google/gemma-3-4b-it: text_config has six settings, the others are defaults of transformers' class."""
    return {"architectures": ["Gemma3ForSequenceClassification"], "boi_token_index": 255999, "eoi_token_index": 256000,
            "eos_token_id": [1, 106], **LABELS, "image_token_index": 262144, "initializer_range": 0.02, "mm_tokens_per_image": 256,
            "model_type": "gemma3", "text_config": {
                "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024},
            "torch_dtype": "bfloat16", "transformers_version": "4.50.0.dev0", "vision_config": {
                "hidden_size": 1152, "image_size": 896, "intermediate_size": 4304, "model_type": "siglip_vision_model",
                "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14, "vision_use_head": False}, **changes}


@dataclass(frozen=True)
class Twin:
    repository: str
    published: dict
    tokenizer: str  # folder of the real tokenizers, see compare_text.py
    template: str   # file of the real templates; "-bos": without the BOS it writes
    why: str

    @property
    def in_repository(self):
        """Whether a small vocabulary can hold it: a gating network looks for ids of its tokenizer (the fixture `armorm` has its own), and
        a wrapper does not name its vocabulary."""
        return "gating_n_hidden" not in self.published and "text_config" not in self.published

    @property
    def folder(self):
        return self.repository.split("/")[1].lower().replace("_", "-").replace("skywork-reward-", "skywork-")


TWINS = [
    Twin("Skywork/Skywork-Reward-Llama-3.1-8B-v0.2", llama31(eos_token_id=128009), "llama-3.2",
         "meta-llama-Llama-3.1-8B-Instruct -bos", "the tokenizer writes BOS, the template does not; llama3 rope"),
    Twin("sfairXC/FsfairX-LLaMA3-RM-v0.1", llama3(eos_token_id=128001), "llama-3", "trl-llama3",
         "pad is a token added after the vocabulary; no head_dim, no mlp_bias"),
    Twin("weqweasdas/RM-Mistral-7B", mistral(), "mistral-7b-v0.2", "mistralai-Mistral-7B-Instruct-v0.2",
         "window null; odd vocabulary; the template refuses system messages"),
    Twin("Ray2333/GRM-llama3-8B-distill", llama3(), "llama-3", "meta-llama-Meta-Llama-3-8B-Instruct",
         "a plain linear head although a GRM; the template always ends with an assistant header"),
    Twin("CIR-AMS/BTRM_Qwen2_7b_0613", qwen2(), "qwen2", "community-qwen2.5-instruct",
         "28 heads of 4; a window that is switched off; pad is Qwen's end of text"),
    Twin("Skywork/Skywork-Reward-V2-Llama-3.2-1B", llama32(head_dim=64, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16),
         "llama-3.2", "meta-llama-Llama-3.2-3B-Instruct", "tied embedding; rope factor 32; several end tokens"),
    Twin("Skywork/Skywork-Reward-V2-Llama-3.2-3B", llama32(
        _name_or_path="meta-llama/Llama-3.2-3B-Instruct", hidden_size=3072, intermediate_size=8192, num_attention_heads=24,
        num_hidden_layers=28), "llama-3.2", "meta-llama-Llama-3.2-3B-Instruct", "24 heads of 8"),
    Twin("Skywork/Skywork-Reward-V2-Llama-3.1-8B", llama31(pad_token_id=128009, transformers_version="4.51.3"), "llama-3.2",
         "meta-llama-Llama-3.1-8B-Instruct", "template and tokenizer write BOS both; pad is the closing token"),
    Twin("Skywork/Skywork-Reward-V2-Qwen3-0.6B", qwen3(hidden_size=1024, intermediate_size=3072, max_window_layers=28,
         num_attention_heads=16, num_hidden_layers=28), "qwen2.5", "community-chatml", "heads wider than the model; tied embedding"),
    Twin("Skywork/Skywork-Reward-V2-Qwen3-1.7B", qwen3(hidden_size=2048, intermediate_size=6144, max_window_layers=28,
         num_attention_heads=16, num_hidden_layers=28), "qwen2.5", "community-chatml", "as 0.6B, heads as wide as the model"),
    Twin("Skywork/Skywork-Reward-V2-Qwen3-4B", qwen3(hidden_size=2560, intermediate_size=9728), "qwen2.5", "community-chatml",
         "32 heads of 8, wider than the model"),
    Twin("Skywork/Skywork-Reward-V2-Qwen3-8B", qwen3(tie_word_embeddings=False, pad_token_id=None), "qwen2.5", "community-chatml",
         "embedding of its own; here without a pad token"),
    Twin("Skywork/Skywork-Reward-Gemma-2-27B-v0.2", gemma2(), "gemma-2", "google-gemma-2-2b-it",
         "attention scaled by 144 although heads are 128 wide; soft caps; unused config keys"),
    Twin("weqweasdas/RM-Gemma-2B", gemma(), "gemma-2", "google-gemma-2-2b-it", "exact gelu, as early configs say; one key/value head"),
    Twin("weqweasdas/RM-Gemma-7B", gemma(
        _name_or_path="google/gemma-7b-it", hidden_act="gelu_pytorch_tanh", hidden_activation=None, hidden_size=3072,
        intermediate_size=24576, num_attention_heads=16, num_hidden_layers=28, num_key_value_heads=16), "gemma-2",
         "google-gemma-2-2b-it", "gelu by tanh; heads wider than the model"),
    Twin("Ray2333/GRM-llama3-8B-sftreg", llama3(
        architectures=["LlamaForCausalLM"], vhead_layer_type="mlp", vhead_num_neurons=1024, vhead_num_layers=1), "llama-3",
         "trl-llama3", "GRM's value head beside a causal LM; the last token is pooled"),
    Twin("infly/INF-ORM-Llama3.1-70B", llama31(
        architectures=["INFORMForSequenceClassification"], hidden_size=8192, intermediate_size=28672, num_attention_heads=64,
        num_hidden_layers=80, pad_token_id=128009), "llama-3.2", "meta-llama-Llama-3.1-8B-Instruct", "two layers; pad closes a turn"),
    Twin("Qwen/Qwen2.5-Math-RM-72B", qwen2(
        architectures=["Qwen2ForRewardModel"], hidden_size=8192, intermediate_size=29568, max_position_embeddings=4096,
        max_window_layers=80, num_attention_heads=64, num_hidden_layers=80, num_key_value_heads=8, rms_norm_eps=1e-05, rope_theta=10000.0,
        auto_map={"AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig", "AutoModel": "modeling_qwen2_rm.Qwen2ForRewardModel"}),
         "qwen2.5", "Qwen-Qwen2.5-7B-Instruct", "two layers of its own code"),
    Twin("openbmb/Eurus-RM-7b", mistral(
        architectures=["EurusRewardModel"], auto_map={"AutoModel": "modeling_eurus_rm.EurusRewardModel"}, pad_token_id=None,
        rope_theta=10000.0, sliding_window=4096, vocab_size=32000), "mistral-7b-v0.2", "community-mistral-instruct",
         "regression_head; a window of 4096"),
    Twin("openbmb/UltraRM-13b", {
        "architectures": ["LlamaRewardModel"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 5120,
        "initializer_range": 0.02, "intermediate_size": 13824, "max_position_embeddings": 4096, "model_type": "llama",
        "num_attention_heads": 40, "num_hidden_layers": 40, "num_key_value_heads": 40, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
        "rope_scaling": None, "tie_word_embeddings": False, "torch_dtype": "bfloat16", "transformers_version": "4.31.0",
        "use_cache": True, "vocab_size": 32000}, "llama-2", "community-vicuna", "regression_head; no rope_theta, no pad token"),
    Twin("RLHFlow/ArmoRM-Llama3-8B-v0.1", llama3(
        architectures=["LlamaForRewardModelWithGating"], auto_map={
            "AutoModelForSequenceClassification": "modeling_custom.LlamaForRewardModelWithGating"},
        gating_hidden_dim=1024, gating_n_hidden=3, gating_temperature=10, num_objectives=19,
        id2label={str(i): name for i, name in enumerate(ARMORM)}, label2id={name: i for i, name in enumerate(ARMORM)}), "llama-3",
         "trl-llama3", "19 objectives mixed by a gating network that reads at the assistant's header"),
    Twin("allenai/OLMo-2-1124-7B-RM", olmo2(), "mistral-7b-v0.2", "community-zephyr",
         "norms after attention and MLP alone; one norm over all heads of q and of k; no BOS"),
    Twin("mistralai/Mixtral-8x7B-Instruct-v0.1", mixtral(), "mistral-7b-v0.2", "mistralai-Mistral-7B-Instruct-v0.2",
         "a linear head on the base; 2 of 8 experts; no pad token"),
    Twin("Qwen/Qwen3-30B-A3B", qwen3_moe(), "qwen2.5", "community-chatml", "a linear head on the base; 8 experts per token; heads wider "
         "than the model"),
    Twin("microsoft/Phi-3-mini-4k-instruct", phi3(), "llama-2", "community-zephyr",
         "a linear head on the base; fused projections; auto_map with code that transformers has too"),
    Twin("google/gemma-3-4b-it", gemma3_wrapper(), "gemma-2", "google-gemma-2-2b-it",
         "a linear head on the base; the text side of a multimodal wrapper, most settings by default"),
]


def special_ids(published):
    """Ids that the config names, in ascending order."""
    ids = set()
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        value = published.get(key)
        ids.update(value if isinstance(value, list) else [] if value is None else [value])
    return sorted(ids)


def shrink(published, head_dim, vocab_size=None):
    """The same keys with small sizes: heads keep their sharing, widths their proportions. A small `vocab_size` takes the ids that the
    config names to its end; without one the vocabulary stays."""
    if "text_config" in published:
        defaults = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256}
        vision = {"hidden_size": 8, "image_size": 28, "intermediate_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1}
        return {**published, "text_config": shrink({**defaults, **published["text_config"]}, head_dim),
                "vision_config": {**published["vision_config"], **vision}}
    config = copy.deepcopy(published)
    heads_, kv_heads = config["num_attention_heads"], config.get("num_key_value_heads", config["num_attention_heads"])
    own_width = config.get("head_dim", config["hidden_size"] // heads_)
    kv = 1 if heads_ > kv_heads else 2
    heads_small = kv * heads_ // kv_heads
    width = head_dim * heads_small * config["hidden_size"] // (own_width * heads_)
    changes = {"hidden_size": width, "intermediate_size": 24 if vocab_size else 3 * width, "num_attention_heads": heads_small,
               "num_hidden_layers": 2, "num_key_value_heads": kv, "head_dim": head_dim, "vocab_size": vocab_size,
               "vhead_num_neurons": 12, "gating_hidden_dim": 12, "moe_intermediate_size": 16, "num_experts": 16}
    if "query_pre_attn_scalar" in config:
        changes["query_pre_attn_scalar"] = config["query_pre_attn_scalar"] * head_dim // own_width
    config.update({key: value for key, value in changes.items() if key in config and value is not None})
    if vocab_size:
        ids = special_ids(published)
        small = {id: vocab_size - len(ids) + i for i, id in enumerate(ids)}
        for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
            value = config.get(key)
            if value is not None:
                config[key] = [small[id] for id in value] if isinstance(value, list) else small[value]
    return config


def write(twin, folder, seed, head_dim=8, vocab_size=None):
    """config.json and weights, stored in the published type; returns the config as transformers reads it."""
    value = shrink(twin.published, head_dim, vocab_size)
    config = AutoConfig.for_model(value["model_type"], **{k: v for k, v in value.items() if k != "model_type"})
    weights = tiny.seeded_weights(config, seed)
    if heads.is_own(config):
        weights = heads.own_weights(weights, value, config, seed)
    dtype = getattr(torch, value["torch_dtype"])
    tiny.write_model(folder, value, {name: tensor.to(dtype) for name, tensor in weights.items()})
    return config
