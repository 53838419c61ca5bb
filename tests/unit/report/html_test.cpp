#include "charm/report/html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace charm::report {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(EscapeHtml, LeavesNothingThatMeansSomething) {
  EXPECT_EQ(escape_html("<b a=\"1\" b='2'>&amp;"),
            "&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;amp;");
  EXPECT_EQ(escape_html(std::string_view("a\0b", 3)),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(ScriptJson, CannotEndTheScriptAndReadsBackEqual) {
  const nlohmann::ordered_json json = {{"text", "</script><!-- <script> & \xE2\x80\xA8 \xC3\xA9"}};
  const std::string text = script_json(json);
  EXPECT_THAT(text, Not(HasSubstr("<")));
  EXPECT_EQ(nlohmann::ordered_json::parse(text), json);
}

TEST(ScriptJson, InvalidUtf8DoesNotThrow) {
  EXPECT_THAT(script_json({{"name", "a\xFF"}}), HasSubstr("\\ufffd"));
}

TEST(TableHtml, NamesRowsAndEscapesCells) {
  const std::string html =
      table_html({"<caption>", {{"policy", false}, {"MD", true}}, {{"<x>", "0.5"}}});
  EXPECT_THAT(html, HasSubstr("<caption>&lt;caption&gt;</caption>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">&lt;x&gt;</th><td class=\"number\">0.5</td>"));
}

TEST(Numbers, AsTheReportWritesThem) {
  EXPECT_EQ(percent_measured_text(results::Estimate{0.6214, results::Interval{0.584, 0.657}}),
            "62.1 % [58.4, 65.7]");
  EXPECT_EQ(signed_measured_text(results::Estimate{0.3, std::nullopt}, 2), "+0.30");
  EXPECT_EQ(measured_text(std::nullopt), "–");
  EXPECT_EQ(number_text(std::numeric_limits<double>::quiet_NaN()), "–");
}

}  // namespace
}  // namespace charm::report
