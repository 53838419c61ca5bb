#include "charm/pipeline/stage_options.h"

namespace charm::pipeline {
namespace {

void describe_ties(OptionTable& table, stats::TieRule& ties) {
  table.choice("ties", ties, {{"loss", stats::TieRule::kLoss}, {"half", stats::TieRule::kHalf}},
               "How equal scores count in a win rate: loss, as in the original, or half a win.");
}

}  // namespace

void describe_ratings(OptionTable& table, std::string& category,
                      std::map<std::string, std::string>& aliases) {
  table
      .text(
          "category", category, "NAME",
          "Category of an Arena catalogue to take the ratings from, where the file holds several.")
      .pairs("alias", aliases, "POLICY=NAME",
             "Name under which a policy stands in the ratings; for names that do not match.");
}

void describe_rate(OptionTable& table, rate::RateOptions& options) {
  using rate::StyleControl;
  table
      .pairs("anchor", options.anchor, "MODEL=SCORE",
             "Model whose rating is given, Elo points; all others move along. Without it the mean "
             "of all models is 1000.")
      .choice("style", options.style,
              {{"none", StyleControl::kNone},
               {"fastchat", StyleControl::kFastChat},
               {"arena-rank", StyleControl::kArenaRank}},
              "Take out what votes owe to length, headers, lists and bold text (contextual "
              "Bradley-Terry). fastchat and arena-rank name whose definition: arena-rank's ridge "
              "of 1 on the mean loss leaves most of the styles' effect in the ratings.")
      .integer("min-battles", options.min_battles, "N",
               "Models with fewer battles are left out, with a warning. Raise it where a model has "
               "won or lost all of a few.")
      .integer(
          "bootstrap", options.bootstrap, "N",
          "Resamples of battles behind each 95 % interval; 0: sandwich intervals, as arena-rank's.")
      .at_least(0)
      .integer("seed", options.seed, "S",
               "Seed of the resampling; the same seed gives the same file.");
  describe_reading(table, options.read);
}

void describe_measure(OptionTable& table, measure::MeasureOptions& options) {
  describe_ties(table, options.ties);
  table
      .integer("min-prompts", options.min_prompts, "N",
               "Fewest common prompts of two policies; a pair with fewer is an error.")
      .at_least(1)
      .flag("strict", options.strict,
            "A prompt missing on one side of a pair is an error; without it, it is counted and "
            "left out.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Rows that may be unusable before the command ends.")
      .at_least(0)
      .integer(
          "bootstrap", options.bootstrap, "N",
          "Resamples of prompts and draws of ratings behind each 95 % interval; 0: no intervals.")
      .at_least(0)
      .integer("seed", options.seed, "S",
               "Seed of the resampling; the same seed gives the same file.");
}

void describe_calibrate(OptionTable& table, calibrate::CalibrateOptions& options) {
  using calibrate::IntervalKind;
  using calibrate::PairWeights;
  using calibrate::SolverKind;
  calibrate::SolveOptions& solve = options.solve;
  table.text(
      "reference", options.reference, "NAME",
      "Policy that keeps its scores (offset 0). Choose one the reward model values about rightly.");
  table.texts("policies", options.policies, "NAME",
              "Calibrate only these policies; by default all of the scores files.");
  Option mode{.name = "mode", .value_name = "same-prompt|all-pairs|block:N"};
  mode.help =
      "Win rate that is made equal to the target: same-prompt counts prompts where the policy's "
      "score is higher, which is what the mismatch degree measures; all-pairs compares every "
      "prompt's score with every other's through a sigmoid; block:1000 does so inside blocks of "
      "1000 rows, as the original did.";
  mode.default_text = calibrate::mode_name(solve.mode);
  mode.assign = [&solve](const std::vector<std::string>& values) {
    solve.mode = calibrate::parse_mode(values.front());
  };
  table.add(std::move(mode))
      .choice("solver", solve.solver, {{"exact", SolverKind::kExact}, {"adam", SolverKind::kAdam}},
              "exact finds the answer itself; adam repeats the original's training of a small "
              "network, for comparisons.");
  describe_ties(table, solve.ties);
  table
      .choice("weights", solve.weights,
              {{"equal", PairWeights::kEqual}, {"count", PairWeights::kCount}},
              "Weight of a pair where three or more policies are calibrated together: equal, or by "
              "its number of common prompts.")
      .number("temperature", solve.temperature, "X",
              "Temperature of the sigmoid in all-pairs and block modes, score units.")
      .choice("interval", solve.interval,
              {{"bootstrap", IntervalKind::kBootstrap}, {"influence", IntervalKind::kInfluence}},
              "How 95 % intervals are made: bootstrap resamples prompts and draws ratings; "
              "influence linearises instead, which takes no resampling and is nearly as exact (see "
              "docs/calibration.md).")
      .integer("bootstrap", solve.bootstrap, "N",
               "Resamples of prompts and draws of ratings behind each bootstrap interval; 0: no "
               "intervals.")
      .at_least(0)
      .integer("seed", solve.seed, "S",
               "Seed of the resampling and of the adam solver; the same seed gives the same file.")
      .flag("shrink", solve.shrink,
            "Draw each offset towards 0 by how uncertain it is (empirical Bayes; same-prompt "
            "mode). For policies with few prompts, whose offsets would otherwise be mostly noise.")
      .flag(
          "leave-one-out", options.leave_one_out,
          "Fit again without each policy but the reference, and report how far the others' offsets "
          "change its mismatch with them. Takes as many fits as there are policies, three or more.")
      .number("holdout", options.holdout, "X",
              "Share of the prompts, 0 to 1, kept from the fit; win rates and mismatch on them are "
              "reported beside those of the fit. The split is that of a recipe's holdout with the "
              "same seed.")
      .integer("min-prompts", options.min_prompts, "N",
               "Fewest common prompts of two policies; a pair with fewer is an error.")
      .at_least(1)
      .flag("strict", options.strict,
            "A prompt missing on one side of a pair is an error; without it, it is counted and "
            "left out.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Rows that may be unusable before the command ends.")
      .at_least(0);
}

void describe_prefer(OptionTable& table, prefer::PreferOptions& options) {
  using prefer::Pairs;
  using prefer::Ties;
  Option pairs{.name = "pairs", .value_name = "best-worst|vs-reference|all", .default_text = "all"};
  pairs.help =
      "Pairs made of each prompt by calibrated score. all, every pair of policies, holds most of "
      "the close calls that offsets decide, and raised the correlation with Arena most "
      "(docs/results.md); train it with --shuffle prompts. vs-reference takes every policy against "
      "the reference, best-worst the highest against the lowest, which most reward models order "
      "rightly already. With two policies there is no difference. Not with --best-of-n, which "
      "takes one pair a prompt.";
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
              "What happens to two equal calibrated scores: drop makes no pair; keep makes one "
              "with margin 0.")
      .number("min-margin", options.pairing.min_margin, "X",
              "Smallest difference of calibrated scores, in score units, that makes a pair. Raise "
              "it for fewer, clearer pairs.")
      .flag("best-of-n", options.pairing.best_of_n,
            "Make one pair a prompt from all its responses, of any policy and sample number: the "
            "best calibrated score is chosen. For policies that answered several times (column "
            "sample); without it, sample meets sample.")
      .choice("rejected", options.pairing.rejected,
              {{"worst", prefer::Rejected::kWorst}, {"random", prefer::Rejected::kRandom}},
              "With --best-of-n, what is rejected: the lowest score, or a response drawn among "
              "those below the best, which keeps harder pairs.")
      .integer("seed", options.pairing.seed, "S",
               "Seed of --rejected random; the same seed gives the same file.")
      .flag("strict", options.strict,
            "A prompt that some calibrated policy lacks is an error; without it, it is counted.");
  describe_reading(table, options.read);
}

