#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "charm/generate/generate_stage.h"
#include "charm/generate/generation.h"
#include "charm/storage/journal.h"

namespace charm {
struct GeneratedResponse;
struct Prompt;
}  // namespace charm

// The rows of an output during generation, and their journal lines.
namespace charm::generate {

/// Rows without responses: prompts in order, the samples of a prompt together. Empty prompts get an
/// error.
std::vector<GeneratedResponse> pending_rows(const std::vector<Prompt>& prompts,
                                            const GenerateStageOptions& options);

/// The request for row `index`; `system` is prepended to prompts without a system message.
GenerationRequest request_for(const GeneratedResponse& row, std::size_t index,
                              const std::string& system);

/// Sets the response or error of a row.
void set_result(GeneratedResponse& row, GenerationResult result);

nlohmann::json journal_line(const GenerationResult& result);

/// Restores rows from the journal; returns which. Throws kInput if the journal does not match the
/// rows.
std::vector<bool> restore(storage::Journal& journal, std::vector<GeneratedResponse>& rows);

}  // namespace charm::generate
