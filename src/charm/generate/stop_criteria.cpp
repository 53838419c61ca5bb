#include "charm/generate/stop_criteria.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"

namespace charm::generate {
namespace {

constexpr std::string_view kTurnEnds[] = {"<|eot_id|>", "<|im_end|>", "<end_of_turn>",
                                          "<|end|>",    "<|eom_id|>", "<|END_OF_TURN_TOKEN|>"};

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD: decoded from invalid UTF-8

}  // namespace

std::set<std::int32_t> find_stop_tokens(const std::filesystem::path& model_dir,
                                        const std::vector<std::int32_t>& config_eos,
                                        const text::Tokenizer& tokenizer,
                                        const text::ChatTemplate& chat_template) {
  std::set<std::int32_t> ends(config_eos.begin(), config_eos.end());
  const nlohmann::json config = text::read_config(model_dir, "generation_config.json");
  const nlohmann::json eos = config.value("eos_token_id", nlohmann::json());
  const nlohmann::json ids = eos.is_array() || eos.is_null() ? eos : nlohmann::json::array({eos});
  for (const nlohmann::json& id : ids) {
    if (!id.is_number_integer()) {
      throw Error(ErrorKind::kInput,
                  "{}: eos_token_id holds {}, expected a token id or a list of them",
                  (model_dir / "generation_config.json").string(), id.dump());
    }
    ends.insert(id.get<std::int32_t>());
  }
  const text::SpecialTokens& specials = chat_template.special_tokens();
  if (const auto named = specials.find("eos_token"); named != specials.end()) {
    if (const auto id = tokenizer.token_to_id(named->second)) ends.insert(*id);
  }
  for (const std::string_view token : kTurnEnds) {
    if (chat_template.source().find(token) == std::string::npos) continue;
    if (const auto id = tokenizer.token_to_id(token)) ends.insert(*id);
  }
  return ends;
}

std::vector<std::int32_t> tokens_with_text(const text::Tokenizer& tokenizer,
                                           std::span<const std::int32_t> ids) {
  std::vector<std::int32_t> known;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(known),
               [&](std::int32_t id) { return tokenizer.id_to_token(id).has_value(); });
  return known;
}

std::size_t find_stop(std::string_view text, std::span<const std::string> stops) {
  std::size_t first = std::string_view::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

bool StopStringCriteria::is_met(std::span<const std::int32_t> output_ids) {
  if (stops_.empty()) return false;
  // A token's text may depend on the previous one (spaces, partial characters), so a few tokens are
  // decoded again.
  const auto decode = [&](std::span<const std::int32_t> ids) {
    return tokenizer_->decode(tokens_with_text(*tokenizer_, ids), /*skip_special_tokens=*/true);
  };
  const std::string before = decode(output_ids.subspan(from_, read_ - from_));
  const std::string after = decode(output_ids.subspan(from_));
  std::string_view added = after;
  if (after.starts_with(before)) added.remove_prefix(before.size());
  if (added.empty()) return false;
  if (added.ends_with(kReplacement) && output_ids.size() - read_ < 4)
    return false;  // possibly an incomplete character
  std::size_t longest = 0;
  for (const std::string& stop : stops_) longest = std::max(longest, stop.size());
  const std::size_t search_from = text_.size() < longest ? 0 : text_.size() - longest;
  text_ += added;
  from_ = read_;
  read_ = output_ids.size();
  return find_stop(std::string_view(text_).substr(search_from), stops_) != std::string_view::npos;
}

std::string response_text(const text::Tokenizer& tokenizer,
                          std::span<const std::int32_t> output_ids,
                          std::span<const std::string> stops, bool is_truncated) {
  std::string text =
      tokenizer.decode(tokens_with_text(tokenizer, output_ids), /*skip_special_tokens=*/true);
  if (const std::size_t stop = find_stop(text, stops); stop != std::string_view::npos) {
    text.resize(stop);
    return text;
  }
  // Each of up to three bytes of an incomplete character may have become a replacement character.
  for (int i = 0; is_truncated && i < 3 && text.ends_with(kReplacement); ++i)
    text.resize(text.size() - kReplacement.size());
  return text;
}

}  // namespace charm::generate
