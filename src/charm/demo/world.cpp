#include "charm/demo/world.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/demo/tiny_model.h"
#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/storage/record_writer.h"
#include "charm/train/train_stage.h"

namespace charm::demo {
namespace {

using nlohmann::ordered_json;

// Weight of true quality in a preference: P(a preferred to b) = sigmoid(kSharpness (q_a - q_b) +
// style bias).
constexpr double kSharpness = 8.0;
// Style bias of the annotators per step (plain -> cheerful -> showy), in logits. Arena voters do
// not have it: calibration must recover it.
constexpr double kBiasPerStyle = 1.2;
constexpr double kMeanElo = 1200.0;
constexpr std::array<double, 4> kAnnotatedAbilities = {0.3, 0.5, 0.7, 0.9};
constexpr std::array<Style, 4> kAnnotatedStyles = {Style::kPlain, Style::kPlain, Style::kCheerful,
                                                   Style::kShowy};
constexpr std::array<Style, 3> kStyles = {Style::kPlain, Style::kCheerful, Style::kShowy};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

Conversation question_prompt(const Question& question) {
  return {{"user", question_text(question)}};
}

std::string numbered(std::string_view word, std::int64_t i) {
  return fmt::format("{}-{:04}", word, i);
}

void write_responses_of(const World& world, const std::vector<Question>& questions,
                        const WorldPolicy& policy, RandomStream random) {
  std::vector<Response> rows;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    Response row;
    row.prompt_id = numbered("q", static_cast<std::int64_t>(i));
    row.prompt = question_prompt(questions[i]);
    row.response =
        answer_text(draw_answer(questions[i], policy.contestant.ability, random), policy.style);
    row.policy = policy.contestant.name;
    rows.push_back(std::move(row));
  }
  storage::write_responses(
      world.folder / "world" / "responses" / (policy.contestant.name + ".jsonl"), rows);
}

/// Annotators compare two answers of random quality and style; style and quality are independent,
/// so only the annotators' bias correlates them.
void write_annotations(const World& world, std::int64_t count, RandomStream random) {
  std::vector<PreferencePair> pairs;
  for (std::int64_t i = 0; i < count; ++i) {
    const Question question = draw_question(random);
    std::array<Answer, 2> answers;
    std::array<Style, 2> styles{};
    for (std::size_t side = 0; side < 2; ++side) {
      answers[side] = draw_answer(
          question, kAnnotatedAbilities[random.below(kAnnotatedAbilities.size())], random);
      styles[side] = kAnnotatedStyles[random.below(kAnnotatedStyles.size())];
    }
    const double style_bias =
        kBiasPerStyle * (static_cast<int>(styles[0]) - static_cast<int>(styles[1]));
    const bool first_wins =
        random.uniform() <
        sigmoid(kSharpness * (answers[0].quality - answers[1].quality) + style_bias);
    const std::size_t better = first_wins ? 0 : 1, worse = 1 - better;
    PreferencePair pair;
    pair.prompt_id = numbered("a", i);
    pair.chosen = pair.rejected = question_prompt(question);
    pair.chosen.push_back({"assistant", answer_text(answers[better], styles[better])});
    pair.rejected.push_back({"assistant", answer_text(answers[worse], styles[worse])});
    pair.policy_chosen = pair.policy_rejected = "annotated";
    pairs.push_back(std::move(pair));
  }
  storage::write_preferences(world.annotations, pairs);
}

void write_ratings(const World& world, std::int64_t battles_per_pair, RandomStream random) {
  std::vector<Contestant> contestants;
  for (const WorldPolicy& policy : world_policies()) contestants.push_back(policy.contestant);
  const rate::ComparisonTable battles =
      simulate_battles(contestants, battles_per_pair, kSharpness, random);
  ordered_json list = ordered_json::array();
  for (const ArenaRating& rating : arena_ratings(battles, kMeanElo)) {
    list.push_back({{"name", rating.name},
                    {"rating", rating.rating_elo},
                    {"rating_q025", *rating.rating_lo},
                    {"rating_q975", *rating.rating_hi}});
  }
  write_file(world.folder / "world" / "ratings.json", list.dump(2) + "\n");
}

/// RM-Bench's form: a better and a worse answer to one question, each plain, cheerful and showy.
void write_style_pairs(const World& world, std::int64_t count, RandomStream random) {
  ordered_json rows = ordered_json::array();
  for (std::int64_t i = 0; i < count; ++i) {
    const Question question = draw_question(random);
    Answer better = draw_answer(question, 0.8, random), worse = draw_answer(question, 0.55, random);
    while (better.quality <= worse.quality) {
      better = draw_answer(question, 0.8, random);
      worse = draw_answer(question, 0.55, random);
    }
    ordered_json row = {
        {"id", numbered("chat/s", i)}, {"domain", "chat"}, {"prompt", question_text(question)}};
    for (const Style style : kStyles) {
      row["chosen"].push_back(answer_text(better, style));
      row["rejected"].push_back(answer_text(worse, style));
    }
    rows.push_back(std::move(row));
  }
  write_file(world.folder / "world" / "style_pairs.json", rows.dump(1) + "\n");
}

/// New answers of the showman's ability, each in plain and showy style: the content is the same, so
/// the score difference is due to style alone.
void write_probes(const World& world, std::int64_t count, RandomStream random) {
  std::vector<Response> rows;
  for (std::int64_t i = 0; i < count; ++i) {
    const Question question = draw_question(random);
    double ability = 0.0;
    for (const WorldPolicy& policy : world_policies()) {
      if (policy.contestant.name == kOvervalued) ability = policy.contestant.ability;
    }
    const Answer answer = draw_answer(question, ability, random);
    for (const Style style : {Style::kPlain, Style::kShowy}) {
      Response row;
      row.prompt_id = numbered("p", i);
      row.prompt = question_prompt(question);
      row.response = answer_text(answer, style);
      row.policy = style == Style::kPlain ? "plain" : "showy";
      rows.push_back(std::move(row));
    }
  }
  storage::write_responses(world.probes, rows);
}

std::string recipe_text(std::uint64_t seed) {
  std::string policies;
  for (const WorldPolicy& policy : world_policies()) {
    policies += fmt::format("  - {{name: {0}, responses: world/responses/{0}.jsonl}}\n",
                            policy.contestant.name);
  }
  return fmt::format(R"(# Written by charm demo. Run it again with: charm run recipe.yaml
run_dir: run
seed: {seed}
holdout: 0.3            # held-out prompts, for the figures before and after training
policies:
{policies}ratings: world/ratings.json
score: {{name: {rm}, model: world/reward_model, dtype: float32, max_tokens: 256}}
calibrate:
  sets:
    {set}: {{policies: [{over}, {ref}], reference: {ref}, mode: same-prompt}}
prefer: {{pairs: best-worst}}
train:
  learning_rate: 1.0e-3   # a tiny model; the default 2e-6 suits 8B
  epochs: 6
  pairs_per_step: 64
  eval_fraction: 0.1
  dtype: float32
  max_tokens: 256
  budget_tokens: 8192
evaluate:
  - {{name: {bench}, benchmark: rm-bench, data: world/style_pairs.json, dtype: float32, max_tokens: 256}}
  - {{benchmark: arena}}
)",
                     fmt::arg("seed", seed), fmt::arg("policies", policies),
                     fmt::arg("rm", kRewardModelName), fmt::arg("set", kSetName),
                     fmt::arg("over", kOvervalued), fmt::arg("ref", kReference),
                     fmt::arg("bench", kStyleBenchmark));
}

}  // namespace

