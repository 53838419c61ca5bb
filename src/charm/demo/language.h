#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "charm/base/random.h"

namespace charm::demo {

/// "Please name <count> <category>."
struct Question {
  std::size_t category = 0;
  std::size_t count = 0;
};

/// The items an answer gives, before style. One per asked item; wrong ones are of another category
/// or no word for anything.
struct Answer {
  std::vector<std::string> items;
  double quality = 0.0;  ///< true quality: share of the asked items that are right, in [0, 1]
};

/// How an answer is dressed up; says nothing about its quality.
enum class Style { kPlain = 0, kCheerful = 1, kShowy = 2 };

Question draw_question(RandomStream& random);

/// Each item is right with probability `ability`.
Answer draw_answer(const Question& question, double ability, RandomStream& random);

std::string question_text(const Question& question);
std::string answer_text(const Answer& answer, Style style);

/// Every word that questions and answers are made of, without repeats, in a fixed order.
std::vector<std::string> vocabulary();

}  // namespace charm::demo
