#include "charm/train/pair_dataset.h"

#include <atomic>
#include <optional>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/base/parallel.h"
#include "charm/engine/token_batch.h"
#include "charm/records/preference_pair.h"

namespace charm::train {
namespace {

std::vector<std::int32_t> encode_side(const Conversation& conversation,
                                      const text::ConversationEncoder& encoder,
                                      const EncodePairsOptions& options, bool& truncated) {
  if (conversation.size() < 2 || conversation.back().role != "assistant") {
    throw Error(
        ErrorKind::kInput,
        "expected a conversation that ends with an assistant's turn, found {} turns{}",
        conversation.size(),
        conversation.empty() ? "" : fmt::format(", the last by '{}'", conversation.back().role));
  }
  const Conversation prompt = leading_turns(conversation, conversation.size() - 1);
  text::EncodedConversation encoded = encoder.encode(prompt, conversation.back());
  truncated |= encoded.truncated;
  for (const std::int32_t id : encoded.ids) {
    if (id < 0 || id >= options.vocab_size) {
      throw Error(ErrorKind::kInput,
                  "token id {} is outside the model's vocabulary of {}: the tokenizer belongs to "
                  "another model",
                  id, options.vocab_size);
    }
  }
  const auto length = static_cast<std::int64_t>(encoded.ids.size());
  engine::PooledRow row =
      engine::make_pooled_row(std::move(encoded.ids), encoded.prompt_length, options.pad_token_id);
  if (row.num_cut > 0 && length > options.fixed_rope_up_to) {
    throw Error(ErrorKind::kInput,
                "the conversation of {} tokens ends with the pad token and is longer than the {} "
                "up to which this model's RoPE is the same for all lengths; such a text is scored, "
                "but not trained on: --max-tokens {}",
                length, options.fixed_rope_up_to, options.fixed_rope_up_to);
  }
  return std::move(row.ids);
}

EncodedPair encode_pair(const PreferencePair& pair, const text::ConversationEncoder& encoder,
                        const EncodePairsOptions& options, bool& truncated) {
  if (options.needs_margin && !pair.margin) {
    throw Error(ErrorKind::kInput,
                "the pair has no margin, which --use-margin and --soft-labels need");
  }
  return {.prompt_id = pair.prompt_id,
          .chosen = encode_side(pair.chosen, encoder, options, truncated),
          .rejected = encode_side(pair.rejected, encoder, options, truncated),
          .margin = options.needs_margin ? static_cast<float>(*pair.margin) : 0.0f};
}

}  // namespace

std::vector<EncodedPair> encode_pairs(std::span<const PreferencePair> pairs,
                                      const text::ConversationEncoder& encoder,
                                      const EncodePairsOptions& options,
                                      const std::string& source) {
  std::vector<std::optional<EncodedPair>> encoded(pairs.size());
  std::vector<std::string> problems(pairs.size());
  std::atomic<std::int64_t> num_truncated{0};
  parallel_for(pairs.size(), /*num_threads=*/0, [&](std::size_t i) {
    try {
      bool truncated = false;
      encoded[i] = encode_pair(pairs[i], encoder, options, truncated);
      if (truncated) ++num_truncated;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      problems[i] = error.message();
    }
  });
  std::vector<EncodedPair> kept;
  std::int64_t num_bad = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (encoded[i]) {
      kept.push_back(std::move(*encoded[i]));
      continue;
    }
    const std::string message =
        fmt::format("{}: pair {} (prompt {}): {}", source, i + 1, pairs[i].prompt_id, problems[i]);
    if (++num_bad > options.max_bad_rows) throw Error(ErrorKind::kInput, "{}", message);
    log::warning("{}; skipped", message);
  }
  if (num_truncated > 0) {
    log::warning(
        "{}: {} of {} pairs are truncated on the left to {} tokens (--max-tokens, at most the "
        "model's positions)",
        source, num_truncated.load(), pairs.size(), encoder.max_tokens());
  }
  return kept;
}

}  // namespace charm::train
