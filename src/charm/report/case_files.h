#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/report/cases.h"

// How cases are stored: compressed inside the page, or as scripts beside it.
namespace charm::report {

struct CaseFiles {
  std::string data;                  ///< elements with the index and, embedded, the cases
  std::vector<std::string> scripts;  ///< of a site: cases/<number>.js
  std::int64_t num_bytes = 0;        ///< of the cases as stored
};

/// The index as JSON and all cases as gzip in base64, in script elements that are not executed.
CaseFiles embedded_cases(const CaseSet& set);

/// The index in the page, a script for each cell. A script, as pages opened from a disk may load
/// scripts but not fetch files.
CaseFiles site_files(const CaseSet& set);

/// Throws kUsage for a folder that is not empty and holds no site, kIo where it cannot be written.
void require_replaceable_site(const fs::path& site);

/// Writes index.html and cases/<number>.js in place of the folder. @return the path of index.html
fs::path write_site(const fs::path& site, const std::string& html,
                    const std::vector<std::string>& scripts);

}  // namespace charm::report
