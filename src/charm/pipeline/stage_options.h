#pragma once

#include "charm/calibrate/calibrate_stage.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/explain/explain_stage.h"
#include "charm/generate/generate_stage.h"
#include "charm/measure/measure_stage.h"
#include "charm/pipeline/option_table.h"
#include "charm/prefer/prefer.h"
#include "charm/prepare/prepare.h"
#include "charm/rate/rate_stage.h"
#include "charm/score/score_stage.h"
#include "charm/train/train_stage.h"

// The options of each stage as option tables, shared by the command line and recipes. Input and
// output files, `--threads` and `--fresh` are not included: commands add them, `charm run` sets
// them.
namespace charm::pipeline {

void describe_reading(OptionTable& table, storage::ReadOptions& options);
void describe_model(OptionTable& table, model::RewardModelOptions& options);
void describe_encoder(OptionTable& table, text::EncoderOptions& options);
void describe_scorer(OptionTable& table, score::ScorerOptions& options);

/// `--category` and `--alias`: matching of policies and ratings.
void describe_ratings(OptionTable& table, std::string& category,
                      std::map<std::string, std::string>& aliases);

void describe_prepare(OptionTable& table, prepare::PrepareOptions& options);
void describe_generate(OptionTable& table, generate::GenerateStageOptions& options);
void describe_score(OptionTable& table, score::ScoreStageOptions& options);
void describe_rate(OptionTable& table, rate::RateOptions& options);
void describe_measure(OptionTable& table, measure::MeasureOptions& options);
void describe_calibrate(OptionTable& table, calibrate::CalibrateOptions& options);
void describe_prefer(OptionTable& table, prefer::PreferOptions& options);
void describe_train(OptionTable& table, train::TrainOptions& options);
void describe_evaluate(OptionTable& table, evaluate::EvaluateOptions& options);
void describe_explain(OptionTable& table, explain::ExplainOptions& options);

}  // namespace charm::pipeline
