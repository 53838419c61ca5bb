#pragma once

#include <filesystem>
#include <string>

#include "charm/dist/world.h"
#include "charm/model/reward_model.h"
#include "charm/score/score_stage.h"
#include "charm/storage/manifest.h"
#include "charm/storage/provenance.h"
#include "charm/text/conversation_encoder.h"

namespace charm::score {

/// What rank 0 finds, on all ranks: the others do not read the folder again.
storage::ModelHashes hash_model(const std::filesystem::path& model_dir, dist::World& world);

/// All that a score depends on besides its row: what every scores file carries.
storage::Provenance score_provenance(const ScoreStageOptions& options,
                                     const model::RewardModel& model,
                                     const text::ConversationEncoder& encoder,
                                     const storage::ModelHashes& hashes);

/// Throws kInput when `output` or one of `files` holds scores of another model or tokenizer, or the
/// journal beside `output` does. `owner` is what this run writes into its journal.
void require_same_model(const std::filesystem::path& output,
                        const std::vector<std::filesystem::path>& files,
                        const storage::Provenance& provenance, const std::string& owner);

/// Names model and tokenizer in a journal.
std::string journal_owner_of(const storage::ModelHashes& hashes);

/// Rows of earlier scores files, by key; only for rows whose texts are equal. Throws kInput when a
/// file names no provenance or another one than `provenance`.
std::vector<ScoredResponse> read_resumed(const std::vector<std::filesystem::path>& files,
                                         const storage::Provenance& provenance);

}  // namespace charm::score
