#include "charm/report/report_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "charm/base/error.h"
#include "charm/report/embedded.h"
#include "tests/support/expect_error.h"
#include "tests/unit/report/made_up_run.h"

namespace charm::report {
namespace {

using testing::HasSubstr;
using testing::Not;

class WriteReport : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("charm_report_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string report() const {
    return read_file(write_report({.run_dir = folder_, .output = {}, .title = {}}, {}).output);
  }

  /// Without the scripts' and styles' text.
  static std::string markup(std::string html) {
    for (const char* element : {"script", "style"}) {
      std::string kept;
      const std::string open = std::string("<") + element,
                        close = std::string("</") + element + ">";
      std::size_t at = 0;
      for (std::size_t begin; (begin = html.find(open, at)) != std::string::npos;) {
        const std::size_t inside = html.find('>', begin) + 1;
        kept += html.substr(at, inside - at);
        at = html.find(close, inside);
      }
      html = kept + html.substr(at);
    }
    return html;
  }

  fs::path folder_;
};

TEST_F(WriteReport, StatesOnlySignificantFindings) {
  write_made_up_run(folder_);
  const std::string html = report();
  EXPECT_THAT(html, HasSubstr("(MD +0.30 [+0.20, +0.40]). At equal length MD is +0.05 "
                              "[-0.10, +0.20]: the interval includes 0.</li>"));
  EXPECT_THAT(html, HasSubstr("<td class=\"number\">0.310 [0.290, 0.360]</td>"));
  EXPECT_THAT(html, HasSubstr("do not apply to a benchmark's texts"));
  EXPECT_THAT(html, HasSubstr("on 79 held-out prompts the offsets change mean |MD| from "
                              "0.310 to 0.070; expected under sampling noise: 0.080"));
  EXPECT_THAT(html, HasSubstr("code_blocks was dropped"));
}

TEST_F(WriteReport, HasEveryPart) {
  write_made_up_run(folder_);
  const std::string html = report();
  for (const char* id : {"summary", "world", "win-rates", "mismatch", "offsets", "explanation",
                         "scores", "ratings", "training", "evaluation", "cases", "provenance"}) {
    EXPECT_THAT(html, HasSubstr("<section id=\"" + std::string(id) + "\">"));
  }
  EXPECT_THAT(html, Not(HasSubstr("class=\"missing\"")));
  EXPECT_THAT(html, HasSubstr("MD +0.300 [+0.200, +0.400]: over-valued"));
  EXPECT_THAT(html, HasSubstr("After retraining MD is +0.050 [-0.050, +0.150] on 200 prompts, "
                              "closer to 0 than before; the two intervals do not overlap"));
  EXPECT_THAT(html, HasSubstr("without math, so not comparable"));
  EXPECT_THAT(html,
              HasSubstr("fitted on part of the prompts; win rates and MD are on the held-out"));
  EXPECT_THAT(html, HasSubstr("the offsets added to scores of held-out prompts"));
  EXPECT_THAT(html, HasSubstr("<td class=\"number\">33.0 %</td>"))
      << "after calibration, on the held-out prompts as before it";
  EXPECT_THAT(html, HasSubstr("abc123"));
}

TEST_F(WriteReport, PerPolicyBiasIsOnTheFirstScreen) {
  write_made_up_run(folder_);
  const std::string html = report();
  const std::size_t table = html.find("Per-policy bias of rm: mean MD");
  ASSERT_NE(table, std::string::npos);
  EXPECT_LT(table, html.find("<ul class=\"summary\">"));
  EXPECT_EQ(html.find("Per-policy bias of rm-duo"), std::string::npos);
  // The most over-valued first, with the value after training.
  EXPECT_THAT(html, HasSubstr("<td class=\"number\">+0.30 [+0.25, +0.35]</td><td>over-valued</td>"
                              "<td class=\"number\">+0.05 [+0.00, +0.10]</td>"
                              "<td class=\"number\">200</td>"));
  EXPECT_LT(html.find(">showman</th>", table), html.find(">solid</th>", table));
}

TEST_F(WriteReport, ResultsOnPromptsThatWereTrainedOnAreCalledInSample) {
  write_made_up_run(folder_);
  EXPECT_THAT(report(), Not(HasSubstr("in-sample: the model was trained on them")));
  fs::remove(folder_ / "splits/rm.json");
  const std::string html = report();
  EXPECT_THAT(html, HasSubstr("on 200 prompts, in-sample: the model was trained on them"));
  EXPECT_THAT(html, HasSubstr("after training: rm-duo (in-sample)"));
}

TEST_F(WriteReport, EqualModelsAreNotEqualByChance) {
  write_made_up_run(folder_);
  const fs::path file = folder_ / "comparison/rm-duo/rm-bench.json";
  auto json = nlohmann::ordered_json::parse(read_file(file));
  json["overall_partial"]["difference"] = 0.0;
  json["overall_partial"]["difference_ci95"] = {0.0, 0.0};
  write_file(file, json.dump());
  const std::string html = report();
  EXPECT_THAT(html, HasSubstr("the difference is +0.000 [+0.000, +0.000], equal.</li>"));
  EXPECT_THAT(html, Not(HasSubstr("+0.000 [+0.000, +0.000], not significant")));
}

TEST_F(WriteReport, ComparesOnTheSameRows) {
  write_made_up_run(folder_);
  const std::string html = report();
  EXPECT_THAT(html, HasSubstr("rm-duo against rm, on the same rows"));
  EXPECT_THAT(html, HasSubstr("Effect of training"));
  EXPECT_THAT(html, HasSubstr("mean |MD|, change</th><td class=\"number\"></td><td "
                              "class=\"number\">-0.101 [-0.150, -0.050]"));
  EXPECT_THAT(html, HasSubstr("mean |MD|, held-out policies</th>"));
  EXPECT_THAT(html, HasSubstr("solid, mean |MD|"));
  EXPECT_THAT(
      html, HasSubstr("<td class=\"number\">-0.025 [-0.040, -0.010]</td><td class=\"number\">3</td>"
                      "<td class=\"number\">11</td><td class=\"number\">&lt; 0.001</td>"));
  EXPECT_THAT(html, HasSubstr("mean score, Spearman"));
  EXPECT_THAT(html, HasSubstr("on the same rows the difference is -0.025 [-0.040, -0.010].</li>"));
  EXPECT_THAT(html, HasSubstr("Calibration of pair probabilities, and length"));
  EXPECT_THAT(html, HasSubstr("0.250 [0.200, 0.300]"));
}

TEST_F(WriteReport, ComparesVotesWithoutOffsets) {
  write_made_up_run(folder_);
  const auto votes = [](double accuracy) {
    return nlohmann::ordered_json{{"accuracy", accuracy},
                                  {"accuracy_ci95", {accuracy - 0.1, accuracy + 0.1}}};
  };
  write_file(folder_ / "eval/rm/votes.json", nlohmann::ordered_json{{"benchmark", "votes"},
                                                                    {"overall", 0.7},
                                                                    {"without_offsets", votes(0.6)},
                                                                    {"with_offsets", votes(0.7)}}
                                                 .dump());
  write_file(folder_ / "eval/rm-duo/votes.json",
             nlohmann::ordered_json{
                 {"benchmark", "votes"}, {"overall", 0.65}, {"without_offsets", votes(0.65)}}
                 .dump());
  write_file(folder_ / "comparison/rm-duo/votes.json",
             nlohmann::ordered_json{{"benchmark", "votes"},
                                    {"a", {{"name", "rm"}}},
                                    {"b", {{"name", "rm-duo"}}},
                                    {"overall",
                                     {{"a", 0.6},
                                      {"b", 0.65},
                                      {"difference", 0.05},
                                      {"difference_ci95", {0.01, 0.09}},
                                      {"gained", 12},
                                      {"lost", 5},
                                      {"mcnemar", {{"p_value", 0.02}}},
                                      {"log_loss",
                                       {{"a", 0.66},
                                        {"b", 0.64},
                                        {"difference", -0.02},
                                        {"difference_ci95", {-0.03, -0.01}}}}}}}
                 .dump());
  const std::string html = report();
  EXPECT_THAT(html, HasSubstr("accuracy on decided votes</th><td class=\"number\">0.600</td>"
                              "<td class=\"number\">0.650</td>"));
  EXPECT_THAT(html, HasSubstr("log-loss</th><td class=\"number\">0.660</td>"));
  EXPECT_THAT(html, HasSubstr("without offsets"));
  EXPECT_THAT(html, HasSubstr("votes (accuracy without offsets): 0.600 [0.500, 0.700] under rm, "
                              "0.650 [0.550, 0.750] under rm-duo; on the same rows the difference "
                              "is +0.050 [+0.010, +0.090]."));
}

TEST_F(WriteReport, SetsWithTheSameOffsetsShowThemOnce) {
  write_made_up_run(folder_);
  const auto plots = [&] {
    const std::string html = report();
    std::size_t count = 0;
    for (std::size_t at = html.find("Offset of each policy"); at != std::string::npos;
         at = html.find("Offset of each policy", at + 1))
      ++count;
    return std::pair(count, html);
  };
  EXPECT_EQ(plots().first, 1u);
  fs::copy_file(folder_ / "calibration/rm/duo.json", folder_ / "calibration/rm/twin.json");
  const auto [count, html] = plots();
  EXPECT_EQ(count, 1u);
  EXPECT_THAT(html, HasSubstr("The same offsets as set duo."));
}

TEST_F(WriteReport, LoadsNothingFromElsewhere) {
  write_made_up_run(folder_);
  const std::string html = report();
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  const std::string text = markup(html);
  const std::regex load(
      R"((src|srcset|data|action|poster)\s*=|href\s*=\s*"(?!#|data:,)|@import|url\()",
      std::regex::icase);
  std::smatch found;
  EXPECT_FALSE(std::regex_search(text, found, load)) << found.str();
  EXPECT_THAT(html, Not(HasSubstr("sourceMappingURL")));
}

TEST_F(WriteReport, HostileNamesStayText) {
  const std::string hostile = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
  write_made_up_run(folder_, hostile);
  const std::string html = markup(report());  // the libraries' own text holds such words
  EXPECT_THAT(html, Not(HasSubstr("alert(1)</script>")));
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(1)"));
  std::size_t open = 0, close = 0;
  for (std::size_t at = 0; (at = html.find("<script", at)) != std::string::npos; ++at) ++open;
  for (std::size_t at = 0; (at = html.find("</script", at)) != std::string::npos; ++at) ++close;
  EXPECT_EQ(open, close);
}

TEST_F(WriteReport, ScriptsDoNotEndThemselves) {
  for (std::string_view script : {vega_js(), vega_lite_js(), vega_embed_js(), report_js(),
                                  tables_js(), case_data_js(), cases_js()}) {
    EXPECT_GT(script.size(), 1000u);
    EXPECT_EQ(script.find("</script"), std::string_view::npos);
    EXPECT_EQ(script.find("<!--"), std::string_view::npos);
  }
  EXPECT_THAT(std::string(vega_license()), HasSubstr("Copyright"));
}

TEST_F(WriteReport, SaysWhatIsMissing) {
  write_file(folder_ / "mismatch" / "rm.json",
             R"({"policies": [], "pairs": [{"policy": "a", "reference": "b", "num_prompts": 5,
          "target_win_rate": 0.5, "win_rate_before": 0.6, "mismatch_before": 0.2}]})");
  const ReportResult result =
      write_report({.run_dir = folder_, .output = folder_ / "out" / "r.html", .title = "T<"}, {});
  EXPECT_THAT(result.missing, testing::Contains("Training"));
  const std::string html = read_file(folder_ / "out" / "r.html");
  EXPECT_THAT(html, HasSubstr("<h1>T&lt;</h1>"));
  EXPECT_THAT(html, HasSubstr("No training was found"));
  EXPECT_THAT(html, HasSubstr("nothing has been calibrated yet"));
}

