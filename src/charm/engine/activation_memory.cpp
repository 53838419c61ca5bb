#include "charm/engine/activation_memory.h"

#include "charm/base/error.h"

namespace charm::engine {

ActivationBytes activation_bytes(const DecoderConfig& config, std::int64_t tokens,
                                 std::size_t element_bytes) {
  // As SavedActivations; norms after attention and MLP, and QK-norm, keep what they normalise.
  const auto width = static_cast<double>(config.hidden_size);
  const auto q = static_cast<double>(config.num_heads * config.head_dim);
  const auto kv = static_cast<double>(config.num_kv_heads * config.head_dim);
  const auto mlp = config.experts ? 0.0 : static_cast<double>(config.intermediate_size);
  const auto bytes = static_cast<double>(element_bytes) * static_cast<double>(tokens);
  const double log_sum_exp = 4.0 * static_cast<double>(config.num_heads * tokens);
  return {.input = bytes * width,
          .attention = bytes * (3 * q + 3 * kv + 2 * width) + log_sum_exp,
          .mlp = bytes * (2 * mlp + width)};
}

std::vector<Stored> plan_activations(const DecoderConfig& config, std::int64_t first_block,
                                     std::int64_t tokens, std::size_t element_bytes,
                                     double limit_bytes) {
  const ActivationBytes block = activation_bytes(config, tokens, element_bytes);
  const std::int64_t last = config.num_layers - 1;
  std::vector<Stored> stored(static_cast<std::size_t>(config.num_layers), Stored::kInput);
  stored.back() = Stored::kAll;  // of few rows beside its keys and values
  // The last block's memory, and that of one recomputed block.
  double used =
      block.input * static_cast<double>(config.num_layers - first_block) + 2 * block.attention;
  if (limit_bytes > 0.0 && used > limit_bytes) {
    constexpr double kGiB = 1 << 30;
    throw Error(
        ErrorKind::kResource,
        "--activation-gib {:.3g}: a batch of {} tokens takes {:.3g} GiB even if every layer "
        "is recomputed; raise it, lower --budget-tokens or --max-tokens, or set it to 0 for "
        "no limit",
        limit_bytes / kGiB, tokens, used / kGiB);
  }
  const auto store = [&](Stored what, double bytes) {
    for (std::int64_t layer = last - 1; layer >= first_block; --layer) {
      if (used + bytes > limit_bytes) return;
      used += bytes;
      stored[static_cast<std::size_t>(layer)] = what;
    }
  };
  store(Stored::kAttention, block.attention);
  store(Stored::kAll, block.mlp);
  return stored;
}

}  // namespace charm::engine
