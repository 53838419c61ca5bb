#include "charm/base/option_table.h"
#include "charm/score/score_stage.h"

namespace charm::score {

void describe_scorer(OptionTable& table, ScorerOptions& options) {
  table
      .choice("pooling", options.pooling, {{"auto", Pooling::kAuto}, {"last", Pooling::kLast}},
              "Pooled token, whose hidden state gives the score: auto is the right-most token that "
              "is not config.pad_token_id, as in transformers; last is always the last token.")
      .integer("budget-tokens", options.budget_tokens, "N",
               "Tokens per batch. More is faster up to the limits of cache and memory; on a CPU "
               "scores do not depend on it. 0: 4096 on a CPU, 16384 on a GPU.")
      .at_least(0)
      .without_effect({"budget-tokens"});  // so that a run whose memory ran out goes on with fewer
}

void describe_settings(OptionTable& table, ScoreStageOptions& options) {
  engine::describe_model(table, options.model);
  text::describe_encoder(table, options.encoder);
  describe_scorer(table, options.scorer);
  table
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows, and rows without a score, tolerated before the command fails.")
      .at_least(0)
      .without_effect({"max-bad-rows"});
}

namespace {

/// `--shard` and `--merge`.
void describe_shards(OptionTable& table, ScoreStageOptions& options) {
  table
      .add({.name = "shard",
            .value_name = "K/N",
            .help =
                "Score shard K of N, a share of the prompts, for N processes that are started with "
                "the same other options and meet in the output folder. The last one to finish "
                "joins all shards, to the same bytes as one process. K counts from 0 as ranks do, "
                "or from 1 (N/N is 0/N). mpirun, torchrun and srun tell K and N by themselves; "
                "there 0/1 scores everything in each process. In a Slurm array give "
                "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT.",
            .recorded = Recorded::kNowhere,
            .assign =
                [&options](const std::vector<std::string>& values) {
                  options.shard = parse_shard(values.front());
                },
            .value = [&options]() -> OptionValue {
              if (!options.shard) return {};
              return options.shard->text();
            }})
      .flag("merge", options.merge,
            "Score nothing, and join the shards that processes with --shard have scored: for a run "
            "whose last process was killed before it joined them. Needs --output alone, and no "
            "model; an incomplete shard is an error that names its command.")
      .without_effect({"merge"});
}

}  // namespace

void describe_command(OptionTable& table, ScoreStageOptions& options) {
  table
      .path("model", options.model_dir, "DIR",
            "Reward model: a Hugging Face folder, hub:OWNER/NAME, or rm_config.json:NAME for a "
            "model of the original project's list. Required, except with --merge.")
      .paths("responses", options.responses, "FILE",
             "Files of responses, one or more policies each; the policy is a column (policy, "
             "generator, model) or the file's name. A benchmark's rows (prompt, chosen, rejected) "
             "are scored as the policies chosen and rejected.")
      .paths(
          "votes", options.votes, "FILE",
          "Files of votes with texts instead of responses (Arena's sets, PPE, MT-bench "
          "judgments): both responses of every vote are scored, and the output is a scored-votes "
          "file for measure, calibrate and evaluate.")
      .path("output", options.output, "DIR",
            "Output folder, with one <policy>.parquet per policy; with --votes a file "
            "(.parquet, .jsonl).")
      .required();
  storage::describe_columns(table, options.columns);
  describe_settings(table, options);
  describe_shards(table, options);
  table
      .paths(
          "check", options.check, "FILE",
          "Scores of another program (column score) to compare with, or RewardBench's published "
          "scores (eval-set-scores/<org>/<name>.json) of the benchmark's rows. Rows are joined on "
          "policy, prompt_id and sample; with a single policy on prompt_id and sample; by "
          "position if the file has neither prompt_id nor prompt.")
      .number("tolerance", options.check_tolerance, "X",
              "With --check, the maximum difference relative to max(1, |reference score|). By "
              "default 1e-4 in float32 and 0.1 in bfloat16.")
      .at_least(0)
      .without_effect({"tolerance"})
      .paths("resume", options.resume, "FILE",
             "Scores files of earlier runs with the same model and settings: scores of identical "
             "rows are reused. A file of another model, template, dtype or version is an error.");
}

}  // namespace charm::score
