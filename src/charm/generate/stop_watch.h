#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/text/tokenizer.h"

namespace charm::generate {

/// Where the earliest of the stop texts begins; npos when none occurs.
std::size_t find_stop(std::string_view text, std::span<const std::string> stops);

/// A response while it is written: watches for stop texts, which may begin in one token and end in
/// another. Text is what transformers' decode(skip_special_tokens=True) gives. Refers to tokenizer
/// and stops; not safe for concurrent use.
class StopWatch {
 public:
  StopWatch(const text::Tokenizer& tokenizer, std::span<const std::string> stops)
      : tokenizer_(&tokenizer), stops_(stops) {}

  /// Takes all tokens written so far, one more than the last time; true when a stop text is
  /// complete.
  bool is_complete(std::span<const std::int32_t> written);

 private:
  const text::Tokenizer* tokenizer_;
  std::span<const std::string> stops_;
  std::string text_;      ///< of the tokens up to `read_`
  std::size_t from_ = 0;  ///< decoding starts here: tokens before the last ones that made text
  std::size_t read_ = 0;
};

/// The response's text: all of `written` without a stop text and what follows it. An incomplete
/// character at the end, which a limit may leave behind, is dropped where `is_cut`.
std::string response_text(const text::Tokenizer& tokenizer, std::span<const std::int32_t> written,
                          std::span<const std::string> stops, bool is_cut);

}  // namespace charm::generate
