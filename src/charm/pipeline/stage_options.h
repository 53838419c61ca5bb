#pragma once

#include <map>
#include <string>

#include "charm/pipeline/option_table.h"

namespace charm::calibrate {
struct CalibrateOptions;
}  // namespace charm::calibrate
namespace charm::evaluate {
struct EvaluateOptions;
}  // namespace charm::evaluate
namespace charm::explain {
struct ExplainOptions;
}  // namespace charm::explain
namespace charm::generate {
struct GenerateStageOptions;
}  // namespace charm::generate
namespace charm::measure {
struct MeasureOptions;
}  // namespace charm::measure
namespace charm::model {
enum class AdapterChoice;
struct RewardModelOptions;
}  // namespace charm::model
namespace charm::prefer {
struct PreferOptions;
}  // namespace charm::prefer
namespace charm::prepare {
struct PrepareOptions;
}  // namespace charm::prepare
namespace charm::rate {
struct RateOptions;
}  // namespace charm::rate
namespace charm::score {
struct ScorerOptions;
struct ScoreStageOptions;
}  // namespace charm::score
namespace charm::storage {
struct ReadOptions;
}  // namespace charm::storage
namespace charm::text {
struct EncoderOptions;
}  // namespace charm::text
namespace charm::train {
struct TrainOptions;
}  // namespace charm::train

// The options of each stage as option tables, shared by the command line and recipes. Input and
// output files, `--threads` and `--fresh` are not included: commands add them, `charm run` sets
// them.
namespace charm::pipeline {

void describe_reading(OptionTable& table, storage::ReadOptions& options);
void describe_adapter(OptionTable& table, model::AdapterChoice& adapter);
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
