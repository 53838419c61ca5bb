#include "charm/cli/unnamed_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/cli/command_line.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::cli {
namespace {

using charm::testing::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class UnnamedArguments : public ::testing::Test {
 protected:
  UnnamedArguments() {
    create_folders(folder / "rm");
    create_folders(folder / "adapter");
    create_folders(folder / "run/calibration");
    folder.file("rm/config.json", "{}");
    folder.file("adapter/adapter_config.json", "{}");
    responses = folder.file("gpt4.jsonl", R"({"prompt": "a", "response": "b"})").string();
    scores = folder.file("s.jsonl", R"({"prompt_id": "a", "score": 1.5})").string();
    pairs = folder.file("p.jsonl", R"({"prompt": "a", "chosen": "b", "rejected": "c"})").string();
    votes = folder.file("v.jsonl", R"({"model_a": "a", "model_b": "b", "winner": "tie"})").string();
    ratings = folder.file("r.json", R"({"gpt4": 1273})").string();
    table = folder.file("r.csv", "model,rating\ngpt4,1273\n").string();
    calibration =
        folder
            .file("c.json",
                  R"({"mode": "same-prompt", "reference": "a", "policies": [], "pairs": []})")
            .string();
    model = (folder / "rm").string();
  }

  /// What the program says to a command with arguments of no option.
  static std::string answer(const std::vector<std::string>& arguments) {
    try {
      run_program(arguments);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.message();
    }
    return "no error";
  }

  TempFolder folder;
  std::string responses, scores, pairs, votes, ratings, table, calibration, model;
};

TEST_F(UnnamedArguments, AModelAndAFileAreWrittenWithTheirOptions) {
  EXPECT_EQ(answer({"score", model, responses}),
            "unexpected arguments '" + model + "', '" + responses + "'; write --model " + model +
                " --responses " + responses + "; see charm score --help");
  EXPECT_THAT(answer({"score", "--model", model, responses, scores}),
              HasSubstr("; write --responses " + responses + " " + scores + ";"));
}

TEST_F(UnnamedArguments, EveryCommandKnowsItsOwn) {
  const auto expect = [](const std::vector<std::string>& arguments, const std::string& advice) {
    EXPECT_THAT(answer(arguments), HasSubstr("; write " + advice + "; see charm "));
  };
  const std::string run = (folder / "run").string(), adapter = (folder / "adapter").string();
  expect({"prepare", pairs}, "--input " + pairs);
  expect({"generate", model}, "--model " + model);
  expect({"generate", "http://localhost:8000"}, "--server http://localhost:8000");
  expect({"score", model, votes}, "--model " + model + " --votes " + votes);
  expect({"score", adapter}, "--adapter " + adapter);
  expect({"score", "hub:org/rm"}, "--model hub:org/rm");
  expect({"rate", votes}, "--battles " + votes);
  expect({"measure", scores, ratings}, "--scores " + scores + " --ratings " + ratings);
  expect({"calibrate", scores, table}, "--scores " + scores + " --ratings " + table);
  expect({"prefer", scores, calibration}, "--scores " + scores + " --calibration " + calibration);
  expect({"train", model, pairs}, "--model " + model + " --preferences " + pairs);
  expect({"evaluate", model, pairs}, "--model " + model + " --data " + pairs);
  expect({"evaluate", scores}, "--scores " + scores);
  expect({"explain", scores, calibration}, "--scores " + scores + " --calibration " + calibration);
  expect({"show", scores, ratings}, "--scores " + scores + " --ratings " + ratings);
  expect({"report", run}, "--run " + run);
  expect({"serve", model}, "--model " + model);
  expect({"demo", "new/run"}, "--output new/run");
}

TEST_F(UnnamedArguments, WordsAreQuotedForAShell) {
  const std::string file = folder.file("it's mine.jsonl", "{}").string();
  EXPECT_THAT(answer({"score", file}), HasSubstr("'\\''s mine.jsonl'; see"));
}

TEST_F(UnnamedArguments, WhatFitsNothingIsSaid) {
  EXPECT_THAT(answer({"measure", "loss"}),
              AllOf(HasSubstr("'loss': a value follows the option that it is of"),
                    Not(HasSubstr("write --"))));
  EXPECT_THAT(answer({"inspect", model, model}), HasSubstr(": the command takes one "));
  const std::string recipe = folder.file("r.yaml", "run_dir: run").string();
  EXPECT_THAT(answer({"score", recipe}), HasSubstr("; a recipe is run by charm run " + recipe));
  EXPECT_THAT(answer({"score", "--model", model, model}), Not(HasSubstr("write --model")))
      << "it is there already";
}

}  // namespace
}  // namespace charm::cli
