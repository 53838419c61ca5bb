#include "charm/base/option_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/expect_error.h"

namespace charm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

enum class Colour { kRed, kBlue };

struct Settings {
  bool loud = false;
  bool kept = true;
  std::string name = "x";
  std::int32_t count = 3;
  std::uint64_t seed = 0;
  std::optional<std::int64_t> limit;
  double share = 0.5;
  fs::path file;
  std::vector<fs::path> files;
  std::map<std::string, std::string> aliases;
  Colour colour = Colour::kBlue;
};

OptionTable table_of(Settings& s) {
  OptionTable table;
  table.flag("loud", s.loud, "Loud.")
      .negative_flag("drop", s.kept, "Drop.")
      .text("name", s.name, "NAME", "Name.")
      .integer("count", s.count, "N", "Count.")
      .integer("seed", s.seed, "S", "Seed.")
      .integer("limit", s.limit, "N", "Limit.")
      .number("share", s.share, "X", "Share.")
      .path("file", s.file, "FILE", "File.")
      .paths("files", s.files, "FILE", "Files.")
      .pairs("alias", s.aliases, "A=B", "Alias.")
      .choice("colour", s.colour, {{"red", Colour::kRed}, {"blue", Colour::kBlue}}, "Colour.");
  return table;
}

void assign(const OptionTable& table, std::string_view name, std::vector<std::string> values) {
  table.find(name)->assign(values);
}

std::string refusal(const OptionTable& table, std::string_view name,
                    std::vector<std::string> values) {
  try {
    assign(table, name, std::move(values));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.message();
  }
  return "";
}

TEST(OptionTable, GivesValuesToTheFieldsItIsBoundTo) {
  Settings s;
  const OptionTable table = table_of(s);
  assign(table, "loud", {});
  assign(table, "drop", {});
  assign(table, "name", {"ada"});
  assign(table, "count", {"-7"});
  assign(table, "limit", {"12"});
  assign(table, "share", {"2e-6"});
  assign(table, "files", {"a", "b"});
  assign(table, "alias", {"x=y", "p=q=r"});
  assign(table, "colour", {"red"});
  EXPECT_TRUE(s.loud);
  EXPECT_FALSE(s.kept);
  EXPECT_EQ(s.name, "ada");
  EXPECT_EQ(s.count, -7);
  EXPECT_EQ(s.limit, 12);
  EXPECT_DOUBLE_EQ(s.share, 2e-6);
  EXPECT_THAT(s.files, ElementsAre("a", "b"));
  EXPECT_EQ(s.aliases.at("p"), "q=r");
  EXPECT_EQ(s.colour, Colour::kRed);
}

