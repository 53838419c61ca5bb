#include "charm/report/case_files.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/strings.h"
#include "charm/report/html.h"
#include "charm/storage/byte_stream.h"

namespace charm::report {
namespace {

constexpr std::string_view kGenerator = "<meta name=\"generator\" content=\"charm report\">";

std::string index_element(const CaseSet& set, const CaseBundles& bundles) {
  return "<script type=\"application/json\" id=\"case-index\">" +
         script_json(case_index_json(set, bundles)) + "</script>\n";
}

}  // namespace

CaseFiles embedded_cases(const CaseSet& set) {
  CaseFiles files;
  if (set.empty()) return files;
  const CaseBundles bundles = one_bundle(set);
  const std::string json =
      case_bundle_json(set, bundles.cases.front())
          .dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace);
  const std::string text = base64_of(storage::gzip_bytes(json, /*effort=*/9));
  files.num_bytes = static_cast<std::int64_t>(text.size());
  files.data = index_element(set, bundles) + "<script type=\"text/plain\" id=\"case-bundle\">" +
               text + "</script>\n";
  return files;
}

CaseFiles site_files(const CaseSet& set) {
  CaseFiles files;
  if (set.empty()) return files;
  const CaseBundles bundles = bundle_per_cell(set);
  files.data = index_element(set, bundles);
  for (std::size_t bundle = 0; bundle < bundles.cases.size(); ++bundle) {
    files.scripts.push_back(fmt::format("charmCases({},{});\n", bundle,
                                        script_json(case_bundle_json(set, bundles.cases[bundle]))));
    files.num_bytes += static_cast<std::int64_t>(files.scripts.back().size());
  }
  return files;
}

void require_replaceable_site(const fs::path& site) {
  if (fs::exists(site)) {
    const fs::path index = site / "index.html";
    const bool is_ours =
        fs::is_directory(site) &&
        (fs::is_empty(site) ||
         (fs::is_regular_file(index) && read_file(index).find(kGenerator) != std::string::npos));
    if (!is_ours) {
      throw Error(ErrorKind::kUsage,
                  "--site {}: exists and is not the folder of a report; name a new folder",
                  site.string());
    }
  }
  require_writable_folder(site);
}

fs::path write_site(const fs::path& site, const std::string& html,
                    const std::vector<std::string>& scripts) {
  const fs::path folder = site.has_filename() ? site : site.parent_path();
  const fs::path partial = partial_path(folder);
  fs::remove_all(partial);
  create_folders(partial);
  for (std::size_t number = 0; number < scripts.size(); ++number)
    write_file(partial / "cases" / fmt::format("{}.js", number), scripts[number]);
  write_file(partial / "index.html", html);
  publish(partial, folder);
  return folder / "index.html";
}

}  // namespace charm::report
