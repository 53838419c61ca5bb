#include "charm/score/score_provenance.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/version.h"
#include "charm/engine/model_config.h"
#include "charm/storage/journal.h"
#include "charm/storage/manifest.h"

namespace charm::score {
namespace {

const char* name_of(text::Truncation truncation) {
  switch (truncation) {
    case text::Truncation::kLeft:
      return "left";
    case text::Truncation::kRight:
      return "right";
    case text::Truncation::kError:
      return "error";
  }
  return "";
}

std::string short_hash(const std::string& hash) { return hash.substr(0, 12); }

}  // namespace

storage::Provenance score_provenance(const ScoreStageOptions& options,
                                     const engine::RewardModel& model,
                                     const text::ConversationEncoder& encoder,
                                     const storage::ModelHashes& hashes) {
  const text::EncoderOptions& encoding = encoder.options();
  storage::Provenance provenance = {{"program", "charm"},
                                    {"version", kVersion},
                                    {"model_sha256", hashes.model},
                                    {"tokenizer_sha256", hashes.tokenizer},
                                    {"template_sha256", encoder.chat_template().sha256()}};
  for (auto& fact : model.provenance()) provenance.push_back(std::move(fact));
  provenance.emplace_back("max-tokens", std::to_string(encoder.max_tokens()));
  provenance.emplace_back("truncation", name_of(encoding.truncation));
  provenance.emplace_back("bos", encoding.bos == text::BosPolicy::kOnce ? "once" : "as-template");
  provenance.emplace_back("pooling", options.scorer.pooling == Pooling::kAuto ? "auto" : "last");
  provenance.emplace_back("template-date", encoding.template_date);
  if (!encoding.template_kwargs.empty())
    provenance.emplace_back("chat-template-kwargs", encoding.template_kwargs);
  if (encoding.strip_thinking) provenance.emplace_back("strip-thinking", "true");
  return provenance;
}

text::EncoderOptions encoder_options(text::EncoderOptions encoder, const engine::RewardModel& model,
                                     const engine::ModelSource& source) {
  encoder.template_folder = source.template_folder;
  encoder.text_pairs = model.config().encoder.has_value();
  if (encoder.max_tokens && *encoder.max_tokens > engine::conversation_positions(model.config())) {
    log::warning("--max-tokens {} is more than the model's {} positions; using those",
                 *encoder.max_tokens, engine::conversation_positions(model.config()));
  }
  encoder.max_tokens = std::min(encoder.max_tokens.value_or(text::kDefaultMaxTokens),
                                engine::conversation_positions(model.config()));
  return encoder;
}

storage::Manifest score_manifest(const ScoreStageOptions& options, const engine::RewardModel& model,
                                 const text::ConversationEncoder& encoder,
                                 const storage::Provenance& provenance) {
  storage::Manifest manifest("score");
  manifest.options(options, describe_command)
      .option("adapter", nullptr)  // unless it is among the model's facts
      .option("max-tokens", encoder.max_tokens())
      .option("template-sha256", encoder.chat_template().sha256());
  for (const auto& [name, value] : model.provenance()) manifest.option(name, value);
  manifest.extra("provenance", nlohmann::ordered_json::parse(storage::provenance_json(provenance)));
  return manifest;
}

std::string journal_owner_of(const storage::ModelHashes& hashes) {
  return fmt::format("model {}, tokenizer {}", short_hash(hashes.model),
                     short_hash(hashes.tokenizer));
}

namespace {

/// Throws kInput for scores of another model; a file that says nothing of its model passes.
void refuse_another_model(const fs::path& file, const std::optional<storage::Provenance>& theirs,
                          const storage::Provenance& provenance, std::string_view remedy) {
  if (!theirs) return;
  const auto difference =
      storage::fact_difference(*theirs, provenance, {"model_sha256", "tokenizer_sha256"});
  if (!difference) return;
  throw Error(ErrorKind::kInput, "{}: holds scores of another model ({} {}; --model has {}); {}",
              file.string(), difference->name, difference->a, difference->b, remedy);
}

}  // namespace

void require_same_model(const std::vector<fs::path>& files, const storage::Provenance& provenance,
                        const std::string& owner) {
  for (const fs::path& file : files) {
    const auto header = storage::read_journal_header(file);
    if (header && !header->owner.empty() && header->owner != owner) {
      throw Error(ErrorKind::kInput,
                  "{}: an interrupted run scored with another model ({}; --model is {}); resume "
                  "with that model, choose another --output, or start over with --fresh",
                  storage::journal_path(file).string(), header->owner, owner);
    }
    if (!fs::exists(file)) continue;
    refuse_another_model(file, storage::read_provenance(file), provenance,
                         "choose another --output, or replace them with --fresh");
  }
}

void require_folder_of_model(const fs::path& folder, const std::vector<fs::path>& files,
                             const storage::Provenance& provenance) {
  std::vector<fs::path> others;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const bool is_ours = std::ranges::find(files, entry.path()) != files.end();
    if (entry.path().extension() == ".parquet" && !is_ours) others.push_back(entry.path());
  }
  std::ranges::sort(others);
  for (const fs::path& file : others) {
    std::optional<storage::Provenance> theirs;
    try {
      theirs = storage::read_provenance(file);
    } catch (const Error&) {
      continue;  // no scores
    }
    refuse_another_model(file, theirs, provenance, "choose another --output");
  }
}

std::string provenance_difference(const fs::path& file, const storage::Provenance& provenance) {
  const std::optional<storage::Provenance> theirs = storage::read_provenance(file);
  if (!theirs) return "does not say which model scored it; expected a Parquet file of charm score";
  const auto difference = [](const std::string& name, const std::string* there,
                             const std::string* here) {
    return fmt::format("scored with other settings: its {} is {}, this run's is {}", name,
                       there == nullptr ? "not recorded" : *there,
                       here == nullptr ? "not set" : *here);
  };
  for (const auto& [name, here] : provenance) {
    const std::string* there = storage::find_fact(*theirs, name);
    if (there == nullptr || *there != here) return difference(name, there, &here);
  }
  for (const auto& [name, there] : *theirs) {
    if (storage::find_fact(provenance, name) == nullptr) return difference(name, &there, nullptr);
  }
  return "";
}

}  // namespace charm::score