TEST(OptionTable, ReadsTheFieldsItIsBoundTo) {
  Settings s;
  const OptionTable table = table_of(s);
  const auto value = [&](std::string_view name) { return table.find(name)->value(); };
  EXPECT_EQ(value("loud"), OptionValue(false));
  EXPECT_EQ(value("drop"), OptionValue(false)) << "kept";
  EXPECT_EQ(value("limit"), OptionValue());
  EXPECT_EQ(value("colour"), OptionValue(std::string("blue")));
  assign(table, "drop", {});
  assign(table, "count", {"-7"});
  assign(table, "seed", {"9223372036854775807"});
  assign(table, "limit", {"12"});
  assign(table, "share", {"0.25"});
  assign(table, "file", {"a/b"});
  assign(table, "files", {"a", "b"});
  assign(table, "alias", {"x=y"});
  assign(table, "colour", {"red"});
  EXPECT_EQ(value("drop"), OptionValue(true));
  EXPECT_EQ(value("name"), OptionValue(std::string("x")));
  EXPECT_EQ(value("count"), OptionValue(std::int64_t{-7}));
  EXPECT_EQ(value("seed"), OptionValue(std::uint64_t{9223372036854775807u}));
  EXPECT_EQ(value("limit"), OptionValue(std::int64_t{12}));
  EXPECT_EQ(value("share"), OptionValue(0.25));
  EXPECT_EQ(value("file"), OptionValue(std::string("a/b")));
  EXPECT_EQ(value("files"), OptionValue(std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(value("alias"), OptionValue(std::map<std::string, std::string>{{"x", "y"}}));
  EXPECT_EQ(value("colour"), OptionValue(std::string("red")));
}

TEST(OptionTable, SaysWhatAManifestHolds) {
  Settings s;
  OptionTable table = table_of(s);
  EXPECT_EQ(table.find("count")->recorded, Recorded::kAsOption);
  EXPECT_EQ(table.find("file")->recorded, Recorded::kElsewhere);
  EXPECT_EQ(table.find("files")->recorded, Recorded::kElsewhere);
  table.without_effect({"count", "loud"}).recorded_elsewhere({"name"}).recorded_as_option({"file"});
  EXPECT_EQ(table.find("count")->recorded, Recorded::kNowhere);
  EXPECT_EQ(table.find("loud")->recorded, Recorded::kNowhere);
  EXPECT_EQ(table.find("name")->recorded, Recorded::kElsewhere);
  EXPECT_EQ(table.find("file")->recorded, Recorded::kAsOption);
  EXPECT_ERROR(kInternal, "no option --size", table.without_effect({"size"}));
}

TEST(OptionTable, NumbersHaveALeastValueAndPathsAreNotEmpty) {
  Settings s;
  OptionTable table;
  table.integer("count", s.count, "N", "Count.")
      .at_least(1)
      .paths("files", s.files, "FILE", "Files.");
  assign(table, "count", {"1"});
  EXPECT_EQ(s.count, 1);
  EXPECT_EQ(refusal(table, "count", {"0"}), "expected 1 or more, found 0");
  EXPECT_EQ(refusal(table, "count", {"many"}), "expected a whole number, found 'many'");
  EXPECT_THAT(refusal(table, "count", {"one"}), HasSubstr("whole number"));
  EXPECT_EQ(s.count, 1);
  EXPECT_THAT(refusal(table, "files", {"a", ""}), HasSubstr("empty"));
}

TEST(OptionTable, ShowsDefaults) {
  Settings s;
  const OptionTable table = table_of(s);
  EXPECT_EQ(table.find("count")->default_text, "3");
  EXPECT_EQ(table.find("share")->default_text, "0.5");
  EXPECT_EQ(table.find("colour")->default_text, "blue");
  EXPECT_EQ(table.find("colour")->value_name, "red|blue");
  EXPECT_EQ(table.find("limit")->default_text, "");
}

TEST(OptionTable, UnderscoresAndDashesAreTheSame) {
  std::int64_t tokens = 0;
  OptionTable table;
  table.integer("max-tokens", tokens, "N", "Tokens.");
  EXPECT_NE(table.find("max_tokens"), nullptr);
  EXPECT_EQ(table.find("max tokens"), nullptr);
}

TEST(OptionTable, RefusesWhatDoesNotFit) {
  Settings s;
  const OptionTable table = table_of(s);
  EXPECT_THAT(refusal(table, "count", {"3.5"}), HasSubstr("whole number"));
  EXPECT_THAT(refusal(table, "count", {""}), HasSubstr("whole number"));
  EXPECT_THAT(refusal(table, "count", {"99999999999"}), HasSubstr("fewer digits"));
  EXPECT_THAT(refusal(table, "seed", {"-1"}), HasSubstr("not negative"));
  EXPECT_THAT(refusal(table, "share", {"half"}), HasSubstr("expected a number"));
  EXPECT_THAT(refusal(table, "share", {"nan"}), HasSubstr("expected a number"));
  EXPECT_THAT(refusal(table, "colour", {"green"}), HasSubstr("red|blue"));
  EXPECT_THAT(refusal(table, "alias", {"xy"}), HasSubstr("NAME=NAME"));
  EXPECT_THAT(refusal(table, "alias", {"a=b", "a=c"}), HasSubstr("given twice"));
  EXPECT_EQ(s.count, 3);
}

TEST(OptionTable, DescribingAnOptionTwiceIsABugOfOurs) {
  Settings s;
  OptionTable table = table_of(s);
  EXPECT_ERROR(kInternal, "--loud is described twice", table.flag("loud", s.loud, ""));
}

TEST(MeantOption, KnowsTheNamesOfOtherTools) {
  const std::vector<std::string> train = {"learning-rate", "layers", "pairs-per-step", "epochs"};
  EXPECT_EQ(meant_option("lr", train), "learning-rate");
  EXPECT_EQ(meant_option("batch_size", train), "pairs-per-step");
  EXPECT_EQ(meant_option("num_train_epochs", train), "epochs");
  EXPECT_EQ(meant_option("layer", train), "layers");
  // A synonym of an option that the command does not have is none.
  EXPECT_EQ(meant_option("lr", std::vector<std::string>{"layers"}), "layers");
  EXPECT_EQ(meant_option("lr", std::vector<std::string>{}), "");
  EXPECT_EQ(meant_option("p", train), "pairs-per-step") << "there are no short options";
}

TEST(OptionTable, NumbersOutOfRangeAreRefusedAndNotAssigned) {
  Settings s;
  OptionTable table;
  table.number("half-open", s.share, "X", "")
      .range({.lowest = 0, .highest = 1, .below_highest = true})
      .integer("limit", s.limit, "N", "")
      .above(2);
  EXPECT_EQ(refusal(table, "half-open", {"1"}), "expected at least 0 and less than 1, found 1");
  EXPECT_EQ(refusal(table, "half-open", {"-1e-9"}),
            "expected at least 0 and less than 1, found -1e-9");
  EXPECT_EQ(s.share, 0.5);
  EXPECT_EQ(refusal(table, "half-open", {"0"}), "");
  EXPECT_EQ(refusal(table, "limit", {"2"}), "expected more than 2, found 2");
  EXPECT_EQ(s.limit, std::nullopt);
  EXPECT_EQ(refusal(table, "limit", {"3"}), "");
  EXPECT_EQ((NumberRange{.lowest = 0, .highest = 1}).text(), "0 to 1");
  EXPECT_EQ((NumberRange{.lowest = 0, .highest = 1, .above_lowest = true}).text(),
            "more than 0 and at most 1");
}

}  // namespace
}  // namespace charm
