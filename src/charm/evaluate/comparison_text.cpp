#include <fmt/format.h>

#include "charm/base/strings.h"
#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/compare.h"

namespace charm::evaluate {
namespace {

using TableRow = std::vector<std::string>;

std::string value_text(const std::optional<Estimate>& value) {
  return value ? fmt::format("{:.4f}", value->value) : "undefined";
}

std::string signed_text(const std::optional<Estimate>& difference) {
  if (!difference) return "undefined";
  const std::string text = fmt::format("{:+.4f}", difference->value);
  return difference->ci95 ? fmt::format("{} [{:+.4f}, {:+.4f}]", text, difference->ci95->lo,
                                        difference->ci95->hi)
                          : text;
}

// One line for the part itself, where it has a value, then one for each of its measures.
void add_lines(const std::string& label, const results::ComparedPart& part,
               std::vector<TableRow>& rows) {
  if (part.flips || part.measures.empty()) {
    rows.push_back({label, "", value_text(part.a), value_text(part.b), signed_text(part.difference),
                    "", "", ""});
    if (part.flips) {
      rows.back()[1] = std::to_string(part.flips->num_rows);
      rows.back()[5] = std::to_string(part.flips->gained);
      rows.back()[6] = std::to_string(part.flips->lost);
      rows.back()[7] = fmt::format("{:.3g}", part.flips->p_value);
    }
  }
  for (const results::ComparedPart& measure : part.measures)
    add_lines(label + ", " + measure.name, measure, rows);
}

}  // namespace

std::string comparison_text(const results::Comparison& comparison) {
  std::vector<TableRow> rows = {{"", "rows", "A", "B", "B - A", "gained", "lost", "p"}};
  for (const auto* parts : {&comparison.subsets, &comparison.policies}) {
    for (const results::ComparedPart& part : *parts) add_lines("  " + part.name, part, rows);
  }
  for (const auto* parts : {&comparison.sections, &comparison.correlations}) {
    for (const results::ComparedPart& part : *parts) add_lines(part.name, part, rows);
  }
  const bool is_votes = comparison.benchmark == benchmark_name(Benchmark::kVotes);
  for (const results::ComparedPart& part : comparison.overall) {
    add_lines(is_votes                         ? "votes"
              : part.name == "overall_partial" ? "overall of the parts present"
                                               : part.name,
              part, rows);
  }
  return text_table(rows);
}

}  // namespace charm::evaluate
