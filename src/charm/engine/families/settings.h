#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "charm/kernels/kernels.h"

// Reads and rejects config.json settings that several families share.
namespace charm::engine {

class ConfigReader;
struct DecoderConfig;
struct ExpertConfig;
using Activation = kernels::GateFunction;

/// Rejects settings of other families that change the forward pass. transformers silently ignores
/// them; a config.json with one is mislabelled, so its scores cannot be trusted. Fails for each
/// that is set and not in `own`.
void refuse_foreign_settings(const ConfigReader& reader,
                             std::initializer_list<std::string_view> own);

/// Fails for each absent key: transformers would default to a published model's value.
void require_settings(const ConfigReader& reader, std::initializer_list<std::string_view> keys);

/// The activation of the gated MLP under `key`, by transformers' names (ACT2FN); `usual` where it
/// is absent. Fails for those without a kernel.
Activation read_gate(const ConfigReader& reader, std::string_view key, std::string_view usual);

/// The same, under `hidden_act` and usually silu.
Activation read_hidden_act(const ConfigReader& reader);

/// `sliding_window`: absent means `fallback`, null means none (0).
std::int64_t read_window(const ConfigReader& reader, std::int64_t fallback);

/// Fills `config.windows` from `layer_types`; empty `layer_types` leaves them as they are. Fails
/// for a wrong length, other kinds of layers, and sliding-window layers without a window.
void read_layer_types(const ConfigReader& reader, std::int64_t window, DecoderConfig& config);

/// Qwen's three settings: `use_sliding_window`, and from layer `max_window_layers` on; or
/// `layer_types`.
void read_qwen_windows(const ConfigReader& reader, DecoderConfig& config);

/// A mixture of experts of this MLP width whose weights sum to 1: the number of experts under
/// `count_key`, and `num_experts_per_tok`.
ExpertConfig read_experts(const ConfigReader& reader, std::string_view count_key,
                          std::int64_t width);

/// Settings common to the Gemma families: scaled embedding, 1 + weight norms, GeGLU,
/// query_pre_attn_scalar.
void read_gemma(const ConfigReader& reader, DecoderConfig& config);

}  // namespace charm::engine
