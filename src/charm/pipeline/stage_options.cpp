#include "charm/pipeline/stage_options.h"

#include "charm/calibrate/calibrate_stage.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/explain/explain_stage.h"
#include "charm/generate/generate_stage.h"
#include "charm/measure/measure_stage.h"
#include "charm/prefer/prefer.h"
#include "charm/prepare/prepare.h"
#include "charm/rate/rate_stage.h"
#include "charm/score/score_stage.h"
#include "charm/train/train_stage.h"

namespace charm::pipeline {
namespace {

void describe_ties(OptionTable& table, stats::TieRule& ties) {
  table.choice("ties", ties, {{"loss", stats::TieRule::kLoss}, {"half", stats::TieRule::kHalf}},
               "How ties count in a win rate: as a loss, as in the original, or as half a win.");
}

}  // namespace

void describe_ratings(OptionTable& table, std::string& category,
                      std::map<std::string, std::string>& aliases) {
  table
      .text("category", category, "NAME",
            "Category of an Arena catalogue, if the ratings file has several.")
      .pairs("alias", aliases, "POLICY=NAME",
             "Name of a policy in the ratings file, if it differs.");
}

void describe_rate(OptionTable& table, rate::RateOptions& options) {
  using rate::StyleControl;
  table
      .pairs("anchor", options.anchor, "MODEL=SCORE",
             "Model with a fixed rating, Elo points; all others are relative to it. Without it the "
             "mean rating is 1000.")
      .choice("style", options.style,
              {{"none", StyleControl::kNone},
               {"fastchat", StyleControl::kFastChat},
               {"arena-rank", StyleControl::kArenaRank}},
              "Style control: covariates for length, headers, lists and bold text (contextual "
              "Bradley-Terry), as defined by FastChat or arena-rank; arena-rank's ridge of 1 on "
              "the mean loss leaves most of the style effect in the ratings.")
      .integer("min-battles", options.min_battles, "N",
               "Models with fewer battles are dropped with a warning. Raise it if a model has won "
               "or lost all of its few battles.")
      .integer("bootstrap", options.bootstrap, "N",
               "Bootstrap replicates (over battles) for the 95 % intervals; 0: sandwich intervals, "
               "as in arena-rank.")
      .at_least(0)
      .integer("seed", options.seed, "S",
               "Seed of the bootstrap; the same seed gives the same file.");
  describe_reading(table, options.read);
}

void describe_measure(OptionTable& table, measure::MeasureOptions& options) {
  describe_ties(table, options.ties);
  table
      .integer("min-prompts", options.min_prompts, "N",
               "Minimum number of common prompts of two policies; a pair with fewer is an error.")
      .at_least(1)
      .flag("strict", options.strict,
            "Prompts that only one policy of a pair answers are an error; by default they are "
            "counted and dropped.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows tolerated before the command fails.")
      .at_least(0)
      .integer("bootstrap", options.bootstrap, "N",
               "Bootstrap replicates (prompts resampled, ratings drawn from their intervals) for "
               "the 95 % intervals; 0: no intervals.")
      .at_least(0)
      .integer("seed", options.seed, "S",
               "Seed of the bootstrap; the same seed gives the same file.");
}

void describe_calibrate(OptionTable& table, calibrate::CalibrateOptions& options) {
  using calibrate::IntervalKind;
  using calibrate::PairWeights;
  using calibrate::SolverKind;
  calibrate::SolveOptions& solve = options.solve;
  table.text("reference", options.reference, "NAME",
             "Reference policy (offset 0). Choose one with a mismatch degree near 0.");
  table.texts("policies", options.policies, "NAME",
              "Policies to calibrate; by default all in the scores files.");
  Option mode{.name = "mode", .value_name = "same-prompt|all-pairs|block:N"};
  mode.help =
      "Win rate that is equalised with the target: same-prompt is the share of prompts where the "
      "policy's score is higher, as in the mismatch degree; all-pairs compares scores across all "
      "prompts through a sigmoid; block:1000 does so within blocks of 1000 rows, as the original "
      "did.";
  mode.default_text = calibrate::mode_name(solve.mode);
  mode.assign = [&solve](const std::vector<std::string>& values) {
    solve.mode = calibrate::parse_mode(values.front());
  };
  table.add(std::move(mode))
      .choice("solver", solve.solver, {{"exact", SolverKind::kExact}, {"adam", SolverKind::kAdam}},
              "exact: exact optimisation; adam: the original's training of a small network, for "
              "comparison.");
  describe_ties(table, solve.ties);
  table
      .choice("weights", solve.weights,
              {{"equal", PairWeights::kEqual}, {"count", PairWeights::kCount}},
              "Weights of the pairs when three or more policies are calibrated jointly: equal, or "
              "proportional to the number of common prompts.")
      .number("temperature", solve.temperature, "X",
              "Temperature of the sigmoid in all-pairs and block modes, score units.")
      .choice("interval", solve.interval,
              {{"bootstrap", IntervalKind::kBootstrap}, {"influence", IntervalKind::kInfluence}},
              "Method of the 95 % intervals: bootstrap over prompts and ratings, or influence "
              "functions (linearisation), which need no resampling and have nearly the same "
              "coverage (see docs/calibration.md).")
      .integer("bootstrap", solve.bootstrap, "N",
               "Bootstrap replicates (prompts resampled, ratings drawn from their intervals); 0: "
               "no intervals.")
      .at_least(0)
      .integer("seed", solve.seed, "S",
               "Seed of the bootstrap and of the adam solver; the same seed gives the same file.")
      .flag("shrink", solve.shrink,
            "Shrink offsets towards 0 according to their standard errors (empirical Bayes; "
            "same-prompt mode). For policies with few prompts, whose offsets would otherwise be "
            "mostly noise.")
      .flag("leave-one-out", options.leave_one_out,
            "Leave-one-out cross-validation: refit without each policy but the reference, and "
            "report the effect of the others' offsets on its mismatch. Needs three or more "
            "policies and one fit per policy.")
      .number("holdout", options.holdout, "X",
              "Share of the prompts, 0 to 1, held out of the fit; win rates and mismatch on them "
              "are reported too. The split equals that of a recipe's holdout with the same seed.")
      .integer("min-prompts", options.min_prompts, "N",
               "Minimum number of common prompts of two policies; a pair with fewer is an error.")
      .at_least(1)
      .flag("strict", options.strict,
            "Prompts that only one policy of a pair answers are an error; by default they are "
            "counted and dropped.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows tolerated before the command fails.")
      .at_least(0);
}

void describe_prefer(OptionTable& table, prefer::PreferOptions& options) {
  using prefer::Pairs;
  using prefer::Ties;
  Option pairs{.name = "pairs", .value_name = "best-worst|vs-reference|all", .default_text = "all"};
  pairs.help =
      "Pairs per prompt, ordered by calibrated score. all: every pair of policies, which includes "
      "most of the close pairs whose order the offsets change, and raised the correlation with "
      "Arena most (docs/results.md); train with --shuffle prompts. vs-reference: every policy "
      "against the reference. best-worst: the highest against the lowest, which most reward models "
      "already order correctly. With two policies they are the same. Not with --best-of-n, which "
      "takes one pair per prompt.";
  pairs.assign = [&options, known = pairs.value_name](const std::vector<std::string>& values) {
    const std::string& word = values.front();
    if (word == "best-worst") {
      options.pairing.pairs = Pairs::kBestWorst;
    } else if (word == "vs-reference") {
      options.pairing.pairs = Pairs::kVsReference;
    } else if (word == "all") {
      options.pairing.pairs = Pairs::kAll;
    } else {
      throw Error(ErrorKind::kUsage, "expected {}, found '{}'", known, word);
    }
  };
  table.add(std::move(pairs))
      .choice("ties", options.pairing.ties, {{"drop", Ties::kDrop}, {"keep", Ties::kKeep}},
              "Pairs with equal calibrated scores: drop them, or keep them with margin 0.")
      .number("min-margin", options.pairing.min_margin, "X",
              "Minimum margin: difference of calibrated scores, in score units. Raise it for fewer "
              "pairs with larger margins.")
      .flag("best-of-n", options.pairing.best_of_n,
            "One pair per prompt from all its responses, of any policy and sample number; the best "
            "calibrated score is chosen. For several samples per policy (column sample); without "
            "it, pairs are joined on the sample number.")
      .choice("rejected", options.pairing.rejected,
              {{"worst", prefer::Rejected::kWorst}, {"random", prefer::Rejected::kRandom}},
              "With --best-of-n, the rejected response: worst is the lowest score; random is any "
              "response below the best, which gives harder pairs.")
      .integer("seed", options.pairing.seed, "S",
               "Seed of --rejected random; the same seed gives the same file.")
      .flag("strict", options.strict,
            "Prompts without a response of some calibrated policy are an error; by default they "
            "are counted.");
  describe_reading(table, options.read);
}

void describe_train(OptionTable& table, train::TrainOptions& options) {
  using train::ComputeDType;
  using train::SaveDType;
  table
      .number("learning-rate", options.learning_rate, "X",
              "Peak learning rate. 2e-6 suits fine-tuning of a reward model; a new head needs 1e-5 "
              "to 1e-4, tiny models more.")
      .number("epochs", options.epochs, "X", "Epochs over the training pairs; may be fractional.")
      .integer("pairs-per-step", options.pairs_per_step, "N",
               "Batch size in pairs per optimiser step; smaller gives more and noisier steps. 0: a "
               "64th of the training pairs, at least 1 and at most 64, so that an epoch has 64 "
               "steps or more if there are 64 pairs; the manifest records it (pairs_per_step).")
      .integer("max-steps", options.max_steps, "N",
               "Maximum number of optimiser steps; 0: given by --epochs.")
      .number("weight-decay", options.weight_decay, "X",
              "AdamW's weight decay; not applied to norms and biases.")
      .number("adam-beta1", options.adam_beta1, "X",
              "AdamW's beta1, the decay of the first moment.")
      .number("adam-beta2", options.adam_beta2, "X",
              "AdamW's beta2, the decay of the second moment.")
      .number("adam-eps", options.adam_eps, "X", "AdamW's epsilon.")
      .number("warmup-fraction", options.warmup_fraction, "X",
              "Share of the steps, 0 to 1, of linear warm-up; then cosine decay to 0. No step has "
              "learning rate 0.")
      .number("clip-norm", options.clip_norm, "X",
              "Gradient clipping: maximum global norm. 0: off.")
      .integer("max-tokens", options.max_tokens, "N",
               "Maximum conversation length in tokens; longer ones are truncated on the left.")
      .integer("budget-tokens", options.budget_tokens, "N",
               "Tokens per forward and backward pass (micro-batch). Bounds the memory; gradients "
               "are accumulated over a step.")
      .at_least(1)
      .number("centering", options.centering, "X",
              "Coefficient of the centering loss mean((r_chosen + r_rejected)^2), which keeps "
              "scores around 0. 0.01 is usual; 0: off.")
      .flag("use-margin", options.use_margin,
            "Margin loss: -log sigmoid(r_chosen - r_rejected - margin), with the pairs' margin "
            "column.")
      .flag("soft-labels", options.soft_labels,
            "Soft labels: the target probability of the chosen response is sigmoid(margin column) "
            "instead of 1, so that the model learns the calibrated score differences. For pairs of "
            "charm prefer; not with --use-margin.")
      .choice(
          "shuffle", options.shuffle,
          {{"pairs", train::Shuffle::kPairs}, {"prompts", train::Shuffle::kPrompts}},
          "Unit of shuffling. prompts keeps the pairs of a prompt in one batch, so that each "
          "response is computed once for all its pairs: several times faster with prefer --pairs "
          "all or vs-reference (choose --pairs-per-step as a multiple of the pairs per prompt).")
      .path("eval-preferences", options.eval_preferences, "FILE",
            "Held-out pairs for evaluation (accuracy, loss); by default --eval-fraction of the "
            "prompts is held out.")
      .number("eval-fraction", options.eval_fraction, "X",
              "Share of the prompts, 0 to 1, held out for evaluation; 0: none.")
      .integer("eval-every", options.eval_every, "STEPS",
               "Steps between evaluations; 0: a quarter of the steps.")
      .integer("max-eval-pairs", options.max_eval_pairs, "N",
               "Evaluate on at most this many held-out pairs; 0: all.")
      .flag("new-head", options.new_head,
            "Add a new, randomly initialised reward head to a causal language model. Without it "
            "the model's own head is fine-tuned.")
      .integer("layers", options.layers, "N", "Keep only the first N layers of the model.")
      .negative_flag("freeze-embeddings", options.train_embeddings, "Freeze the token embeddings.")
      .integer("freeze-layers", options.freeze_layers, "N",
               "Freeze the embeddings and the first N layers, which saves their backward pass.")
      .choice("dtype", options.dtype,
              {{"auto", ComputeDType::kAuto},
               {"float32", ComputeDType::kFloat32},
               {"bfloat16", ComputeDType::kBFloat16}},
              "Element type of the forward and backward pass; master weights and optimiser are "
              "float32. auto: bfloat16 where the machine has it natively.")
      .choice("save-dtype", options.save_dtype,
              {{"float32", SaveDType::kFloat32},
               {"bfloat16", SaveDType::kBFloat16},
               {"source", SaveDType::kSource}},
              "Element type of the saved weights: float32 keeps every update; bfloat16 halves the "
              "size and rounds small updates away; source: as the input model.")
      .number("activation-gib", options.activation_gib, "GIB",
              "Memory for saved activations. Layers that do not fit are recomputed in the backward "
              "pass (gradient checkpointing), which costs up to a third more time; the result is "
              "the same. 0: recompute all.")
      .text("device", options.device, "auto|cpu|cuda", "Where the model runs.");
  describe_adapter(table, options.adapter);
  table
      .path("template", options.template_file, "FILE",
            "Chat template (Jinja) instead of the model's own; saved with the result.")
      .text("template-date", options.template_date, "YYYY-MM-DD", "Current date in chat templates.")
      .flag("bos-as-template", options.bos_as_template,
            "Let chat template and tokenizer each add a beginning-of-sequence token; by default "
            "there is exactly one.")
      .integer("seed", options.seed, "S", "Seed of shuffling, the held-out prompts and a new head.")
      .integer("checkpoint-every", options.checkpoint_every, "STEPS",
               "Steps between checkpoints, from which an interrupted run resumes; 0: every five "
               "minutes.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable pairs tolerated before the command fails.")
      .at_least(0);
}

void describe_evaluate(OptionTable& table, evaluate::EvaluateOptions& options) {
  table
      .integer("limit-per-subset", options.limit_per_subset, "N",
               "Maximum rows per subset (RM-Bench: domain), sampled with --seed; 0: all. Fewer "
               "rows give wider intervals.")
      .integer("seed", options.seed, "S", "Seed of row sampling and of the bootstrap.")
      .integer("bootstrap", options.bootstrap, "N",
               "Bootstrap replicates for the 95 % intervals; 0: no intervals.")
      .at_least(0)
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows, and rows without a score, tolerated before the command fails.")
      .at_least(0)
      .negative_flag("no-reward-bench-files", options.reward_bench_files,
                     "Do not write eval-set/ and eval-set-scores/, RewardBench's own result files, "
                     "beside the result.");
  describe_model(table, options.model);
  describe_encoder(table, options.encoder);
  describe_scorer(table, options.scorer);
}

void describe_explain(OptionTable& table, explain::ExplainOptions& options) {
  using explain::ExplainPairs;
  table
      .choice("pairs", options.pairs,
              {{"reference", ExplainPairs::kReference}, {"all", ExplainPairs::kAll}},
              "Pairs of policies to explain: each against the reference, as in calibration, or all "
              "pairs.")
      .integer("min-differing", options.settings.min_differing, "N",
               "Minimum number of prompts on which a feature differs between two policies; rarer "
               "features are dropped with a warning, because their intervals would be too narrow.")
      .integer("min-prompts", options.min_prompts, "N",
               "Minimum number of common prompts of two policies; a pair with fewer is an error.")
      .at_least(1)
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows tolerated per file before the command fails.")
      .at_least(0)
      .integer("bootstrap", options.settings.bootstrap, "N",
               "Bootstrap replicates for the intervals of mismatch degrees and methods; 0: no "
               "intervals. Those of the regression need no resampling.")
      .at_least(0)
      .integer("seed", options.settings.seed, "S",
               "Seed of the bootstrap; the same seed gives the same file.");
}

}  // namespace charm::pipeline
