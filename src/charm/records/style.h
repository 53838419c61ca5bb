#pragma once

#include <string>

#include "charm/records/records.h"

namespace charm {

/// Counts the Markdown of a response as FastChat does (serve/monitor/add_markdown_info.py): the
/// text inside code fences is taken out first (everywhere it occurs, as there), then lines that
/// open with one to six # and a space, list items (1. or -, *, +), and stretches in ** or __. The
/// length is in characters: FastChat's tokens come from conv_metadata only.
StyleCounts count_style(const std::string& text);

}  // namespace charm
