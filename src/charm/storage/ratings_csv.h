#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace charm::storage {

/// Rows of a CSV text with a header, as objects: fields that are numbers become numbers, empty ones
/// null. Quotes as in RFC 4180; a quoted field may hold line breaks. Throws kInput naming the line
/// where a row has another number of fields.
nlohmann::ordered_json csv_rows(std::string_view text, char separator,
                                const std::filesystem::path& path);

}  // namespace charm::storage
