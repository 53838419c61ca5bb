#include "charm/records/features.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <span>

#include "charm/records/arena.h"

namespace charm {
namespace {

constexpr std::size_t kPhraseCharacters = 200;

constexpr std::string_view kRefusals[] = {"i can't",
                                          "i cannot",
                                          "i can not",
                                          "i won't",
                                          "i will not",
                                          "i'm sorry",
                                          "i am sorry",
                                          "i apologize",
                                          "i'm unable",
                                          "i am unable",
                                          "i'm not able to",
                                          "i am not able to",
                                          "i must decline",
                                          "i have to decline",
                                          "as an ai",
                                          "as a language model",
                                          "as a large language model",
                                          "i'm just an ai",
                                          "i do not feel comfortable",
                                          "i don't feel comfortable"};

constexpr std::string_view kAgreements[] = {
    "sure",           "certainly",        "of course",          "absolutely",      "definitely",
    "great question", "good question",    "excellent question", "what a great",    "happy to help",
    "i'd be happy",   "i would be happy", "i'd be glad",        "i would be glad", "no problem"};

constexpr std::string_view kAnnouncements[] = {"here is",      "here's",       "here are",
                                               "below is",     "below are",    "the following",
                                               "following is", "following are"};

// The first characters, lower-cased, typographic apostrophes replaced.
std::string beginning_of(std::string_view text) {
  constexpr std::string_view kApostrophe = "\xE2\x80\x99";
  const std::size_t first = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  std::string beginning;
  for (std::size_t at = first; at < text.size() && beginning.size() < kPhraseCharacters;) {
    if (text.substr(at, kApostrophe.size()) == kApostrophe) {
      beginning += '\'';
      at += kApostrophe.size();
    } else {
      beginning += static_cast<char>(std::tolower(static_cast<unsigned char>(text[at++])));
    }
  }
  return beginning;
}

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }

bool opens_with(std::string_view text, std::span<const std::string_view> phrases) {
  // Punctuation before the first word, as in "**Sure!**", is skipped.
  const std::size_t first = std::min(text.find_first_not_of("*_#>\"' "), text.size());
  const std::string_view words = text.substr(first);
  return std::any_of(phrases.begin(), phrases.end(), [&](std::string_view phrase) {
    return words.substr(0, phrase.size()) == phrase &&
           (words.size() == phrase.size() || !is_letter(words[phrase.size()]));
  });
}

bool holds(std::string_view text, std::span<const std::string_view> phrases) {
  return std::any_of(phrases.begin(), phrases.end(), [&](std::string_view phrase) {
    for (std::size_t at = text.find(phrase); at != std::string_view::npos;
         at = text.find(phrase, at + 1)) {
      const std::size_t end = at + phrase.size();
      const bool begins = at == 0 || !is_letter(text[at - 1]);
      if (begins && (end == text.size() || !is_letter(text[end]))) return true;
    }
    return false;
  });
}

struct CodeAndExclamations {
  double code_blocks = 0.0;
  double exclamations = 0.0;
};

// A block is opened and closed by ```; an unclosed one counts as prose.
CodeAndExclamations count_outside_code(std::string_view text) {
  constexpr std::string_view kFence = "```";
  CodeAndExclamations counts;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at, kFence.size()) == kFence) {
      const std::size_t close = text.find(kFence, at + kFence.size());
      if (close != std::string_view::npos) {
        counts.code_blocks += 1.0;
        at = close + kFence.size();
        continue;
      }
    }
    counts.exclamations += text[at++] == '!' ? 1.0 : 0.0;
  }
  return counts;
}

}  // namespace

Features response_features(const std::string& text) {
  const StyleCounts style = count_style(text);
  const std::string beginning = beginning_of(text);
  const CodeAndExclamations counts = count_outside_code(text);
  return {std::log1p(style.length),
          style.headers,
          style.lists,
          style.bold,
          counts.code_blocks,
          counts.exclamations,
          holds(beginning, kRefusals) ? 1.0 : 0.0,
          opens_with(beginning, kAgreements) ? 1.0 : 0.0,
          opens_with(beginning, kAnnouncements) ? 1.0 : 0.0};
}

}  // namespace charm
