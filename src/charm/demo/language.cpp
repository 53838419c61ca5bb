#include "charm/demo/language.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace charm::demo {
namespace {

constexpr std::size_t kMinCount = 4;
constexpr std::size_t kMaxCount = 8;
constexpr double kVagueShare = 0.6;  // of the wrong items; the others are of another category

constexpr std::size_t kWordsPerCategory = 10;
struct Category {
  std::string_view name;
  std::array<std::string_view, kWordsPerCategory> words;
};

constexpr std::array<Category, 6> kCategories = {{
    {"animals", {"horse", "cow", "cat", "dog", "sheep", "goat", "lion", "tiger", "bear", "wolf"}},
    {"fruits",
     {"apple", "pear", "plum", "grape", "peach", "lemon", "mango", "cherry", "melon", "fig"}},
    {"tools",
     {"hammer", "saw", "drill", "wrench", "chisel", "clamp", "axe", "pliers", "shovel", "rake"}},
    {"colours",
     {"red", "blue", "green", "yellow", "brown", "purple", "white", "black", "grey", "pink"}},
    {"cities",
     {"Paris", "London", "Rome", "Madrid", "Vienna", "Berlin", "Oslo", "Dublin", "Athens",
      "Prague"}},
    {"drinks",
     {"tea", "coffee", "milk", "water", "juice", "cocoa", "cider", "wine", "beer", "lemonade"}},
}};
constexpr std::array<std::string_view, 4> kVague = {"thing", "stuff", "something", "whatever"};
constexpr std::array<std::string_view, kMaxCount + 1> kNumbers = {
    "", "", "", "", "four", "five", "six", "seven", "eight"};
constexpr std::array<std::string_view, 2> kPraise = {"truly", "amazing"};

template <typename Words>
std::string pick(const Words& words, RandomStream& random) {
  return std::string(words[random.below(words.size())]);
}

}  // namespace

Question draw_question(RandomStream& random) {
  const std::size_t category = random.below(kCategories.size());
  return {.category = category, .count = kMinCount + random.below(kMaxCount - kMinCount + 1)};
}

Answer draw_answer(const Question& question, double ability, RandomStream& random) {
  const auto& words = kCategories[question.category].words;
  std::vector<std::string> right(words.begin(), words.end());
  random.shuffle(right);
  Answer answer;
  std::size_t num_right = 0;
  for (std::size_t i = 0; i < question.count; ++i) {
    if (random.uniform() < ability) {
      answer.items.push_back(right[i]);
      ++num_right;
    } else if (random.uniform() < kVagueShare) {
      answer.items.push_back(pick(kVague, random));
    } else {
      const std::size_t other =
          (question.category + 1 + random.below(kCategories.size() - 1)) % kCategories.size();
      answer.items.push_back(pick(kCategories[other].words, random));
    }
  }
  answer.quality = static_cast<double>(num_right) / static_cast<double>(question.count);
  return answer;
}

std::string question_text(const Question& question) {
  return "Please name " + std::string(kNumbers[question.count]) + " " +
         std::string(kCategories[question.category].name) + ".";
}

std::string answer_text(const Answer& answer, Style style) {
  std::string text = style == Style::kPlain ? "Here you are:" : "Wow! Here you are:";
  for (std::size_t i = 0; i < answer.items.size(); ++i) {
    if (i > 0) text += ",";
    if (style == Style::kShowy && i % 2 == 1)
      text += " " + std::string(kPraise[i / 2 % kPraise.size()]);
    text += " " + answer.items[i];
  }
  return text + (style == Style::kShowy ? "!" : ".");
}

std::vector<std::string> vocabulary() {
  std::vector<std::string> words = {"Please", "name", "Here", "you", "are",
                                    "Wow",    ":",    ",",    ".",   "!"};
  for (const std::string_view number : kNumbers) {
    if (!number.empty()) words.emplace_back(number);
  }
  for (const std::string_view word : kPraise) words.emplace_back(word);
  for (const std::string_view word : kVague) words.emplace_back(word);
  for (const Category& category : kCategories) {
    words.emplace_back(category.name);
    words.insert(words.end(), category.words.begin(), category.words.end());
  }
  return words;
}

}  // namespace charm::demo
