#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "charm/generate/generate_stage.h"
#include "charm/generate/generation.h"
#include "charm/records/records.h"
#include "charm/storage/journal.h"

// The rows of an output while they are being answered, and their lines in the journal.
namespace charm::generate {

/// The rows to be, without responses: prompts in order, the samples of one together. Empty prompts
/// carry their error.
std::vector<GeneratedResponse> open_rows(const std::vector<Prompt>& prompts,
                                         const GenerateStageOptions& options);

/// What to ask for row `index`; `system` goes before prompts without a system message of their own.
GenerationRequest request_for(const GeneratedResponse& row, std::size_t index,
                              const std::string& system);

void fill(GeneratedResponse& row, GenerationResult result);

nlohmann::json journal_line(const GenerationResult& result);

/// Fills the rows that the journal holds; returns which they are. Throws kInput where the journal
/// does not fit the rows.
std::vector<bool> restore(storage::Journal& journal, std::vector<GeneratedResponse>& rows);

}  // namespace charm::generate
