#pragma once

#include <string>
#include <vector>

#include "charm/report/html.h"

namespace charm::report {

/// The complete document with inline styles and scripts; a content security policy forbids loading
/// anything.
std::string page_html(const std::string& title, const std::vector<Section>& sections);

}  // namespace charm::report