void describe_train(OptionTable& table, train::TrainOptions& options) {
  using train::ComputeDType;
  using train::SaveDType;
  table
      .number("learning-rate", options.learning_rate, "X",
              "Peak learning rate. 2e-6 adjusts a trained reward model; a fresh head wants 1e-5 to "
              "1e-4, tiny models more.")
      .number("epochs", options.epochs, "X", "Passes over the training pairs; fractions are fine.")
      .integer("pairs-per-step", options.pairs_per_step, "N",
               "Pairs per optimiser step; fewer give more and noisier steps.")
      .integer("max-steps", options.max_steps, "N",
               "End after this many optimiser steps; 0: as --epochs says.")
      .number("weight-decay", options.weight_decay, "X",
              "AdamW's weight decay per step; norms and biases are left out.")
      .number("adam-beta1", options.adam_beta1, "X",
              "AdamW's decay of the gradient's running mean.")
      .number("adam-beta2", options.adam_beta2, "X",
              "AdamW's decay of the squared gradient's running mean.")
      .number("adam-eps", options.adam_eps, "X", "AdamW's constant in the denominator.")
      .number("warmup-fraction", options.warmup_fraction, "X",
              "Share of the steps, 0 to 1, in which the learning rate rises from 0; then it falls "
              "along a cosine to 0.")
      .number("clip-norm", options.clip_norm, "X",
              "Largest global gradient norm; larger ones are scaled down. 0: no clipping.")
      .integer("max-tokens", options.max_tokens, "N",
               "Longest conversation in tokens; longer ones lose their first tokens.")
      .integer("budget-tokens", options.budget_tokens, "N",
               "Tokens per forward and backward pass. Bounds the memory; a step accumulates as "
               "many passes as it needs.")
      .at_least(1)
      .number("centering", options.centering, "X",
              "Coefficient of the term mean((r_chosen + r_rejected)^2), which keeps scores around "
              "0. 0.01 is usual; 0: off.")
      .flag("use-margin", options.use_margin,
            "Subtract the pairs' margin column inside the loss: the chosen side is to win by the "
            "margin.")
      .flag("soft-labels", options.soft_labels,
            "Let the chosen side win with probability sigmoid(margin column) instead of 1. Teaches "
            "the calibrated score differences themselves: pairs that stand right already have no "
            "gradient. Good with prefer's pairs; not with --use-margin.")
      .choice("shuffle", options.shuffle,
              {{"pairs", train::Shuffle::kPairs}, {"prompts", train::Shuffle::kPrompts}},
              "What the order is drawn of. prompts keeps the pairs of a prompt together, whose "
              "responses then go through the model once for all of them: several times faster with "
              "prefer --pairs all or vs-reference (give --pairs-per-step several prompts' worth).")
      .path("eval-preferences", options.eval_preferences, "FILE",
            "Held-out pairs to report accuracy and loss on; without it --eval-fraction of the "
            "prompts is held out.")
      .number("eval-fraction", options.eval_fraction, "X",
              "Share of the prompts, 0 to 1, held out for evaluation; 0: none.")
      .integer("eval-every", options.eval_every, "STEPS",
               "Steps between evaluations; 0: a quarter of the run.")
      .integer("max-eval-pairs", options.max_eval_pairs, "N",
               "Evaluate on at most this many held-out pairs; 0: all.")
      .flag("new-head", options.new_head,
            "Give a causal language model a fresh reward head: the only way to get one. Without it "
            "the model's head is trained on.")
      .integer("layers", options.layers, "N",
               "Keep only the first N layers of the model: a smaller trunk for a small budget.")
      .negative_flag("freeze-embeddings", options.train_embeddings,
                     "Leave the token embeddings as they are.")
      .integer("freeze-layers", options.freeze_layers, "N",
               "Leave the embeddings and the first N layers as they are, which saves their "
               "backward pass.")
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
              "size and rounds small updates away; source does as the input model.")
      .number("activation-gib", options.activation_gib, "GIB",
              "Memory for activations between the forward and the backward pass. Layers that do "
              "not fit are computed a second time, which costs up to a third more time; the result "
              "is the same. 0: all are.")
      .text("device", options.device, "auto|cpu|cuda", "Where the model runs.")
      .path("template", options.template_file, "FILE",
            "Chat template (Jinja) instead of the model's own; saved with the result.")
      .text("template-date", options.template_date, "YYYY-MM-DD",
            "Date of the clock a template sees.")
      .flag("bos-as-template", options.bos_as_template,
            "Let template and tokenizer each write the beginning-of-sequence token as they like; "
            "by default it is written once.")
      .integer("seed", options.seed, "S",
               "Seed of the order of pairs, the held-out prompts and a fresh head.")
      .integer("checkpoint-every", options.checkpoint_every, "STEPS",
               "Steps between checkpoints, from which an interrupted run continues; 0: every five "
               "minutes.")
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Pairs that may be unusable before the command ends.")
      .at_least(0);
}

