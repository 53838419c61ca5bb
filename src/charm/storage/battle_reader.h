#pragma once

#include <filesystem>
#include <functional>

#include "charm/records/arena.h"
#include "charm/storage/read_options.h"

namespace charm::storage {

/// Battles in file order, from any format that RowReader knows: `model_a`, `model_b` and `winner`
/// (model_a, model_b, tie, tie (bothbad), bothbad, both_bad). With styles also the counts of
/// `conv_metadata` (FastChat: sum_assistant_a_tokens, header_count_a, list_count_a, bold_count_a
/// and those of b, each a number or an object of numbers to be added), or else the texts of
/// `response_a` and `response_b` or of the assistant's turns in `conversation_a` and
/// `conversation_b`. A row with another winner, without a name, or of a model against itself is
/// rejected as RowReader does.
void for_each_battle(const std::filesystem::path& path, const ReadOptions& options,
                     bool with_styles, const std::function<void(Battle&&)>& body);

}  // namespace charm::storage
