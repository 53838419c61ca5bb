#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

namespace arrow {
class Array;
}

namespace charm::storage {

/// The value at `index` as JSON: strings as they are, lists as arrays, structs as objects, null as
/// null, dates and decimals as Arrow's text for them. Throws charm::Error (kInput, without
/// location) for invalid UTF-8 and binary columns.
nlohmann::json json_value(const arrow::Array& array, std::int64_t index);

}  // namespace charm::storage
