#include "charm/records/features.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace charm::explain {
namespace {

double feature(const std::string& text, std::string_view name) {
  const Features features = response_features(text);
  for (std::size_t k = 0; k < kNumFeatures; ++k) {
    if (kFeatures[k].name == name) return features[k];
  }
  ADD_FAILURE() << "no feature " << name;
  return 0.0;
}

TEST(Features, EmptyResponseHasNone) {
  for (const double value : response_features("")) EXPECT_EQ(value, 0.0);
}

TEST(Features, LengthCountsCharacters) {
  EXPECT_DOUBLE_EQ(feature("abc", "log_length"), std::log(4.0));
  EXPECT_DOUBLE_EQ(feature("äöü", "log_length"), std::log(4.0));
}

TEST(Features, CountsMarkdown) {
  const std::string text =
      "# Title\n\n**one** and __two__\n- a\n- b\n1. c\n```py\n# not a header!\n- not a "
      "list\n```\nDone! Really!\n";
  EXPECT_EQ(feature(text, "headers"), 1.0);
  EXPECT_EQ(feature(text, "bold"), 2.0);
  EXPECT_EQ(feature(text, "lists"), 3.0);
  EXPECT_EQ(feature(text, "code_blocks"), 1.0);
  EXPECT_EQ(feature(text, "exclamations"), 2.0);
}

TEST(Features, UnclosedFenceIsNoBlock) {
  EXPECT_EQ(feature("```\nx!", "code_blocks"), 0.0);
  EXPECT_EQ(feature("```\nx!", "exclamations"), 1.0);
}

TEST(Features, Refusals) {
  EXPECT_EQ(feature("I'm sorry, but I can't help with that.", "refusal"), 1.0);
  EXPECT_EQ(feature("I\xE2\x80\x99m sorry.", "refusal"), 1.0);
  EXPECT_EQ(feature("As an AI language model, I have no body.", "refusal"), 1.0);
  EXPECT_EQ(feature("As an air traffic controller I land planes.", "refusal"), 0.0);
  EXPECT_EQ(feature("The judge said nothing.", "refusal"), 0.0);
  EXPECT_EQ(feature(std::string(300, 'x') + " I cannot", "refusal"), 0.0) << "far from the start";
}

TEST(Features, Openings) {
  EXPECT_EQ(feature("Sure! Here is a poem.", "opening_agreement"), 1.0);
  EXPECT_EQ(feature("Sure! Here is a poem.", "opening_announcement"), 0.0);
  EXPECT_EQ(feature("  **Certainly**, the answer", "opening_agreement"), 1.0);
  EXPECT_EQ(feature("Surely not.", "opening_agreement"), 0.0);
  EXPECT_EQ(feature("Here are three ideas:", "opening_announcement"), 1.0);
  EXPECT_EQ(feature("Here\xE2\x80\x99s one", "opening_announcement"), 1.0);
  EXPECT_EQ(feature("Hereafter", "opening_announcement"), 0.0);
}

}  // namespace
}  // namespace charm::explain
