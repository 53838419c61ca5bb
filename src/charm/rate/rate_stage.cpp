#include "charm/rate/rate_stage.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/output_lock.h"
#include "charm/base/strings.h"
#include "charm/rate/ratings.h"
#include "charm/records/arena.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"
#include "charm/storage/ratings.h"

namespace charm::rate {
namespace {

using Json = nlohmann::ordered_json;

// A battle with models as indices and style features as differences.
struct Vote {
  std::uint32_t a;
  std::uint32_t b;
  double outcome;
  std::array<double, kNumStyles> styles;
};

struct Votes {
  std::vector<std::string> models;
  std::vector<Vote> rows;
};

class VoteCollector {
 public:
  explicit VoteCollector(StyleControl style) : style_(style) {}

  void add(Battle&& battle) {
    Vote vote{.a = index_of(battle.model_a),
              .b = index_of(battle.model_b),
              .outcome = battle.outcome,
              .styles = {}};
    if (style_ != StyleControl::kNone) {
      const StyleCounts a = battle.style_a ? *battle.style_a : count_style(battle.text_a);
      const StyleCounts b = battle.style_b ? *battle.style_b : count_style(battle.text_b);
      vote.styles = style_differences(a, b, style_);
    }
    votes_.rows.push_back(vote);
  }

  Votes take() { return std::move(votes_); }

 private:
  std::uint32_t index_of(const std::string& model) {
    const auto [place, is_new] =
        index_.try_emplace(model, static_cast<std::uint32_t>(votes_.models.size()));
    if (is_new) votes_.models.push_back(model);
    return place->second;
  }

