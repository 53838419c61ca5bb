#include "charm/evaluate/read_benchmark.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/evaluate/metrics.h"
#include "charm/evaluate/pair_benchmarks.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/reward_bench_2.h"
#include "charm/evaluate/rm_bench.h"
#include "charm/storage/published_scores.h"
#include "charm/storage/row_fields.h"
#include "charm/storage/row_reader.h"

namespace charm::evaluate {
namespace {

using nlohmann::json;
using storage::RowView;
using storage::Value;
using storage::ValueKind;

/// An unusable row; the caller adds its location and counts it.
template <typename... Args>
Error unusable(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorKind::kInput, format, std::forward<Args>(args)...);
}

Value field(const RowView& row, const std::string& name) {
  const Value value = row[name];
  if (value.is_null()) throw unusable("column '{}' is missing or null", name);
  return value;
}

/// One text, a fixed number of texts, or any number of them (`count` 0).
std::vector<std::string> texts_field(const RowView& row, const std::string& name,
                                     std::size_t count) {
  const Value value = field(row, name);
  const bool is_text = value.kind() == ValueKind::kText || value.kind() == ValueKind::kBytes;
  std::vector<std::string> texts;
  if (!is_text || count == 1) texts = storage::texts_of(value, name);
  const bool is_list = value.kind() == ValueKind::kList || texts.size() > 1;
  const bool fits = count == 0 ? !texts.empty() : texts.size() == count;
  if (!fits) {
    throw unusable(
        "column '{}': expected {}, found {}", name,
        count == 1   ? "one text"
        : count == 0 ? "a list of at least one text"
                     : fmt::format("a list of {} texts", count),
        is_list
            ? fmt::format(
                  "a list of {}{}", texts.size(),
                  count == 1 ? " (RewardBench 2 has lists of any length, RM-Bench of three)" : "")
            : value.type_name());
  }
  return texts;
}

/// One score per text.
std::vector<double> scores_field(const RowView& row, const std::string& name, std::size_t count) {
  std::vector<double> scores = storage::numbers_of(field(row, name), name);
  if (scores.size() != count) {
    throw unusable("column '{}': expected {} scores, one for each text, found {}", name, count,
                   scores.size());
  }
  return scores;
}

/// RewardBench 2 has columns with the number of texts.
void check_count(const RowView& row, const char* name, std::size_t found) {
  const std::optional<double> count = storage::number_field(row, name);
  if (count && *count != static_cast<double>(found)) {
    throw unusable("column '{}' is {}, but the row has {} such texts", name, *count, found);
  }
}

std::string id_field(const RowView& row, std::int64_t row_number) {
  const Value id = row["id"];
  return id.is_null() ? std::to_string(row_number) : storage::id_of(id, "id");
}

/// RM-Bench's per-domain files have no `domain` field; it is inferred from the file name
/// ("chat_filtered.json").
std::string domain_of(const RowView& row, const std::string& id, const fs::path& file) {
  if (const auto domain = storage::text_field(row, "domain")) {
    if (rm_bench_domain(*domain).empty()) {
      throw unusable("column 'domain': expected chat, math, code or safety..., found '{}'",
                     *domain);
    }
    return *domain;
  }
  if (!rm_bench_domain(id).empty()) return id.substr(0, id.find_first_of("/_:. 0123456789"));
  const std::string name = storage::policy_name_of(file);
  if (!rm_bench_domain(name).empty()) return name.substr(0, name.find_first_of("_. "));
  throw unusable(
      "no column 'domain', and the file's name '{}' begins with none of chat, math, code, safety",
      file.filename().string());
}

/// The subset of a RewardBench row. The prior test sets have no such column, or one with parts of
/// the set; there the file name is that of the set.
std::string subset_of(const RowView& row, const fs::path& file) {
  const Value subset = row["subset"];
  const bool is_text = subset.kind() == ValueKind::kText || subset.kind() == ValueKind::kBytes;
  if (is_text && !prior_set(storage::text_of(subset, "subset")).empty())
    return storage::text_of(subset, "subset");
  const std::string_view from_file = prior_set(storage::policy_name_of(file));
  if (!from_file.empty()) return std::string(from_file);
  return storage::text_of(field(row, "subset"), "subset");
}

/// A row of saved scores of JudgeBench, RMB or PPE.
ScoredEvalItem saved_pair_row(const RowView& row, Benchmark benchmark) {
  if (row["id"].is_null() && row["subset"].is_null()) {
    throw unusable(
        "no row of {}: it has neither the column '{}' of the published files nor the columns of "
        "saved scores (id, subset, prompt, chosen, rejected, score_chosen, score_rejected)",
        benchmark_name(benchmark), published_key(benchmark));
  }
  ScoredEvalItem parsed;
  parsed.item.id = storage::id_of(field(row, "id"), "id");
  parsed.item.subset = storage::text_of(field(row, "subset"), "subset");
  if (pair_benchmark_section(benchmark, parsed.item.subset).empty()) {
    throw unusable("column 'subset': '{}' is no subset of {}", parsed.item.subset,
                   benchmark_name(benchmark));
  }
  parsed.item.prompt = storage::conversation_of(row, field(row, "prompt"), "prompt");
  const bool is_ppe = benchmark == Benchmark::kPpe;
  const auto side = [&](const char* name, std::size_t count, std::vector<std::string>& texts,
                        std::vector<double>& scores) {
    const bool is_empty_list =
        is_ppe && row[name].kind() == ValueKind::kList && row[name].size() == 0;
    if (is_empty_list) return;
    texts = texts_field(row, name, count);
    scores = scores_field(row, fmt::format("score_{}", name), texts.size());
  };
  side("chosen", is_ppe ? 0 : 1, parsed.item.chosen, parsed.score_chosen);
  side("rejected", benchmark == Benchmark::kJudgeBench ? 1 : 0, parsed.item.rejected,
       parsed.score_rejected);
  if (!is_ppe || row["pairs"].is_null()) return parsed;
  const std::vector<double> flat = storage::numbers_of(row["pairs"], "pairs");
  for (std::size_t i = 0; i + 1 < flat.size(); i += 2) {
    const std::array<std::int32_t, 2> pair = {static_cast<std::int32_t>(flat[i]),
                                              static_cast<std::int32_t>(flat[i + 1])};
    if (pair[0] < 0 || pair[0] >= std::ssize(parsed.item.chosen) || pair[1] < 0 ||
        pair[1] >= std::ssize(parsed.item.rejected)) {
      throw unusable("column 'pairs': {} and {} are no indices of chosen and rejected", pair[0],
                     pair[1]);
    }
    parsed.item.pairs.push_back(pair);
  }
  return parsed;
}

ScoredEvalItem parse_row(const RowView& row, const storage::RowReader& reader, Benchmark benchmark,
                         bool with_scores) {
  if (is_pair_benchmark(benchmark)) {
    return row.contains(published_key(benchmark))
               ? published_row(row, benchmark, reader.file(), with_scores)
               : saved_pair_row(row, benchmark);
  }
  const bool is_rm_bench = benchmark == Benchmark::kRmBench;
  const bool is_reward_bench_2 = benchmark == Benchmark::kRewardBench2;
  const std::size_t count = is_rm_bench ? kRmBenchStyles : is_reward_bench_2 ? 0 : 1;
  ScoredEvalItem parsed;
  parsed.item.id = id_field(row, reader.num_rows());
  parsed.item.subset =
      is_rm_bench ? domain_of(row, parsed.item.id, reader.file()) : subset_of(row, reader.file());
  parsed.item.prompt = storage::conversation_of(row, field(row, "prompt"), "prompt");
  parsed.item.chosen = texts_field(row, "chosen", count);
  parsed.item.rejected = texts_field(row, "rejected", count);
  if (is_reward_bench_2) {
    check_count(row, "num_correct", parsed.item.chosen.size());
    check_count(row, "num_incorrect", parsed.item.rejected.size());
    check_count(row, "total_completions", parsed.item.chosen.size() + parsed.item.rejected.size());
    if (is_ties_subset(parsed.item.subset) && !parse_ties_id(parsed.item.id)) {
      throw unusable("column 'id': subset Ties expects ref:N or tied:N, found '{}'",
                     parsed.item.id);
    }
  }
  if (with_scores) {
    parsed.score_chosen = scores_field(row, "score_chosen", parsed.item.chosen.size());
    parsed.score_rejected = scores_field(row, "score_rejected", parsed.item.rejected.size());
  }
  return parsed;
}

/// A row of a leaderboard's published scores, which has no texts.
ScoredEvalItem scored_item(const storage::PublishedRow& row, Benchmark benchmark,
                           const fs::path& file) {
  const bool is_best_of_n = benchmark == Benchmark::kRewardBench2;
  const bool is_pair = row.chosen.size() == 1 && row.rejected.size() == 1;
  if ((!is_pair && !is_best_of_n) || benchmark == Benchmark::kRmBench || row.rejected.empty()) {
    throw Error(ErrorKind::kInput,
                "{}: RewardBench's published scores; row {} has {} chosen and {} rejected scores, "
                "which do not fit --benchmark {}",
                file.string(), row.id, row.chosen.size(), row.rejected.size(),
                benchmark_name(benchmark));
  }
  if (is_best_of_n && is_ties_subset(row.subset) && !parse_ties_id(row.id)) {
    throw Error(ErrorKind::kInput, "{}: subset Ties expects ids ref:N or tied:N, found '{}'",
                file.string(), row.id);
  }
  ScoredEvalItem item;
  item.item.id = row.id;
  item.item.subset = row.subset;
  // The bootstrap resamples prompts: without texts every row is a prompt of its own.
  item.item.prompt = {{"user", row.subset + "/" + row.id}};
  item.item.chosen.resize(row.chosen.size());
  item.item.rejected.resize(row.rejected.size());
  item.score_chosen = row.chosen;
  item.score_rejected = row.rejected;
  return item;
}

/// The sampling unit: a row, or both rows of a question of the Ties subset.
std::string sampling_unit(const EvalItem& item, std::size_t row) {
  const auto ties = is_ties_subset(item.subset) ? parse_ties_id(item.id) : std::nullopt;
  return ties ? fmt::format("ties:{}", ties->number) : std::to_string(row);
}

}  // namespace

