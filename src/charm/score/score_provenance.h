#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "charm/engine/reward_model.h"
#include "charm/score/score_stage.h"
#include "charm/storage/manifest.h"
#include "charm/storage/provenance.h"
#include "charm/text/conversation_encoder.h"

namespace charm::score {

/// Everything a score depends on besides its row; stored in every scores file.
storage::Provenance score_provenance(const ScoreStageOptions& options,
                                     const engine::RewardModel& model,
                                     const text::ConversationEncoder& encoder,
                                     const storage::ModelHashes& hashes);

/// An encoder's options for a model: its template's folder, and its length limit where that is
/// smaller (a warning).
text::EncoderOptions encoder_options(text::EncoderOptions encoder, const engine::RewardModel& model,
                                     const engine::ModelSource& source);

/// The manifest of a scoring run, without inputs.
storage::Manifest score_manifest(const ScoreStageOptions& options, const engine::RewardModel& model,
                                 const text::ConversationEncoder& encoder,
                                 const storage::Provenance& provenance);

/// Throws kInput if one of `files` or its journal has scores of another model or tokenizer. `owner`
/// is the owner of this run's journals.
void require_same_model(const std::vector<std::filesystem::path>& files,
                        const storage::Provenance& provenance, const std::string& owner);

/// The journal owner of a model and tokenizer.
std::string journal_owner_of(const storage::ModelHashes& hashes);

/// Throws kInput if `folder` holds scores of another model in other files than `files`, so that
/// --scores FOLDER/*.parquet is always of one model.
void require_folder_of_model(const std::filesystem::path& folder,
                             const std::vector<std::filesystem::path>& files,
                             const storage::Provenance& provenance);

/// How a scores file was scored otherwise than `provenance`, for a message: "scored with other
/// settings: its dtype is ...". Empty where it was not.
std::string provenance_difference(const std::filesystem::path& file,
                                  const storage::Provenance& provenance);

}  // namespace charm::score