const std::vector<WorldPolicy>& world_policies() {
  static const std::vector<WorldPolicy> kPolicies = {
      {.contestant = {.name = "scholar", .ability = 0.88}, .style = Style::kPlain},
      {.contestant = {.name = kReference, .ability = 0.72}, .style = Style::kPlain},
      {.contestant = {.name = kOvervalued, .ability = 0.70}, .style = Style::kShowy},
      {.contestant = {.name = "intern", .ability = 0.50}, .style = Style::kPlain},
  };
  return kPolicies;
}

World world_layout(const fs::path& folder) {
  const fs::path inside = folder / "world";
  return {.folder = folder,
          .untrained = inside / "untrained_model",
          .annotations = inside / "annotations.jsonl",
          .reward_model = inside / "reward_model",
          .probes = inside / "probes.jsonl",
          .recipe = folder / "recipe.yaml",
          .run_dir = folder / "run"};
}

World write_world(const WorldOptions& options) {
  const World world = world_layout(options.folder);
  RandomStream questions_random(options.seed, "demo questions");
  std::vector<Question> questions;
  for (std::int64_t i = 0; i < options.num_prompts; ++i)
    questions.push_back(draw_question(questions_random));
  std::uint64_t index = 0;
  for (const WorldPolicy& policy : world_policies()) {
    write_responses_of(world, questions, policy,
                       RandomStream(options.seed, "demo responses", index++));
  }
  write_annotations(world, options.num_annotations, RandomStream(options.seed, "demo annotations"));
  write_ratings(world, options.battles_per_pair, RandomStream(options.seed, "demo battles"));
  write_style_pairs(world, options.num_style_pairs, RandomStream(options.seed, "demo style pairs"));
  write_probes(world, options.num_probes, RandomStream(options.seed, "demo probes"));
  write_tiny_model(world.untrained, vocabulary(), {.seed = options.seed});
  write_file(world.recipe, recipe_text(options.seed));
  return world;
}

World make_world(const WorldOptions& options, const ProgressFn& progress) {
  const World world = write_world(options);
  train::TrainOptions training;
  training.model = world.untrained;
  training.preferences = world.annotations;
  training.output = world.reward_model;
  training.new_head = true;
  training.learning_rate = 2e-3;
  training.epochs = 3.0;
  training.pairs_per_step = 64;
  training.max_tokens = 256;
  training.budget_tokens = 8192;
  training.dtype = train::ComputeDType::kFloat32;
  training.seed = options.seed;
  training.threads = options.threads;
  training.fresh = options.fresh;
  training.replace_other = true;  // another seed makes another world in the same folder
  train::train(training, progress);
  return world;
}

}  // namespace charm::demo
