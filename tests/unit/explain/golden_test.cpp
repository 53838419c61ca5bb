// Regression and LOWESS against statsmodels (tools/golden/make_explain_golden.py).

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "charm/base/files.h"
#include "charm/explain/lowess.h"
#include "charm/explain/regression.h"
#include "tests/support/source_dir.h"

namespace charm::explain {
namespace {

using nlohmann::json;

json golden(const std::string& name) {
  return json::parse(
      read_file(fs::path(charm::test::kSourceDir) / "tests/data/golden/explain" / name));
}

TEST(ExplainGolden, RegressionIsStatsmodelsOls) {
  const json file = golden("regression.json");
  std::vector<Column> columns;
  for (const json& values : file["columns"])
    columns.push_back({"c" + std::to_string(columns.size()), values});
  const std::vector<std::uint32_t> clusters = file["clusters"];
  const Regression fit =
      clustered_regression(columns, file["y"].get<std::vector<double>>(), clusters, 60);
  const double tolerance = file["tolerance"];
  double worst = 0.0;
  const auto compare = [&](const char* what, std::size_t k, double found, double expected) {
    const double error = std::abs(found - expected) / std::max(1e-3, std::abs(expected));
    worst = std::max(worst, error);
    EXPECT_LE(error, tolerance) << what << " " << k << ": " << found << " instead of " << expected;
  };
  ASSERT_EQ(fit.coefficients.size(), file["coefficients"].size());
  for (std::size_t k = 0; k < fit.coefficients.size(); ++k) {
    const auto interval = fit.interval(fit.coefficients[k], fit.errors[k]);
    compare("coefficient", k, fit.coefficients[k], file["coefficients"][k]);
    compare("error", k, fit.errors[k], file["errors"][k]);
    compare("lower end", k, interval.lo, file["lo"][k]);
    compare("upper end", k, interval.hi, file["hi"][k]);
  }
  compare("r squared", 0, fit.r_squared, file["r_squared"]);
  RecordProperty("worst", std::to_string(worst));
  for (const auto& [degrees, expected] : file["student_975"].items())
    EXPECT_NEAR(student_975(std::stod(degrees)), expected.get<double>(), 1e-6) << degrees;
}

TEST(ExplainGolden, LowessIsStatsmodels) {
  const json file = golden("lowess.json");
  const std::vector<double> x = file["x"];
  const std::vector<double> y = file["y"];
  for (const json& expected : file["cases"]) {
    const Lowess curve(x, y,
                       {.fraction = expected["frac"],
                        .robust_iterations = expected["it"],
                        .delta = expected["delta"]});
    ASSERT_EQ(curve.fitted().size(), expected["fitted"].size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(curve.x()[i], expected["x"][i].get<double>());
      EXPECT_NEAR(curve.fitted()[i], expected["fitted"][i].get<double>(),
                  file["tolerance"].get<double>())
          << "frac " << expected["frac"] << ", point " << i;
    }
  }
}

TEST(Lowess, LinesStayLines) {
  std::vector<double> x, y;
  for (int i = 0; i < 50; ++i) {
    x.push_back(i * i);
    y.push_back(3.0 - 0.5 * x.back());
  }
  const Lowess curve(x, y, {.fraction = 0.4});
  EXPECT_NEAR(curve.at(10.5), 3.0 - 0.5 * 10.5, 1e-9);
  EXPECT_EQ(curve.at(-5.0), curve.fitted().front());
  EXPECT_EQ(curve.at(1e9), curve.fitted().back());
}

TEST(Lowess, EqualLengthsHaveNoCurve) {
  const Lowess curve(std::vector<double>(20, 7.0), std::vector<double>(20, 1.5), {});
  EXPECT_DOUBLE_EQ(curve.at(7.0), 1.5);
  EXPECT_TRUE(std::isfinite(curve.at(8.0)));
}

}  // namespace
}  // namespace charm::explain
