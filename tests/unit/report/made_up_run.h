#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/records/response.h"
#include "charm/storage/record_writer.h"

namespace charm::report {

/// A small run directory with every kind of file; `policy` is the over-valued policy's name, which
/// tests make hostile.
inline void write_made_up_run(const fs::path& run_dir, const std::string& policy = "showman") {
  using nlohmann::ordered_json;
  const std::vector<std::string> policies = {"solid", policy, "plain"};
  const std::vector<double> ratings = {1250, 1100, 1000};
  const auto write = [&](const std::string& path, const ordered_json& json) {
    write_file(run_dir / path, json.dump(1));
  };
  const auto policies_json = [&] {
    ordered_json list = ordered_json::array();
    for (std::size_t p = 0; p < policies.size(); ++p)
      list.push_back({{"policy", policies[p]}, {"rating", ratings[p]}});
    return list;
  };
  for (const char* model : {"rm", "rm-duo"}) {
    const double excess = std::string(model) == "rm" ? 0.3 : 0.05;
    ordered_json mismatch = {{"policies", policies_json()}, {"pairs", ordered_json::array()}};
    for (std::size_t p = 0; p < 3; ++p) {
      const double mean = p == 1 ? excess : -excess / 2;
      mismatch["policies"][p]["mean_mismatch"] = mean;
      mismatch["policies"][p]["mean_mismatch_ci95"] = {mean - 0.05, mean + 0.05};
      mismatch["policies"][p]["num_prompts"] = 200;
      for (const char* test : {"p_value", "p_value_holm", "p_value_bh"})
        mismatch["policies"][p][test] = excess > 0.1 ? 0.001 : 0.2;
    }
    for (std::size_t a = 0; a < 3; ++a) {
      for (std::size_t b = 0; b < 3; ++b) {
        if (a == b) continue;
        const double md = a == 1 ? excess : b == 1 ? -excess : 0.0;
        mismatch["pairs"].push_back({{"policy", policies[a]},
                                     {"reference", policies[b]},
                                     {"num_prompts", 200},
                                     {"ties_before", 1},
                                     {"target_win_rate", 0.5},
                                     {"win_rate_before", 0.5 + md / 2},
                                     {"win_rate_before_ci95", {0.45 + md / 2, 0.55 + md / 2}},
                                     {"mismatch_before", md},
                                     {"mismatch_before_ci95", {md - 0.1, md + 0.1}}});
      }
    }
    write(std::string("mismatch/") + model + ".json", mismatch);
    for (std::size_t p = 0; p < policies.size(); ++p) {
      std::vector<ScoredResponse> rows;
      for (int i = 0; i < 60; ++i) {
        ScoredResponse row;
        row.response.prompt_id = std::to_string(i);
        row.response.prompt = {{"user", "question " + std::to_string(i)}};
        row.response.response = policies[p] + " answers " + std::to_string(i);
        row.response.policy = policies[p];
        row.score = static_cast<float>((i * 37) % 60) / 20.0f - static_cast<float>(p);
        rows.push_back(std::move(row));
      }
      rows[0].error = "too long";
      storage::write_scores(
          run_dir / "scores" / model / ("policy" + std::to_string(p) + ".parquet"), rows);
    }
    write(std::string("eval/") + model + "/rm-bench.json",
          {{"benchmark", "rm-bench"},
           {"overall_partial", 0.6 + excess / 10},
           {"overall_partial_ci95", {0.55, 0.66}},
           {"hard_partial", 0.4},
           {"normal_partial", 0.6},
           {"easy_partial", 0.8},
           {"domains", {{"chat", {{"score", 0.6}, {"score_ci95", {0.5, 0.7}}}}}},
           {"missing_domains", {"math"}},
           {"pair_probabilities",
            {{"ece", 0.12}, {"brier", 0.25}, {"brier_ci95", {0.2, 0.3}}, {"log_loss", 0.7}}},
           {"length_correlation",
            {{"spearman", 0.61}, {"longer_preferred", 0.9}, {"longer_chosen", 0.5}}}});
    write(std::string("eval/") + model + "/arena.json",
          {{"benchmark", "arena"},
           {"correlations",
            {{"mean_score",
              {{"spearman", 0.5}, {"spearman_ci95", {0.5, 1.0}}, {"kendall", nullptr}}}}}});
  }
  write("comparison/rm-duo/rm-bench.json",
        {{"benchmark", "rm-bench"},
         {"a", {{"name", "rm"}}},
         {"b", {{"name", "rm-duo"}}},
         {"overall_partial",
          {{"a", 0.63},
           {"b", 0.605},
           {"difference", -0.025},
           {"difference_ci95", {-0.04, -0.01}},
           {"gained", 3},
           {"lost", 11},
           {"mcnemar", {{"p_value", 0.0006}}}}},
         {"domains",
          {{"chat",
            {{"a", 0.6}, {"b", 0.6}, {"difference", 0.0}, {"mcnemar", {{"p_value", 0.75}}}}}}}});
  write(
      "comparison/rm-duo/arena.json",
      {{"benchmark", "arena"},
       {"a", {{"name", "rm"}}},
       {"correlations",
        {{"mean_score", {{"spearman", {{"a", 0.5}, {"b", 0.75}, {"difference", 0.25}}}}}}},
       {"mean_abs_mismatch",
        {{"a", 0.202}, {"b", 0.101}, {"difference", -0.101}, {"difference_ci95", {-0.15, -0.05}}}},
       {"mean_abs_mismatch_left_out", {{"a", 0.333}, {"b", 0.3}, {"difference", -0.033}}},
       {"policies",
        {{"solid", {{"mean_abs_mismatch", {{"a", 0.2}, {"b", 0.1}, {"difference", -0.1}}}}}}}});
  write("calibration/rm/duo.json",
        {{"mode", "same-prompt"},
         {"solver", "exact"},
         {"ties", "loss"},
         {"reference", "solid"},
         {"num_prompts", 200},
         {"mean_abs_mismatch", {{"before", 0.3}, {"after", 0.02}, {"by_chance", 0.04}}},
         {"held_out",
          {{"num_prompts", 79},
           {"mean_abs_mismatch", {{"before", 0.31}, {"after", 0.07}, {"by_chance", 0.08}}},
           {"pairs", ordered_json::array({{{"policy", policy},
                                           {"reference", "solid"},
                                           {"target_win_rate", 0.3},
                                           {"win_rate_before", 0.5},
                                           {"win_rate_after", 0.33},
                                           {"mismatch_before", 0.286},
                                           {"mismatch_after", 0.043}}})}}},
         {"policies",
          {{{"policy", "solid"}, {"rating", 1250}, {"offset", 0.0}},
           {{"policy", policy},
            {"rating", 1100},
            {"offset", -0.8},
            {"offset_ci95", {-1.0, -0.6}},
            {"offset_interval", {-0.81, -0.79}}}}},
         {"pairs",
          {{{"policy", policy},
            {"reference", "solid"},
            {"num_prompts", 200},
            {"target_win_rate", 0.5},
            {"win_rate_before", 0.65},
            {"win_rate_before_ci95", {0.6, 0.7}},
            {"win_rate_after", 0.5},
            {"win_rate_after_ci95", {0.45, 0.55}},
            {"mismatch_before", 0.3},
            {"mismatch_before_ci95", {0.2, 0.4}},
            {"mismatch_after", 0.0}}}},
         {"warnings", {"scores of 'plain' were dropped"}}});
  const auto check = [](double mean) {
    return ordered_json{{"num_prompts", 79},
                        {"mean_abs_mismatch", mean},
                        {"mean_abs_mismatch_ci95", {mean - 0.02, mean + 0.05}},
                        {"change", mean - 0.31},
                        {"change_ci95", {mean - 0.35, mean - 0.25}},
                        {"by_chance", 0.08},
                        {"correlations", {{"mean_score", nullptr}, {"win_rate", nullptr}}}};
  };
  write("explanation/rm/duo.json",
        {{"reference", "solid"},
         {"pairs", ordered_json::array(
                       {{{"policy", policy},
                         {"reference", "solid"},
                         {"score_gap", 0.9},
                         {"score_gap_ci95", {0.7, 1.1}},
                         {"effects", ordered_json::array({{{"feature", "log_length"},
                                                           {"coefficient", 1.5},
                                                           {"coefficient_ci95", {1.0, 2.0}},
                                                           {"mean_difference", 0.4},
                                                           {"contribution", 0.6},
                                                           {"contribution_ci95", {0.3, 0.9}}}})},
                         {"explained", 0.6},
                         {"explained_ci95", {0.3, 0.9}},
                         {"unexplained", 0.3},
                         {"unexplained_ci95", {0.1, 0.5}},
                         {"mismatch", 0.3},
                         {"mismatch_ci95", {0.2, 0.4}},
                         {"length_matched", {{"mismatch", 0.05}, {"mismatch_ci95", {-0.1, 0.2}}}},
                         {"style_matched", nullptr}}})},
         {"methods", ordered_json::array(
                         {{{"method", "none"},
                           {"fit", check(0.3)},
                           {"held_out", check(0.31)},
                           {"reward_bench", {{"overall", 0.5}, {"overall_ci95", {0.45, 0.55}}}},
                           {"rm_bench", nullptr}},
                          {{"method", "offsets"},
                           {"fit", check(0.02)},
                           {"held_out", check(0.07)},
                           {"reward_bench", nullptr},
                           {"rm_bench", nullptr}}})},
         {"warnings", {"code_blocks was dropped"}}});
  std::string metrics;
  for (int step = 0; step < 20; ++step) {
    if (step % 5 == 0) {
      metrics += ordered_json({{"kind", "eval"},
                               {"when", "during"},
                               {"step", step},
                               {"loss", 0.7 - step * 0.01},
                               {"accuracy", 0.5 + step * 0.01}})
                     .dump() +
                 "\n";
    }
    metrics += ordered_json({{"kind", "train"},
                             {"step", step + 1},
                             {"loss", 0.69 - step * 0.012},
                             {"accuracy", 0.5 + step * 0.02}})
                   .dump() +
               "\n";
  }
  write_file(run_dir / "models/rm/duo/metrics.jsonl", metrics);
  write("models/rm/duo/manifest.json",
        {{"program", "charm"},
         {"version", "0.1.0"},
         {"command", "train"},
         {"seed", 3},
         {"options", {{"epochs", 1}}},
         {"inputs",
          {{{"path", "preferences/rm/duo.parquet"}, {"sha256", "abc123"}, {"num_rows", 60}}}}});
  write("splits/rm.json", {{"num_held_out", 200}});
  write("world.json", {{"planted", {{{"policy", policy}, {"planted_offset", -0.75}}}},
                       {"true_quality", {{"solid", 0.8}, {policy, 0.6}}},
                       {"accuracy", {{"before", 0.4}, {"before_ci95", {0.3, 0.5}}}}});
}

}  // namespace charm::report
