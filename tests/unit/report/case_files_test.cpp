#include "charm/report/case_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/report/case_builder.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

const std::string kHostile = "</script><script>markupRan = 1</script> \xE2\x80\xA8 <!-- & \"";

/// Two cells of two cases each, one of them in both.
CaseSet small_set() {
  CaseBuilder builder(".", 2, 5);
  builder.begin_group("md/rm", "Mismatch degree, rm", "differences");
  const auto add = [&](const std::string& key) {
    Case one{.id = "", .prompt_id = key};
    one.a = {.name = "x", .score = 1.5, .score_after = 0.5};
    one.b = {.name = "y", .score = -0.25};
    one.prompt = builder.add_text("question " + key, /*is_response=*/false);
    one.a.text = builder.add_text(kHostile + key, /*is_response=*/true);
    one.vote = 0.0;
    return builder.add_case(key, std::move(one)).first;
  };
  const std::size_t first = add("1"), second = add("2"), third = add("3");
  builder.add_cell(
      {.a = "x", .b = "y", .total = 9, .cases = {{third, true, false}, {first, false, true}}});
  builder.add_cell(
      {.a = "x", .b = "z", .total = 8, .cases = {{second, true, true}, {third, false, true}}});
  return builder.finish();
}

TEST(CaseJson, AllInOneBundle) {
  const CaseSet set = small_set();
  const CaseBundles bundles = one_bundle(set);
  const Json index = case_index_json(set, bundles);
  const Json bundle = case_bundle_json(set, bundles.cases.front());
  EXPECT_EQ(index["seed"], 5);
  EXPECT_EQ(index["features"][0], "characters");
  EXPECT_EQ(index["groups"][0]["key"], "md/rm");
  EXPECT_EQ(index["cells"][0]["cases"],
            Json::array({{set.cases[2].id, 2, 1}, {set.cases[0].id, 0, 2}}));
  EXPECT_EQ(index["cells"][1]["cases"][0][2], 3);
  const Json& one = bundle["cases"][2];
  EXPECT_EQ(one["prompt_id"], "3");
  EXPECT_EQ(one["a"]["after"], 0.5);
  EXPECT_EQ(bundle["texts"][one["a"]["text"].get<std::size_t>()], kHostile + "3");
  EXPECT_EQ(bundle["features"][one["a"]["text"].get<std::size_t>()][0],
            static_cast<std::int64_t>(num_code_points(kHostile + "3")));
  EXPECT_TRUE(bundle["features"][one["prompt"].get<std::size_t>()].is_null());
  EXPECT_TRUE(one["b"]["text"].is_null());
  EXPECT_FALSE(one["b"].contains("after"));
  EXPECT_EQ(one["vote"], 0.0);
}

TEST(CaseJson, ABundlePerCellHasItsCasesAlone) {
  const CaseSet set = small_set();
  const CaseBundles bundles = bundle_per_cell(set);
  const Json index = case_index_json(set, bundles);
  EXPECT_EQ(index["cells"][1]["bundle"], 1);
  EXPECT_EQ(index["cells"][1]["cases"],
            Json::array({{set.cases[1].id, 0, 3}, {set.cases[2].id, 1, 2}}));
  EXPECT_EQ(case_bundle_json(set, bundles.cases[1])["cases"][1]["prompt_id"], "3");
}

TEST(CaseFiles, TextsCannotEndTheirElement) {
  const CaseFiles embedded = embedded_cases(small_set());
  EXPECT_THAT(embedded.data, Not(HasSubstr("markupRan")));  // compressed
  const CaseFiles site = site_files(small_set());
  ASSERT_EQ(site.scripts.size(), 2u);
  for (const std::string& script : site.scripts) {
    EXPECT_THAT(script, ::testing::StartsWith("charmCases("));
    EXPECT_THAT(script, Not(HasSubstr("<")));
    EXPECT_THAT(script, HasSubstr("\\u003c/script\\u003e"));
    EXPECT_THAT(script, Not(HasSubstr("\xE2\x80\xA8")));  // a line end in old JavaScript
  }
  EXPECT_EQ(embedded_cases({}).data, "");
}

TEST(CaseFiles, EqualTextsAreStoredOnce) {
  CaseBuilder builder(".", 100, 0);
  builder.begin_group("g", "", "");
  const std::string text(10'000, 'x');
  for (int i = 0; i < 200; ++i) {
    Case one{.id = "", .prompt_id = std::to_string(i)};
    one.a.text = builder.add_text(text, /*is_response=*/true);
    builder.add_case(std::to_string(i), std::move(one));
  }
  EXPECT_LT(embedded_cases(builder.finish()).num_bytes, 10'000);
}

TEST(WriteSite, ReplacesOnlyASite) {
  const testing::TempFolder folder;
  const std::string html = "<meta name=\"generator\" content=\"charm report\">";
  EXPECT_NO_THROW(require_replaceable_site(folder / "new"));
  EXPECT_EQ(write_site(folder / "site/", html, {"one", "two"}), folder / "site/index.html");
  EXPECT_EQ(read_file(folder / "site/cases/1.js"), "two");
  require_replaceable_site(folder / "site");
  write_site(folder / "site", html, {"one"});
  EXPECT_FALSE(fs::exists(folder / "site/cases/1.js"));
  folder.file("work/thesis.txt", "x");
  EXPECT_ERROR(kUsage, "is not the folder of a report", require_replaceable_site(folder / "work"));
  folder.file("page/index.html", "<html>");
  EXPECT_ERROR(kUsage, "is not the folder of a report", require_replaceable_site(folder / "page"));
  EXPECT_ERROR(kUsage, "is not the folder of a report",
               require_replaceable_site(folder / "work/thesis.txt"));
}

}  // namespace
}  // namespace charm::report
