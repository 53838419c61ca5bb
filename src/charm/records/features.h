#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace charm {

/// Surface features of a response.
struct FeatureName {
  std::string_view name;
  std::string_view meaning;
};

inline constexpr std::size_t kNumFeatures = 9;
inline constexpr std::size_t kLogLength = 0;  ///< index of "log_length"

inline constexpr std::array<FeatureName, kNumFeatures> kFeatures = {{
    {"log_length", "natural logarithm of 1 + characters"},
    {"headers", "Markdown headers"},
    {"lists", "list items, numbered or not"},
    {"bold", "bold spans"},
    {"code_blocks", "fenced code blocks"},
    {"exclamations", "exclamation marks outside code blocks"},
    {"refusal", "1 where the first 200 characters hold a refusal phrase (English)"},
    {"opening_agreement", "1 where it opens with Sure, Certainly, Of course, Great question, ..."},
    {"opening_announcement", "1 where it opens with Here is, Here are, Below is, ..."},
}};

/// [feature], in the order of kFeatures.
using Features = std::array<double, kNumFeatures>;

/// Headers, list items and bold spans as in `count_style` (FastChat's definitions). Phrases match
/// case-insensitively (ASCII), typographic apostrophes equal plain ones; they are English only, so
/// the phrase features are 0 in other languages.
Features response_features(const std::string& text);

}  // namespace charm