std::string identity(const EvalItem& item) {
  return json::array(
             {item.subset, item.id, conversation_json(item.prompt), item.chosen, item.rejected})
      .dump();
}

BenchmarkRows read_benchmark(std::span<const fs::path> paths, const ReadBenchmarkOptions& options,
                             bool with_scores) {
  BenchmarkRows result;
  std::unordered_map<std::string, std::string> seen;  // identity -> location
  for (const fs::path& path : paths) {
    if (const auto published = with_scores ? storage::read_published_scores(path) : std::nullopt) {
      for (const storage::PublishedRow& row : *published) {
        ScoredEvalItem item = scored_item(row, options.benchmark, path);
        const auto [it, is_new] = seen.try_emplace(identity(item.item), path.string());
        if (!is_new) {
          throw Error(ErrorKind::kInput, "{}: row {} of subset {} is there twice", path.string(),
                      row.id, row.subset);
        }
        result.rows.push_back(std::move(item));
      }
      continue;
    }
    std::vector<std::string> columns = {"id",           "subset",        "domain",
                                        "prompt",       "chosen",        "rejected",
                                        "num_correct",  "num_incorrect", "total_completions",
                                        "score_chosen", "score_rejected"};
    for (std::string& column : published_columns(options.benchmark))
      columns.push_back(std::move(column));
    storage::RowReader reader(
        path, {.max_bad_rows = options.max_bad_rows, .split = {}, .policy = {}}, columns);
    while (const RowView* row = reader.next()) {
      try {
        result.rows.push_back(parse_row(*row, reader, options.benchmark, with_scores));
      } catch (const Error& error) {
        reader.reject(error.message());
        continue;
      }
      const auto [it, is_new] =
          seen.try_emplace(identity(result.rows.back().item), reader.location());
      if (!is_new) {
        throw Error(ErrorKind::kInput, "{}: duplicate of row {}: give each benchmark file once",
                    reader.location(), it->second);
      }
    }
    reader.finish();
    result.num_bad_rows += reader.num_bad_rows();
  }
  return result;
}

std::vector<ScoredEvalItem> limit_per_subset(std::vector<ScoredEvalItem> rows, std::int64_t limit,
                                             std::uint64_t seed) {
  if (limit <= 0) return rows;
  std::vector<std::string> subsets;
  for (const ScoredEvalItem& row : rows) subsets.push_back(row.item.subset);
  std::vector<std::size_t> kept;
  for (const RowGroup& subset : rows_by_group(subsets)) {
    std::vector<std::string> units;
    for (std::size_t row : subset.rows) units.push_back(sampling_unit(rows[row].item, row));
    std::vector<RowGroup> drawn = rows_by_group(units);
    RandomStream random(seed, "evaluate-limit/" + subset.name);
    random.shuffle(drawn);
    std::int64_t count = 0;
    for (const RowGroup& unit : drawn) {
      const auto size = static_cast<std::int64_t>(unit.rows.size());
      if (count > 0 && count + size > limit) break;
      count += size;
      for (std::size_t member : unit.rows) kept.push_back(subset.rows[member]);
    }
  }
  std::sort(kept.begin(), kept.end());
  std::vector<ScoredEvalItem> result;
  for (std::size_t i : kept) result.push_back(std::move(rows[i]));
  return result;
}

}  // namespace charm::evaluate