TEST_F(WriteReport, NothingToReportIsAnError) {
  EXPECT_ERROR(kInput, "nothing to report",
               write_report({.run_dir = folder_, .output = {}, .title = {}}, {}));
  EXPECT_ERROR(
      kIo, "no such folder",
      write_report({.run_dir = folder_ / "none", .output = folder_ / "r.html", .title = {}}, {}));
}

TEST_F(WriteReport, AMemberOfAnotherTypeIsAnInputError) {
  write_file(folder_ / "eval" / "rm" / "rm-bench.json",
             R"({"benchmark": "rm-bench", "sampling": {"limit_per_subset": "many"}})");
  try {
    report();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_FALSE(fs::exists(folder_ / "report.html"));
  }
}

TEST_F(WriteReport, NumbersLeadToTheirCases) {
  write_made_up_run(folder_);
  const std::string html = report();
  // A cell of the matrix, in its chart and in the table of all pairs; an offset.
  EXPECT_THAT(html, HasSubstr("\"cases\":\"#cases=md%2Frm\\u0026a=showman\\u0026b=plain\""));
  EXPECT_THAT(html, HasSubstr("<td class=\"number\"><a href=\"#cases=md%2Frm&amp;a=showman&amp;"
                              "b=plain\">+0.300 [+0.200, +0.400]</a></td>"));
  EXPECT_THAT(html, HasSubstr("<a href=\"#cases=offsets%2Frm%2Fduo&amp;a=showman&amp;b=solid\">"));
  EXPECT_THAT(html, HasSubstr("\"title\":\"Mismatch degree, rm-duo\""));
  ReportOptions options{.run_dir = folder_, .output = folder_ / "none.html", .title = {}};
  options.cases = 0;
  const ReportResult result = write_report(options, {});
  EXPECT_EQ(result.num_cases, 0);
  EXPECT_THAT(read_file(result.output), Not(HasSubstr("#cases=")));
}

TEST_F(WriteReport, MissingScoresAreSaidOnThePage) {
  write_made_up_run(folder_);
  fs::remove_all(folder_ / "scores");
  const ReportResult result = write_report({.run_dir = folder_, .output = {}, .title = {}}, {});
  EXPECT_EQ(result.num_cases, 0);
  EXPECT_THAT(result.case_problems, testing::Contains(HasSubstr("no scores of this reward model")));
  EXPECT_THAT(read_file(result.output), HasSubstr("no scores of this reward model were found"));
}

TEST_F(WriteReport, TheSameRunGivesTheSameBytes) {
  write_made_up_run(folder_);
  EXPECT_EQ(report(), report());
}

}  // namespace
}  // namespace charm::report
