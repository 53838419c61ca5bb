#include "charm/demo/findings.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/files.h"
#include "charm/records/response.h"
#include "charm/results/calibration.h"
#include "charm/results/evaluation.h"
#include "charm/results/mismatch.h"
#include "charm/results/world.h"
#include "charm/score/scorer.h"
#include "charm/storage/record_reader.h"

namespace charm::demo {
namespace {

/// The pair of the over-valued policy and the reference.
const results::Pair& studied_pair(const std::vector<results::Pair>& pairs, const fs::path& path) {
  for (const results::Pair& pair : pairs) {
    if (pair.policy == kOvervalued && pair.reference == kReference) return pair;
  }
  throw Error(ErrorKind::kInput, "{}: no entry of {}", path.string(), kOvervalued);
}

/// Score difference of each probe: showy minus plain style.
std::vector<double> style_gains(const World& world, int threads) {
  const score::RowStore store(storage::read_responses(world.probes, {}));
  const text::ConversationEncoder encoder(world.reward_model, {});
  const auto model =
      engine::load_reward_model(world.reward_model, {.dtype = engine::DTypeChoice::kFloat32,
                                                     .device = engine::DeviceChoice::kAuto,
                                                     .threads = threads});
  const std::vector<score::RowScore> scored =
      score::score_rows(*model, encoder, store, store.all_rows(), {.threads = threads});
  std::vector<double> gains;
  for (std::size_t i = 0; i + 1 < scored.size(); i += 2) {
    CHARM_CHECK(
        !scored[i].error && !scored[i + 1].error && store[i].prompt_id == store[i + 1].prompt_id,
        "probes come as plain, showy");
    gains.push_back(static_cast<double>(scored[i + 1].score) -
                    static_cast<double>(scored[i].score));
  }
  return gains;
}

results::Estimate held_out_mismatch(const World& world, const std::string& model) {
  const fs::path path = world.run_dir / "mismatch" / (model + ".json");
  return studied_pair(results::read_mismatch(path).pairs, path).before.mismatch;
}

void read_benchmark(const World& world, const std::string& model, results::Estimate& hard,
                    results::Estimate& normal) {
  const fs::path path = world.run_dir / "eval" / model / (std::string(kStyleBenchmark) + ".json");
  const results::Evaluation evaluation = results::read_evaluation(path);
  const results::Metrics& chat = evaluation.section("chat");
  hard = chat.find("hard").value();
  normal = chat.find("normal").value();
}

}  // namespace

Findings find(const World& world, int threads) {
  Findings findings;
  const std::vector<double> gains = style_gains(world, threads);
  double sum = 0.0, squares = 0.0;
  for (const double gain : gains) sum += gain;
  const double mean = sum / static_cast<double>(gains.size());
  for (const double gain : gains) squares += (gain - mean) * (gain - mean);
  findings.planted_offset = -mean;
  findings.planted_sd = std::sqrt(squares / static_cast<double>(gains.size()));
  findings.num_probes = static_cast<std::int64_t>(gains.size());

  const fs::path path =
      world.run_dir / "calibration" / kRewardModelName / (std::string(kSetName) + ".json");
  const results::Calibration calibration = results::read_calibration(path);
  for (const results::CalibratedPolicy& policy : calibration.policies) {
    if (policy.policy == kOvervalued) findings.recovered_offset = policy.offset;
  }
  const results::Pair& pair = studied_pair(calibration.pairs, path);
  findings.target_win_rate = pair.target.value;
  findings.calibrated_mismatch = pair.after->mismatch;

  const std::string retrained = std::string(kRewardModelName) + "-" + kSetName;
  findings.mismatch_before = held_out_mismatch(world, kRewardModelName);
  findings.mismatch_after = held_out_mismatch(world, retrained);
  read_benchmark(world, kRewardModelName, findings.hard_before, findings.normal_before);
  read_benchmark(world, retrained, findings.hard_after, findings.normal_after);
  return findings;
}

void write_findings(const World& world, const WorldOptions& options, const Findings& findings) {
  results::World found{
      .about =
          "Questions ask for items of a category; true quality is the share of right items. People "
          "who vote in the Arena look at quality alone; the annotators whose pairs made the reward "
          "model also like praise words. The showman dresses its answers up.",
      .how_planted =
          "Fresh answers of the showman's ability, not part of the run, are scored plain and showy "
          "by the reward model. The planted offset is minus the mean difference: what style alone "
          "earns.",
      .seed = options.seed,
      .planted = {{.policy = kOvervalued,
                   .offset = findings.planted_offset,
                   .sd_over_probes = findings.planted_sd,
                   .num_probes = findings.num_probes}},
      .recovered_offset = findings.recovered_offset,
      .tables = {}};
  results::World::Table abilities{.name = "true_quality_of_policies", .rows = {}};
  for (const WorldPolicy& policy : world_policies()) {
    abilities.rows.emplace_back(policy.contestant.name,
                                results::Estimate{.value = policy.contestant.ability, .ci95 = {}});
  }
  found.tables = {
      std::move(abilities),
      {.name = "showman_over_helper",
       .rows = {{"target_win_rate", {.value = findings.target_win_rate, .ci95 = {}}},
                {"mismatch_degree_with_offset", findings.calibrated_mismatch},
                {"held_out_mismatch_degree_before", findings.mismatch_before},
                {"held_out_mismatch_degree_after", findings.mismatch_after}}},
      {.name = "accuracy_on_style_controlled_pairs",
       .rows = {{"worse_answer_dressed_up_before", findings.hard_before},
                {"worse_answer_dressed_up_after", findings.hard_after},
                {"equal_style_before", {.value = findings.normal_before.value, .ci95 = {}}},
                {"equal_style_after", {.value = findings.normal_after.value, .ci95 = {}}}}}};
  write_file(world.run_dir / results::kWorldFile, results::to_json(found).dump(2) + "\n");
}

std::string findings_text(const Findings& findings) {
  std::string text;
  const auto line = [&text](std::string_view name, const results::Estimate& finding,
                            std::string_view note) {
    text += fmt::format("  {:<48} {:+.3f}  95 % [{:+.3f}, {:+.3f}]{}\n", name, finding.value,
                        finding.ci95->lo, finding.ci95->hi, note);
  };
  text += fmt::format("  {:<48} {:+.3f}\n", "planted offset of the showman (score units)",
                      findings.planted_offset);
  line("recovered offset", findings.recovered_offset,
       findings.planted_in_interval() ? "  holds the planted one"
                                      : "  does not hold the planted one");
  line("mismatch degree, calibrated scores", findings.calibrated_mismatch, "");
  line("mismatch degree, held-out prompts, before", findings.mismatch_before, "");
  line("mismatch degree, held-out prompts, after", findings.mismatch_after, "");
  line("accuracy, worse answer dressed up, before", findings.hard_before, "");
  line("accuracy, worse answer dressed up, after", findings.hard_after, "");
  line("accuracy, equal style, before", findings.normal_before, "");
  line("accuracy, equal style, after", findings.normal_after, "");
  return text;
}

}  // namespace charm::demo