  StyleControl style_;
  Votes votes_;
  std::map<std::string, std::uint32_t> index_;
};

// "GPT-4" and "gpt-4" are most likely one model whose battles would be split.
void check_names(const std::vector<std::string>& models) {
  std::map<std::string, std::string> seen;
  for (const std::string& model : models) {
    const std::string folded = lower_ascii(model);
    const auto [place, is_new] = seen.try_emplace(folded, model);
    if (!is_new) {
      throw Error(ErrorKind::kInput,
                  "the battles name '{}' and '{}', which differ in case only; use one spelling",
                  place->second, model);
    }
  }
}

// Drops models with few battles until all have enough; warns with their names.
void drop_rare_models(Votes& votes, std::int64_t min_battles, std::vector<std::string>& warnings) {
  std::vector<std::string> dropped;
  while (true) {
    std::vector<std::int64_t> counts(votes.models.size(), 0);
    for (const Vote& vote : votes.rows) {
      ++counts[vote.a];
      ++counts[vote.b];
    }
    const auto is_rare = [&](std::size_t model) {
      return counts[model] > 0 && counts[model] < min_battles;
    };
    const std::size_t before = dropped.size();
    for (std::size_t m = 0; m < counts.size(); ++m) {
      if (is_rare(m)) dropped.push_back(votes.models[m]);
    }
    if (dropped.size() == before) break;
    std::erase_if(votes.rows, [&](const Vote& vote) { return is_rare(vote.a) || is_rare(vote.b); });
    if (votes.rows.empty()) {
      throw Error(ErrorKind::kInput, "no battles remain: no model has {} of them (--min-battles)",
                  min_battles);
    }
  }
  if (dropped.empty()) return;
  warnings.push_back(fmt::format("{} models with fewer than {} battles are dropped: {}",
                                 dropped.size(), min_battles, fmt::join(dropped, ", ")));
}

// Standardises features (mean 0, population standard deviation 1), as FastChat and arena-rank do.
void add_features(const Votes& votes, ComparisonTable& table) {
  table.num_features = kNumStyles;
  table.features.resize(votes.rows.size() * kNumStyles);
  const auto count = static_cast<double>(votes.rows.size());
  for (std::size_t f = 0; f < kNumStyles; ++f) {
    double mean = 0.0;
    for (const Vote& vote : votes.rows) mean += vote.styles[f] / count;
    double variance = 0.0;
    for (const Vote& vote : votes.rows) {
      variance += (vote.styles[f] - mean) * (vote.styles[f] - mean) / count;
    }
    const double deviation = variance > 0.0 ? std::sqrt(variance) : 1.0;
    for (std::size_t row = 0; row < votes.rows.size(); ++row) {
      table.features[row * kNumStyles + f] = (votes.rows[row].styles[f] - mean) / deviation;
    }
  }
}

// Models sorted by name; identical votes are merged where no fit tells them apart.
ComparisonTable make_table(const Votes& votes, StyleControl style, bool is_merged) {
  std::map<std::string, std::uint32_t> present;
  for (const Vote& vote : votes.rows) {
    present.try_emplace(votes.models[vote.a], 0);
    present.try_emplace(votes.models[vote.b], 0);
  }
  ComparisonTable table;
  std::vector<std::uint32_t> index(votes.models.size(), 0);
  for (auto& [name, place] : present) {
    place = static_cast<std::uint32_t>(table.models.size());
    table.models.push_back(name);
  }
  for (std::size_t m = 0; m < votes.models.size(); ++m) {
    const auto place = present.find(votes.models[m]);
    if (place != present.end()) index[m] = place->second;
  }
  if (!is_merged) {
    for (const Vote& vote : votes.rows) {
      table.rows.push_back({.a = index[vote.a], .b = index[vote.b], .outcome = vote.outcome});
    }
    if (style != StyleControl::kNone) add_features(votes, table);
    return table;
  }
  std::map<std::tuple<std::uint32_t, std::uint32_t, double>, double> counts;
  for (const Vote& vote : votes.rows) ++counts[{index[vote.a], index[vote.b], vote.outcome}];
  for (const auto& [key, count] : counts) {
    const auto& [a, b, outcome] = key;
    table.rows.push_back({.a = a, .b = b, .outcome = outcome, .count = count});
  }
  return table;
}

// "3 not anonymous (--keep-named), 2 duplicates (--keep-duplicates)"; empty if all rows are used.
std::string left_out(const storage::BattleCounts& counts) {
  std::vector<std::string> parts;
  const auto add = [&](std::int64_t count, std::string_view what) {
    if (count > 0) parts.push_back(fmt::format("{} {}", count, what));
  };
  add(counts.num_untagged, "without the tag (--category-tag)");
  add(counts.num_named, "not anonymous (--keep-named)");
  add(counts.num_duplicates, "duplicates (--keep-duplicates)");
  add(counts.num_unjudged, "without a verdict");
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::int64_t num_used(const storage::BattleCounts& counts) {
  return counts.num_rows - counts.num_untagged - counts.num_named - counts.num_duplicates -
         counts.num_unjudged;
}

void report_rows(const fs::path& path, const storage::BattleCounts& counts) {
  if (num_used(counts) == counts.num_rows) return;
  log::info("{}: {} of {} rows are used; left out: {}", path.string(), num_used(counts),
            counts.num_rows, left_out(counts));
}

void add_counts(storage::BattleCounts& total, const storage::BattleCounts& counts) {
  total.num_rows += counts.num_rows;
  total.num_untagged += counts.num_untagged;
  total.num_named += counts.num_named;
  total.num_duplicates += counts.num_duplicates;
  total.num_unjudged += counts.num_unjudged;
  total.num_unnamed += counts.num_unnamed;
  total.num_battles += counts.num_battles;
}

void require_battles(const storage::BattleCounts& total) {
  if (total.num_battles > 0) return;
  throw Error(ErrorKind::kInput, "none of the {} rows is a battle; left out: {}", total.num_rows,
              left_out(total));
}

Json rows_json(const storage::BattleCounts& counts) {
  return {{"num_rows", counts.num_rows},         {"num_untagged", counts.num_untagged},
          {"num_named", counts.num_named},       {"num_duplicates", counts.num_duplicates},
          {"num_unjudged", counts.num_unjudged}, {"num_battles", counts.num_battles}};
}

FitOptions fit_options(const RateOptions& options) {
  FitOptions fit{.style = options.style,
                 .ties = options.ties,
                 .order_effect = options.order_effect,
                 .prior_sd_elo = options.prior_sd,
                 .anchor = {},
                 .bootstrap = options.bootstrap,
                 .seed = options.seed,
                 .num_threads = options.num_threads};
  if (options.anchor.size() > 1) {
    throw Error(ErrorKind::kUsage, "--anchor: {} models given, expected one",
                options.anchor.size());
  }
  for (const auto& [model, score] : options.anchor) {
    std::size_t used = 0;
    try {
      fit.anchor_elo = std::stod(score, &used);
    } catch (const std::exception&) {
      used = 0;
    }
    if (used == 0 || used != score.size() || !std::isfinite(fit.anchor_elo)) {
      throw Error(ErrorKind::kUsage, "--anchor: '{}={}' gives no number of Elo points", model,
                  score);
    }
    fit.anchor = model;
  }
  return fit;
}

}  // namespace

Ratings rate(const RateOptions& options, const ProgressFn& progress) {
  if (options.battles.empty()) {
    throw Error(ErrorKind::kUsage, "no battles given; name one file or more with --battles");
  }
  const FitOptions fit = fit_options(options);
  storage::require_each_once(options.battles);
  require_distinct(options.output, options.battles);
  results::require_json_name(options.output);
  require_writable(options.output);
  const OutputLock lock(options.output);
  storage::Manifest manifest("rate");
  manifest.options(options, describe_command);

  VoteCollector collector(options.style);
  storage::BattleCounts total;
  for (const fs::path& path : options.battles) {
    const storage::BattleCounts counts =
        storage::for_each_battle(path, options.read,
                                 {.with_styles = options.style != StyleControl::kNone,
                                  .keep_named = options.keep_named,
                                  .keep_duplicates = options.keep_duplicates,
                                  .category_tag = options.category_tag,
                                  .baseline = options.baseline},
                                 [&](Battle&& battle) { collector.add(std::move(battle)); });
    report_rows(path, counts);
    add_counts(total, counts);
    manifest.input(path, counts.num_battles);
  }
  if (!options.baseline.empty() && total.num_unnamed == 0) {
    throw Error(ErrorKind::kUsage,
                "--baseline {}: no row is a judgment of arena-hard that names no baseline; leave "
                "the option out",
                options.baseline);
  }
  require_battles(total);
  Votes votes = collector.take();
  check_names(votes.models);
  std::vector<std::string> warnings;
  drop_rare_models(votes, options.min_battles, warnings);
  const bool has_tie_model = needs_tie_ratings(fit);
  const bool is_merged = options.style == StyleControl::kNone && !has_tie_model;
  const ComparisonTable table = make_table(votes, options.style, is_merged);
  Ratings ratings =
      has_tie_model ? rate_with_ties(table, fit, progress) : rate_models(table, fit, progress);
  ratings.warnings.insert(ratings.warnings.begin(), warnings.begin(), warnings.end());
  for (const std::string& warning : ratings.warnings) log::warning("{}", warning);

  if (!ratings.styles.empty()) {
    Json styles = Json::array();
    for (const StyleCoefficient& style : ratings.styles) {
      styles.push_back({{"feature", style.feature},
                        {"coefficient", style.value},
                        {"coefficient_ci95", {style.ci95.lo, style.ci95.hi}}});
    }
    manifest.extra("styles", styles);
  }
  for (const auto& [name, parameter] : {std::pair{"order_effect", ratings.order_effect},
                                        {"tie_parameter", ratings.tie_parameter}}) {
    if (!parameter) continue;
    manifest.extra(name, {{"value", parameter->value},
                          {"value_ci95", {parameter->ci95.lo, parameter->ci95.hi}}});
  }
  manifest.extra("rows", rows_json(total));
  manifest.extra("warnings", ratings.warnings);
  write_file(options.output, results::to_json(ratings.models).dump(/*indent=*/2) + "\n");
  manifest.output(options.output, static_cast<std::int64_t>(ratings.models.size()));
  storage::write_manifest(options.output, manifest);
  return ratings;
}

}  // namespace charm::rate
