#pragma once

#include <span>
#include <string>

namespace charm {

/// One record of a CSV file by RFC 4180, ending with "\r\n": fields with a comma, a quote or a line
/// break are quoted, quotes within them doubled.
std::string csv_record(std::span<const std::string> fields);

}  // namespace charm
