#pragma once

#include <cstdint>
#include <vector>

namespace charm::batch {

/// A prompt's tokens and those of the responses that continue it. Every sequence is prompt_ids +
/// responses[r]; a row that shares no prompt has empty prompt_ids. Each response has at least one
/// token; its last token is the pooled one.
struct TokenGroup {
  std::vector<std::int32_t> prompt_ids;
  std::vector<std::vector<std::int32_t>> responses;
  std::vector<std::size_t>
      rows;                ///< caller's row number of each response: the way back to input order
  bool continues = false;  ///< the next batch begins with more responses to this prompt

  std::int64_t num_tokens() const;  ///< tokens the group occupies once packed
};

/// Where one response lies among the packed tokens.
struct Segment {
  std::int64_t prompt_begin = 0;    ///< first packed token of its prompt
  std::int64_t prompt_length = 0;   ///< 0: no shared prompt
  std::int64_t response_begin = 0;  ///< first packed token of the response
  std::int64_t response_length = 0;
};

/// Whole groups laid one after the other, prompt first, then its responses, without padding.
struct PackedBatch {
  std::vector<std::int32_t> ids;        ///< [T] token ids
  std::vector<std::int32_t> positions;  ///< [T] position of each token in its own sequence
  std::vector<Segment> prompts;    ///< one per non-empty prompt; response fields hold the prompt
                                   ///< itself, prompt_length = 0
  std::vector<Segment> responses;  ///< one per response, in packed order
  std::vector<std::int64_t> last;  ///< [S] packed index of each response's last token
  std::vector<std::size_t> rows;   ///< [S] caller's row number of each response
  bool last_prompt_continues = false;  ///< the next batch begins with the last prompt again: its
                                       ///< keys and values are worth keeping
  std::int64_t num_tokens() const { return static_cast<std::int64_t>(ids.size()); }
};

/// Lays groups out in the given order. Only the last may continue.
PackedBatch pack(const std::vector<TokenGroup>& groups);

/// The same responses in the same order; those whose whole sequence is longer than `longest` no
/// longer share their prompt but have a copy of their own: for models whose positions depend on the
/// sequence's length.
PackedBatch unshare_long_prompts(const PackedBatch& batch, std::int64_t longest);

}  // namespace charm::batch