void describe_evaluate(OptionTable& table, evaluate::EvaluateOptions& options) {
  table
      .integer("limit-per-subset", options.limit_per_subset, "N",
               "Rows of each subset (RM-Bench: domain) to score, drawn with --seed; 0: all. "
               "Intervals widen as rows get fewer.")
      .integer("seed", options.seed, "S", "Seed of the drawn rows and of the bootstrap.")
      .integer("bootstrap", options.bootstrap, "N",
               "Bootstrap draws behind each 95 % interval; 0: no intervals.")
      .at_least(0)
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Rows that may be unusable or fail to score before the command ends.")
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
              "Pairs of policies to explain: each against the reference, which is what offsets are "
              "about, or every two.")
      .integer("min-differing", options.settings.min_differing, "N",
               "Prompts on which a feature must differ between two policies to be estimated; rarer "
               "ones are left out with a warning, because a handful of prompts gives intervals "
               "that are too short.")
      .integer("min-prompts", options.min_prompts, "N",
               "Fewest common prompts of two policies; a pair with fewer is an error.")
      .at_least(1)
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Rows of a file that may be unusable before the command ends.")
      .at_least(0)
      .integer("bootstrap", options.settings.bootstrap, "N",
               "Resamples of prompts and draws of ratings behind the intervals of mismatch degrees "
               "and methods; 0: none. Those of the regression need no resampling.")
      .at_least(0)
      .integer("seed", options.settings.seed, "S",
               "Seed of the resampling; the same seed gives the same file.");
}

}  // namespace charm::pipeline
