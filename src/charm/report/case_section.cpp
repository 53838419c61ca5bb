#include "charm/report/html.h"
#include "charm/report/sections.h"

namespace charm::report {

Section case_section(const RunData& run) {
  if (run.cases.empty()) return {};
  Section section{"cases", "Cases", "", ""};
  section.html = fmt::format(
      "<p>Pairs of responses behind the numbers: up to {} per number, the larger half with the "
      "largest differences between reward model and target, the others of randomly drawn prompts "
      "(seed {}). Numbers above that are links lead to their cases.</p>\n"
      "<div id=\"case-browser\"><noscript>The cases need JavaScript.</noscript></div>\n",
      run.cases.per_cell, run.cases.seed);
  return section;
}

}  // namespace charm::report
