#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/results/estimate.h"

namespace charm::results {

class Fields;

/// The numbers of one object of a result file by their names, in its order: counts, and values with
/// their intervals.
struct Metrics {
  struct Entry {
    std::string name;
    Estimate value;
    bool is_count = false;  ///< written as an integer
  };
  std::vector<Entry> values{};

  void add(std::string name, const Estimate& value);
  /// Undefined if empty.
  void add(std::string name, std::optional<double> value);
  void add_count(std::string name, std::int64_t count);
  /// Empty where it is absent or undefined.
  std::optional<Estimate> find(std::string_view name) const;
};

void put_metrics(nlohmann::ordered_json& object, const Metrics& metrics);
/// The members that are numbers or null, except those named in `others`; empty without an object.
Metrics read_metrics(const std::optional<Fields>& fields,
                     const std::vector<std::string_view>& others = {});

/// A section, domain, subset or policy of a benchmark.
struct BenchmarkPart {
  std::string name;
  Metrics metrics{};
  std::optional<std::string> section{};               ///< of a subset; an empty text: in none
  std::vector<std::vector<double>> matrix{};          ///< RM-Bench: accuracies by style
  std::optional<std::vector<std::string>> missing{};  ///< Prior Sets: those without rows
};

/// {"name": {...}, ...}
nlohmann::ordered_json to_json(const std::vector<BenchmarkPart>& parts);
/// Members that are objects, or numbers, which are scores; none without an object.
std::vector<BenchmarkPart> read_parts(const std::optional<Fields>& fields);

/// Of a number per policy with the ratings; NaN where undefined.
struct Correlations {
  Estimate spearman;  ///< of average ranks
  Estimate kendall;   ///< tau-b
  Estimate pearson;
};
nlohmann::ordered_json to_json(const Correlations& correlations,
                               NoInterval no_interval = NoInterval::kOmit);
Correlations read_correlations(const Fields& fields);

}  // namespace charm::results
