#pragma once

#include <string>

#include "charm/show/show_stage.h"

namespace charm::show {

/// Throws kUsage unless the extension is .jsonl or .csv.
void require_known_format(const fs::path& output);

/// The comparisons as JSON lines or CSV, by the extension of `output`.
std::string output_text(const ShowResult& result, const fs::path& output);

/// The name of the winner, or "tie".
const std::string& winner_name(const ShowResult& result, Winner winner);

}  // namespace charm::show
