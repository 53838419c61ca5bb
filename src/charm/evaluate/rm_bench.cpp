#include "charm/evaluate/rm_bench.h"

#include <algorithm>
#include <set>

#include "charm/base/check.h"
#include "charm/evaluate/prompt_bootstrap.h"
#include "charm/evaluate/result_json.h"

namespace charm::evaluate {
namespace {

constexpr std::array<std::string_view, 4> kDomains = {"chat", "math", "code", "safety"};

using Matrix = std::array<std::array<double, kRmBenchStyles>, kRmBenchStyles>;

/// Rows counted together: one domain, or one file's part of it.
struct RowSet {
  std::string name;
  std::vector<std::size_t> rows;
};

Matrix accuracy_matrix(std::span<const ScoredEvalItem> rows, const RowSet& set,
                       std::span<const double> weights) {
  Matrix matrix{};
  double total = 0.0;
  for (std::size_t r : set.rows) {
    total += weights[r];
    for (std::size_t i = 0; i < kRmBenchStyles; ++i) {
      for (std::size_t j = 0; j < kRmBenchStyles; ++j) {
        if (rows[r].score_chosen[i] > rows[r].score_rejected[j]) matrix[i][j] += weights[r];
      }
    }
  }
  for (auto& line : matrix) {
    for (double& cell : line) cell /= total;
  }
  return matrix;
}

/// hard, normal, easy and their mean.
std::array<double, 4> difficulty_scores(const Matrix& m) {
  const double hard = (m[0][1] + m[0][2] + m[1][2]) / 3.0;
  const double normal = (m[0][0] + m[1][1] + m[2][2]) / 3.0;
  const double easy = (m[1][0] + m[2][0] + m[2][1]) / 3.0;
  return {hard, normal, easy, (hard + normal + easy) / 3.0};
}

void put_domain(nlohmann::ordered_json& entry, const RmBenchDomain& domain) {
  put_estimate(entry, "score", domain.score);
  put_estimate(entry, "hard", domain.hard);
  put_estimate(entry, "normal", domain.normal);
  put_estimate(entry, "easy", domain.easy);
  entry["matrix"] = domain.matrix;
  entry["num_rows"] = domain.num_rows;
  entry["ties"] = domain.ties;
  entry["num_comparisons"] = domain.num_comparisons;
}

void put_means(nlohmann::ordered_json& json, const RmBenchMeans& means, const std::string& suffix) {
  put_estimate(json, "overall" + suffix, means.score);
  put_estimate(json, "hard" + suffix, means.hard);
  put_estimate(json, "normal" + suffix, means.normal);
  put_estimate(json, "easy" + suffix, means.easy);
}

}  // namespace

std::string_view rm_bench_domain(std::string_view name) {
  for (std::string_view domain : kDomains) {
    if (name.starts_with(domain)) return domain;
  }
  return {};
}

RmBenchResult rm_bench_result(std::span<const ScoredEvalItem> rows,
                              const BootstrapOptions& options) {
  if (rows.empty()) throw Error(ErrorKind::kInput, "RM-Bench: there are no rows to evaluate");
  std::vector<RowSet> domains, subsets;
  std::set<std::string> names;
  std::vector<std::string> prompts, groups;
  for (const ScoredEvalItem& row : rows) {
    CHARM_CHECK(
        row.score_chosen.size() == kRmBenchStyles && row.score_rejected.size() == kRmBenchStyles,
        "row {} has {} and {} scores", row.item.id, row.score_chosen.size(),
        row.score_rejected.size());
    CHARM_CHECK(!rm_bench_domain(row.item.subset).empty(), "row {} has domain '{}'", row.item.id,
                row.item.subset);
    names.insert(row.item.subset);
    prompts.push_back(prompt_id_of(row.item.prompt));
    groups.push_back(row.item.subset);
  }
  RmBenchResult result;
  for (std::string_view domain : kDomains) {
    RowSet set{std::string(domain), {}};
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (rm_bench_domain(rows[r].item.subset) == domain) set.rows.push_back(r);
    }
    if (set.rows.empty()) {
      result.missing_domains.emplace_back(domain);
    } else {
      domains.push_back(std::move(set));
    }
  }
  for (const std::string& name : names) {
    RowSet set{name, {}};
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (rows[r].item.subset == name) set.rows.push_back(r);
    }
    subsets.push_back(std::move(set));
  }

  // Statistics in the order: hard, normal, easy, score of every domain; of every subset; of the
  // mean over domains.
  const auto statistics = [&](std::span<const double> weights) {
    std::vector<double> values;
    std::array<double, 4> mean{};
    for (const RowSet& set : domains) {
      const auto scores = difficulty_scores(accuracy_matrix(rows, set, weights));
      values.insert(values.end(), scores.begin(), scores.end());
      for (std::size_t k = 0; k < 4; ++k)
        mean[k] += scores[k] / static_cast<double>(domains.size());
    }
    for (const RowSet& set : subsets) {
      const auto scores = difficulty_scores(accuracy_matrix(rows, set, weights));
      values.insert(values.end(), scores.begin(), scores.end());
    }
    values.insert(values.end(), mean.begin(), mean.end());
    return values;
  };
  const std::vector<Estimate> estimates =
      bootstrap_estimates(PromptBootstrap(prompts, groups), statistics, options);

  const std::vector<double> ones(rows.size(), 1.0);
  std::size_t next = 0;
  const auto take_domain = [&](const RowSet& set) {
    RmBenchDomain domain;
    domain.name = set.name;
    domain.matrix = accuracy_matrix(rows, set, ones);
    domain.hard = estimates[next++];
    domain.normal = estimates[next++];
    domain.easy = estimates[next++];
    domain.score = estimates[next++];
    domain.num_rows = static_cast<std::int64_t>(set.rows.size());
    for (std::size_t r : set.rows) {
      for (double chosen : rows[r].score_chosen) {
        domain.ties +=
            std::count(rows[r].score_rejected.begin(), rows[r].score_rejected.end(), chosen);
      }
    }
    domain.num_comparisons =
        domain.num_rows * static_cast<std::int64_t>(kRmBenchStyles * kRmBenchStyles);
    return domain;
  };
  for (const RowSet& set : domains) {
    result.domains.push_back(take_domain(set));
    result.num_rows += result.domains.back().num_rows;
    result.ties += result.domains.back().ties;
  }
  for (const RowSet& set : subsets) result.subsets.push_back(take_domain(set));
  RmBenchMeans& partial = result.overall_partial;
  partial.hard = estimates[next++];
  partial.normal = estimates[next++];
  partial.easy = estimates[next++];
  partial.score = estimates[next++];
  if (result.missing_domains.empty()) result.overall = partial;
  return result;
}

nlohmann::ordered_json to_json(const RmBenchResult& result) {
  nlohmann::ordered_json json;
  if (result.overall) put_means(json, *result.overall, "");
  put_means(json, result.overall_partial, "_partial");
  json["num_rows"] = result.num_rows;
  json["ties"] = result.ties;
  json["num_comparisons"] =
      result.num_rows * static_cast<std::int64_t>(kRmBenchStyles * kRmBenchStyles);
  json["domains"] = nlohmann::ordered_json::object();
  for (const RmBenchDomain& domain : result.domains)
    put_domain(json["domains"][domain.name], domain);
  json["subsets"] = nlohmann::ordered_json::object();
  for (const RmBenchDomain& subset : result.subsets)
    put_domain(json["subsets"][subset.name], subset);
  json["missing_domains"] = result.missing_domains;
  return json;
}

}  // namespace charm::evaluate
