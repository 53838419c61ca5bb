#include "charm/stats/hypothesis_tests.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/stats/descriptive.h"
#include "tests/support/source_dir.h"

namespace charm::stats {
namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(
      read_file(charm::test::kSourceDir + std::string("/tests/data/golden/eval/statistics.json")));
}

TEST(McNemar, EqualsStatsmodels) {
  for (const auto& expected : golden()["mcnemar"]) {
    const McNemar found = mcnemar_test(expected["gained"], expected["lost"]);
    EXPECT_NEAR(found.p_value, expected["p_value"].get<double>(), 1e-12) << expected;
    ASSERT_EQ(found.statistic.has_value(), !expected["statistic"].is_null()) << expected;
    if (found.statistic) {
      EXPECT_NEAR(*found.statistic, expected["statistic"].get<double>(), 1e-12);
    }
    // The other way round it is the same test.
    EXPECT_EQ(mcnemar_test(expected["lost"], expected["gained"]).p_value, found.p_value);
  }
}

TEST(McNemar, ClusteredEqualsItsFormula) {
  const nlohmann::json expected = golden()["mcnemar_clustered"];
  std::vector<double> differences;
  for (const auto& cluster : expected["clusters"]) {
    differences.push_back(cluster[0].get<double>() - cluster[1].get<double>());
  }
  const McNemar found = clustered_mcnemar_test(differences);
  EXPECT_NEAR(*found.statistic, expected["statistic"].get<double>(), 1e-12);
  EXPECT_NEAR(found.p_value, expected["p_value"].get<double>(), 1e-12);
  EXPECT_EQ(clustered_mcnemar_test(std::vector<double>{0.0, 0.0}).p_value, 1.0);
}

TEST(Multiplicity, EqualsStatsmodels) {
  const nlohmann::json expected = golden()["multiplicity"];
  const std::vector<double> p_values = expected["p_values"];
  const std::vector<double> holm = holm_adjusted(p_values);
  const std::vector<double> hochberg = benjamini_hochberg_adjusted(p_values);
  for (std::size_t i = 0; i < p_values.size(); ++i) {
    EXPECT_NEAR(holm[i], expected["holm"][i].get<double>(), 1e-15) << i;
    EXPECT_NEAR(hochberg[i], expected["benjamini_hochberg"][i].get<double>(), 1e-15) << i;
  }
  EXPECT_TRUE(holm_adjusted({}).empty());
}

TEST(Correlation, EqualsScipy) {
  const nlohmann::json expected = golden()["arena"];
  const std::vector<double> values = expected["values"], ratings = expected["ratings"];
  EXPECT_NEAR(*spearman(values, ratings), expected["spearman"].get<double>(), 1e-12);
  EXPECT_NEAR(*kendall_tau_b(values, ratings), expected["kendall"].get<double>(), 1e-12);
  EXPECT_NEAR(*pearson(values, ratings), expected["pearson"].get<double>(), 1e-12);
}

}  // namespace
}  // namespace charm::stats
