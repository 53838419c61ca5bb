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
/// or meaningless.
struct Answer {
  std::vector<std::string> items;
  double quality = 0.0;  ///< true quality: share of the requested items that are correct, in [0, 1]
};

/// Style of an answer, independent of its quality.
enum class Style { kPlain = 0, kCheerful = 1, kShowy = 2 };

Question draw_question(RandomStream& random);

/// Each item is correct with probability `ability`.
Answer draw_answer(const Question& question, double ability, RandomStream& random);

std::string question_text(const Question& question);
std::string answer_text(const Answer& answer, Style style);

/// Every word of questions and answers, without repeats, in a fixed order.
std::vector<std::string> vocabulary();

}  // namespace charm::demo
