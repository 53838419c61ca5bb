#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/text/chat_template.h"
#include "charm/text/tokenizer.h"

namespace charm::generate {

/// Token ids that end a response: eos_token_id of generation_config.json and of config.json (one id
/// or a list), the tokenizer's eos_token, and the end-of-turn token of the model's chat template
/// (`<|eot_id|>`, `<|im_end|>`, `<end_of_turn>`, ...), which many model folders do not list. Throws
/// kInput for an invalid generation_config.json.
std::set<std::int32_t> find_stop_tokens(const std::filesystem::path& model_dir,
                                        const std::vector<std::int32_t>& config_eos,
                                        const text::Tokenizer& tokenizer,
                                        const text::ChatTemplate& chat_template);

/// The ids that the tokenizer has. A model's vocabulary may be padded beyond them, and such a token
/// has no text, as in transformers' decode.
std::vector<std::int32_t> tokens_with_text(const text::Tokenizer& tokenizer,
                                           std::span<const std::int32_t> ids);

/// Position of the earliest stop string; npos if none occurs.
std::size_t find_stop(std::string_view text, std::span<const std::string> stops);

/// Incremental check for stop strings, which may span tokens, as transformers' StopStringCriteria.
/// The text is that of decode(skip_special_tokens=True). Keeps references to tokenizer and stops;
/// not thread-safe.
class StopStringCriteria {
 public:
  StopStringCriteria(const text::Tokenizer& tokenizer, std::span<const std::string> stops)
      : tokenizer_(&tokenizer), stops_(stops) {}

  /// Takes all output tokens so far, one more than in the last call; true if they contain a stop
  /// string.
  bool is_met(std::span<const std::int32_t> output_ids);

 private:
  const text::Tokenizer* tokenizer_;
  std::span<const std::string> stops_;
  std::string text_;      ///< of the tokens before `read_`
  std::size_t from_ = 0;  ///< decoding starts here, a few tokens before `read_`
  std::size_t read_ = 0;
};

/// The text of a response: decoded `output_ids` up to the first stop string. If `is_truncated`, an
/// incomplete UTF-8 character at the end is dropped.
std::string response_text(const text::Tokenizer& tokenizer,
                          std::span<const std::int32_t> output_ids,
                          std::span<const std::string> stops, bool is_truncated);

}  // namespace charm::generate
