#pragma once

#include <string>
#include <vector>

#include "charm/report/html.h"

namespace charm::report {

/// The whole document: styles, sections and scripts inside; a content security policy forbids it to
/// load anything.
std::string page_html(const std::string& title, const std::vector<Section>& sections);

}  // namespace charm::report
