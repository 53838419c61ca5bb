#pragma once

#include <filesystem>
#include <span>

#include "charm/records/records.h"
#include "charm/storage/provenance.h"

namespace charm::storage {

/// Columns: prompt_id, prompt, response?, policy, sample, finish_reason?, num_tokens?,
/// num_prompt_tokens?, error?, and the settings, equal in all rows: temperature, top_p, top_k?,
/// min_p?, repetition_penalty?, max_new_tokens. As the writers of record_writer.h.
void write_generated(const std::filesystem::path& path, std::span<const GeneratedResponse> rows,
                     const SamplingSettings& sampling, const Provenance& provenance = {});

}  // namespace charm::storage
