#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/records/eval_item.h"
#include "charm/results/evaluation.h"

namespace charm::evaluate {

/// A number of a result; fails where it is absent or undefined.
inline double value(const results::Metrics& metrics, std::string_view name) {
  return metrics.find(name).value().value;
}

inline results::Interval interval(const results::Metrics& metrics, std::string_view name) {
  return metrics.find(name).value().ci95.value();
}

/// A RewardBench row with its two scores; every `prompt` is one user message.
inline ScoredEvalItem pair_row(std::string subset, std::string id, std::string prompt,
                               double chosen, double rejected) {
  return {{std::move(id), std::move(subset), {{"user", std::move(prompt)}}, {"good"}, {"bad"}},
          {chosen},
          {rejected}};
}

/// An RM-Bench row.
inline ScoredEvalItem style_row(std::string domain, std::string id, std::string prompt,
                                std::vector<double> chosen, std::vector<double> rejected) {
  return {{std::move(id),
           std::move(domain),
           {{"user", std::move(prompt)}},
           {"a", "b", "c"},
           {"d", "e", "f"}},
          std::move(chosen),
          std::move(rejected)};
}

/// A RewardBench 2 row; each text is different from all others of the row.
inline ScoredEvalItem list_row(std::string subset, std::string id, std::string prompt,
                               std::vector<double> chosen, std::vector<double> rejected) {
  ScoredEvalItem row{{std::move(id), std::move(subset), {{"user", std::move(prompt)}}, {}, {}},
                     std::move(chosen),
                     std::move(rejected)};
  for (std::size_t i = 0; i < row.score_chosen.size(); ++i) {
    row.item.chosen.push_back("good " + std::to_string(i));
  }
  for (std::size_t i = 0; i < row.score_rejected.size(); ++i) {
    row.item.rejected.push_back("bad " + std::to_string(i));
  }
  return row;
}

}  // namespace charm::evaluate
