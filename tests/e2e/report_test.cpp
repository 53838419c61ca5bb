// The report's cases: options, sizes, a site, and the way from a red cell to a pair of answers in
// headless Chromium.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/e2e/small_world.h"
#include "tests/support/source_dir.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class Report : public SmallWorld {
 protected:
  void SetUp() override {
    SmallWorld::SetUp();
    score_all();
    fs::create_directories(path("run/scores"));
    fs::rename(path("scores"), path("run/scores/rm"));
    scores_.clear();
    for (const char* policy : {"helper", "intern", "scholar", "showman"})
      scores_.push_back(path(std::string("run/scores/rm/") + policy + ".parquet"));
    put_markup_into_texts();
    const Outcome outcome =
        run_charm(join({{"measure", "--ratings", path("world/ratings.json"), "--output",
                         path("run/mismatch/rm.json"), "--bootstrap", "20", "--scores"},
                        scores_}));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }

  /// Harmless markup that a page which does not escape would run or show.
  void put_markup_into_texts() {
    for (const std::string& file : scores_) {
      std::vector<ScoredResponse> rows = storage::read_scored_responses(file, {});
      for (ScoredResponse& row : rows)
        row.response.response +=
            "</script><script>markupRan = 1</script><img src=x onerror=\"markupRan = "
            "2\"><b>bold</b>";
      storage::write_scores(file, rows);
    }
  }

  Outcome report(const std::vector<std::string>& more) const {
    return run_charm(join({{"report", "--run", path("run")}, more}));
  }

  /// Exit code and output of tests/browser/click_path.mjs; nothing where node or Chromium is
  /// missing.
  static std::optional<std::pair<int, std::string>> walk(const std::string& page) {
    const auto has = [](const std::string& program) {
      return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
    };
    const std::vector<std::string> names = {"chromium", "chromium-browser", "google-chrome"};
    const auto chromium = std::ranges::find_if(names, has);
    if (!has("node") || chromium == names.end()) return std::nullopt;
    const std::string script = (fs::path(test::kSourceDir) / "tests/browser/click_path.mjs");
    const std::string command =
        fmt::format("node '{}' \"$(command -v {})\" '{}' 2>&1", script, *chromium, page);
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::string text;
    std::array<char, 4096> buffer{};
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
      text.append(buffer.data(), count);
    return std::pair(WEXITSTATUS(::pclose(pipe)), text);
  }

  std::vector<std::string> scores_;
};

TEST_F(Report, SaysHowManyCasesAndHowLarge) {
  Outcome outcome = report({});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(" cases behind 6 numbers"));
  EXPECT_THAT(outcome.out, HasSubstr("compressed inside the file"));
  EXPECT_THAT(outcome.out, HasSubstr("size of the HTML file: "));
  const std::string html = read_file(path("run/report.html"));
  EXPECT_THAT(html, HasSubstr("<a href=\"#cases=md%2Frm&amp;a="));
  EXPECT_THAT(html, Not(HasSubstr("markupRan")));
  EXPECT_THAT(html, HasSubstr("id=\"case-bundle\""));

  outcome = report({"--cases", "0"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, Not(HasSubstr("cases behind")));
  EXPECT_THAT(read_file(path("run/report.html")), Not(HasSubstr("id=\"cases\"")));
}

TEST_F(Report, WritesASite) {
  const Outcome outcome = report({"--site", path("site"), "--cases", "4"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(" cases behind 6 numbers"));
  EXPECT_THAT(outcome.out, HasSubstr("loaded on demand"));
  EXPECT_THAT(read_file(path("site/index.html")), HasSubstr("script-src 'self'"));
  EXPECT_THAT(read_file(path("site/cases/5.js")), HasSubstr("charmCases(5,{"));
  EXPECT_FALSE(fs::exists(path("run/report.html")));
  expect_failure({"report", "--run", path("run"), "--site", path("world")}, 2,
                 {"--site", "is not the folder of a report"});
  expect_failure({"report", "--run", path("run"), "--site", path("s"), "--output", path("o.html")},
                 2, {"--site and --output exclude each other"});
}

TEST_F(Report, MovedScoresAreNamed) {
  fs::rename(path("run/scores/rm"), path("elsewhere"));
  const Outcome outcome = report({});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("helper.parquet was not found"));
  EXPECT_THAT(read_file(path("run/report.html")), HasSubstr("helper.parquet was not found"));
}

TEST_F(Report, FromARedCellToAPairOfAnswers) {
  ASSERT_EQ(report({}).code, 0);
  ASSERT_EQ(report({"--site", path("site"), "--cases", "6"}).code, 0);
  for (const std::string& page : {path("run/report.html"), path("site/index.html")}) {
    const auto run = walk(page);
    if (!run) GTEST_SKIP() << "needs node and chromium (apt-get install nodejs chromium)";
    ASSERT_EQ(run->first, 0) << run->second;
    const json found = json::parse(run->second);
    EXPECT_GT(found["cell"]["mismatch"], 0.0);
    EXPECT_THAT(found["texts"][0].get<std::string>(), HasSubstr("</script><script>markupRan = 1"));
    EXPECT_THAT(found["facts"].get<std::string>(), HasSubstr("characters"));
    EXPECT_EQ(found["names"][0], found["cell"]["policy"]);
  }
}

}  // namespace
}  // namespace charm::e2e
