#include <algorithm>

#include "charm/base/version.h"
#include "charm/report/sections.h"

namespace charm::report {
namespace {

using nlohmann::ordered_json;

std::string plain(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string member_text(const ordered_json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() ? "–" : plain(*it);
}

std::string options_text(const ordered_json& manifest) {
  const auto it = manifest.find("options");
  if (it == manifest.end() || !it->is_object()) return "–";
  std::string text;
  for (const auto& [name, value] : it->items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, plain(value));
  return text;
}

/// Every input once: its path as the manifest names it and its hash.
void take_inputs(const ordered_json& manifest, std::vector<Row>& rows) {
  const auto it = manifest.find("inputs");
  if (it == manifest.end() || !it->is_array()) return;
  for (const ordered_json& input : *it) {
    if (!input.is_object()) continue;
    Row row = {member_text(input, "path"), member_text(input, "sha256"),
               member_text(input, "num_rows")};
    if (std::find(rows.begin(), rows.end(), row) == rows.end()) rows.push_back(std::move(row));
  }
}

}  // namespace

Section provenance_section(const RunData& run) {
  Section section{"provenance", "Provenance", "", ""};
  section.html = fmt::format("<p>Report by charm {}. Run directory: {}.</p>\n", kVersion,
                             escape_html(run.name));
  std::vector<std::string> earlier;
  for (const fs::path& path : run.earlier) {
    if (fs::exists(path)) earlier.push_back(path.lexically_relative(run.folder).generic_string());
  }
  if (!earlier.empty()) {
    section.html +=
        fmt::format("<p>Left by an earlier form of the recipe, and not shown here: {}.</p>\n",
                    escape_html(fmt::format("{}", fmt::join(earlier, ", "))));
  }
  Table outputs{"Outputs",
                {{"manifest", false},
                 {"command", false},
                 {"charm", false},
                 {"seed", true},
                 {"options", false}},
                {}};
  Table inputs{"Inputs", {{"file", false}, {"SHA-256", false}, {"rows", true}}, {}};
  for (const ManifestFile& manifest : run.manifests) {
    outputs.rows.push_back({manifest.path, member_text(manifest.json, "command"),
                            member_text(manifest.json, "version"),
                            member_text(manifest.json, "seed"), options_text(manifest.json)});
    take_inputs(manifest.json, inputs.rows);
  }
  if (outputs.rows.empty()) {
    section.html += "<p>No manifest was found.</p>\n";
    return section;
  }
  section.html += collapsible_table_html(outputs) + collapsible_table_html(inputs);
  return section;
}

}  // namespace charm::report
