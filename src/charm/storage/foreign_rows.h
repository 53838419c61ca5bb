#pragma once

#include <string_view>

#include "charm/storage/row_view.h"

namespace charm::storage {

/// What to do with rows of a published layout that has neither prompt nor response in a column of
/// its own (results of batch APIs, lm-evaluation-harness's samples, trees of messages, several
/// answers in a row), told by the names of their columns; empty for other rows.
std::string_view advice_on_layout(const RowView& row);

}  // namespace charm::storage
