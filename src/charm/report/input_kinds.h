#pragma once

#include "charm/base/files.h"

// What a file holds, by the columns of its first row. Files of other kinds hold neither.
namespace charm::report {

/// Scores of responses.
bool holds_scores(const fs::path& path);

/// Scored votes.
bool holds_votes(const fs::path& path);

}  // namespace charm::report
