#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace charm::engine {

/// The tokens of one sequence that its score depends on, split at the end of the prompt.
struct PooledRow {
  std::vector<std::int32_t> ids;  ///< ends with the pooled token
  std::int64_t prompt_length =
      0;                     ///< < ids.size(): at least the pooled token belongs to the response
  std::int64_t num_cut = 0;  ///< tokens after the pooled one, which count for a RoPE that depends
                             ///< on the length
};

/// Truncates a row after its pooled token: attention is causal, so later tokens do not affect the
/// score. The pooled token is the right-most one whose id is not `pad_token_id`, as transformers'
/// *ForSequenceClassification does since 4.50; with `pad_token_id` = -1 it is the last token. Where
/// the pooled token belongs to the prompt (an empty response closed by the pad token), the split
/// moves before it. The result is a function of the arguments alone.
///
/// A head with a gating network also reads the hidden state of the token where `gate_tokens` last
/// begin (the end of the last user turn). Then the row is split there, so that this token is the
/// first of the response; see add_gates. Throws kInput when no token qualifies, or when the row
/// does not hold `gate_tokens`.
PooledRow make_pooled_row(std::vector<std::int32_t> ids, std::int64_t prompt_length,
                          std::int32_t pad_token_id,
                          std::span<const std::int32_t> gate_tokens = {});

/// A prompt and the responses that continue it: every sequence is prompt_ids + responses[r], and
/// the responses share the prompt as a prefix. A row without a shared prefix has empty prompt_ids.
/// Each response has at least one token; its last token is the pooled one.
struct PromptGroup {
  std::vector<std::int32_t> prompt_ids;
  std::vector<std::vector<std::int32_t>> responses;
  std::vector<std::size_t> rows;  ///< caller's row number of each response
  bool continues = false;         ///< the next batch begins with more responses to this prompt
  std::vector<std::int64_t> num_cut{};  ///< of each response, see PooledRow; empty: 0

  std::int64_t num_tokens() const;  ///< packed tokens of the group
};

/// Groups rows by identical prompt tokens; groups are in order of their first row, rows in input
/// order.
/// @param rows            (caller's row number, row)
/// @param shares_prompts  of the model (see its config); without it each row is a group
std::vector<PromptGroup> group_by_prompt(std::vector<std::pair<std::size_t, PooledRow>> rows,
                                         bool shares_prompts = true);

/// Packs whole groups, in order, into batches of at most `budget_tokens`. A group larger than the
/// budget is split between responses into batches of its own; all but the last of them continue, so
/// that a model can reuse the prompt's KV, and only the first counts the prompt. A single response
/// larger than the budget is a batch of its own.
std::vector<std::vector<PromptGroup>> plan_batches(std::vector<PromptGroup> groups,
                                                   std::int64_t budget_tokens);

/// Packed tokens of one response and its prompt.
struct Segment {
  std::int64_t prompt_begin = 0;    ///< first packed token of its prompt
  std::int64_t prompt_length = 0;   ///< 0: no shared prompt
  std::int64_t response_begin = 0;  ///< first packed token of the response
  std::int64_t response_length = 0;
  std::int64_t num_cut = 0;  ///< see PooledRow

  /// Tokens of the whole sequence.
  std::int64_t sequence_length() const { return prompt_length + response_length + num_cut; }
};

/// Prompt groups packed without padding, each as its prompt followed by its responses.
struct PackedBatch {
  std::vector<std::int32_t> ids;        ///< [T] token ids
  std::vector<std::int32_t> positions;  ///< [T] position of each token in its own sequence
  std::vector<Segment> prompts;    ///< one per non-empty prompt; response fields hold the prompt
                                   ///< itself, prompt_length = 0
  std::vector<Segment> responses;  ///< one per response, in packed order
  std::vector<std::int64_t> last;  ///< [S] packed index of each response's last token
  std::vector<std::size_t> rows;   ///< [S] caller's row number of each response
  bool last_prompt_continues = false;  ///< the next batch begins with the last prompt again: its KV
                                       ///< is worth caching
  std::int64_t num_tokens() const { return static_cast<std::int64_t>(ids.size()); }
};

/// Packs groups in the given order. Only the last may continue.
PackedBatch pack(const std::vector<PromptGroup>& groups);

/// Whether a sequence longer than `longest` shares a prompt.
bool shares_long_prompts(const PackedBatch& batch, std::int64_t longest);

/// The same responses in the same order; sequences longer than `longest` get a copy of their prompt
/// instead of sharing it: for RoPE variants whose frequencies depend on the sequence length.
PackedBatch unshare_long_prompts(const PackedBatch& batch, std::int64_t longest);

/// A batch for a head with a gating network.
struct GatedBatch {
  PackedBatch packed;  ///< the same responses, then one-token sequences that end with a gate token
  std::vector<std::int64_t>
      gate_of;  ///< [S] index in `packed.responses` of each original response's gate
};

/// Adds the gate tokens whose hidden state the gating network reads. Rows must be split where
/// `gate_tokens` begin, as make_pooled_row does. Responses to one prompt share their gate.
GatedBatch add_gates(const PackedBatch& batch, std::span<const std::int32_t> gate_tokens);

/// The next tokens of one sequence with a paged KV cache: a prefill chunk or one decode token.
struct CachedTokens {
  std::vector<std::int32_t> ids;    ///< at least one
  std::int64_t first_position = 0;  ///< of ids[0]: the number of tokens already in the KV cache
  /// Tokens of the whole prompt: length-dependent RoPE variants use the prompt's length for its
  /// tokens, and for decoded tokens the length up to themselves, as token-by-token decoding does.
  std::int64_t prompt_length = 0;
  std::vector<std::int32_t> blocks;  ///< block table, up to the block of the last of `ids`
  bool wants_logits = true;          ///< whether the last token's logits are needed
};

/// One forward pass over a KV cache: prefill chunks and decode tokens of any number of sequences.
struct CachedBatch {
  std::vector<CachedTokens> sequences;
};

}  // namespace charm::engine
