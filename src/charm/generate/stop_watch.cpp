#include "charm/generate/stop_watch.h"

#include <algorithm>

namespace charm::generate {
namespace {

constexpr std::string_view kReplacement =
    "\xEF\xBF\xBD";  // U+FFFD: what decoding puts for bytes that are no character

}  // namespace

std::size_t find_stop(std::string_view text, std::span<const std::string> stops) {
  std::size_t first = std::string_view::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

bool StopWatch::is_complete(std::span<const std::int32_t> written) {
  if (stops_.empty()) return false;
  // A token's text may depend on the one before it (spaces, bytes of one character), so a few
  // tokens are decoded again.
  const std::string before =
      tokenizer_->decode(written.subspan(from_, read_ - from_), /*skip_special_tokens=*/true);
  const std::string after =
      tokenizer_->decode(written.subspan(from_), /*skip_special_tokens=*/true);
  std::string_view added = after;
  if (after.starts_with(before)) added.remove_prefix(before.size());
  if (added.empty()) return false;
  if (added.ends_with(kReplacement) && written.size() - read_ < 4)
    return false;  // perhaps the first bytes of a character
  std::size_t longest = 0;
  for (const std::string& stop : stops_) longest = std::max(longest, stop.size());
  const std::size_t looked_at = text_.size() < longest ? 0 : text_.size() - longest;
  text_ += added;
  from_ = read_;
  read_ = written.size();
  return find_stop(std::string_view(text_).substr(looked_at), stops_) != std::string_view::npos;
}

std::string response_text(const text::Tokenizer& tokenizer, std::span<const std::int32_t> written,
                          std::span<const std::string> stops, bool is_cut) {
  std::string text = tokenizer.decode(written, /*skip_special_tokens=*/true);
  if (const std::size_t stop = find_stop(text, stops); stop != std::string_view::npos) {
    text.resize(stop);
    return text;
  }
  // Up to three bytes of a character are left behind, each of which may have become a replacement
  // of its own.
  for (int i = 0; is_cut && i < 3 && text.ends_with(kReplacement); ++i)
    text.resize(text.size() - kReplacement.size());
  return text;
}

}  // namespace charm::generate
