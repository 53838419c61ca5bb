#include "charm/storage/journal.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/log.h"

namespace charm::storage {
namespace {

constexpr int kJournalVersion = 1;

std::string header_line(std::string_view fingerprint, std::string_view owner,
                        std::string_view note) {
  nlohmann::ordered_json header = {{"charm_journal", kJournalVersion},
                                   {"fingerprint", fingerprint}};
  if (!owner.empty()) header["owner"] = owner;
  if (!note.empty()) header["note"] = note;
  return header.dump();
}

/// Empty for a line that is no header of this version.
std::optional<JournalHeader> parse_header(const std::string& line) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("charm_journal", nlohmann::json()) != kJournalVersion)
    return std::nullopt;
  const auto text = [&](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  };
  return JournalHeader{
      .fingerprint = text("fingerprint"), .owner = text("owner"), .note = text("note")};
}

struct Kept {
  std::vector<std::string> lines;
  std::size_t num_bytes = 0;  // from the start of the file to the end of the last complete group
};

// The leading complete lines of valid JSON: a killed process leaves a line without newline, a power
// failure possibly invalid JSON.
Kept whole_lines(const std::string& content) {
  Kept kept;
  while (kept.num_bytes < content.size()) {
    const std::size_t end = content.find('\n', kept.num_bytes);
    if (end == std::string::npos) break;
    std::string line = content.substr(kept.num_bytes, end - kept.num_bytes);
    if (!nlohmann::json::accept(line)) break;
    kept.lines.push_back(std::move(line));
    kept.num_bytes = end + 1;
  }
  return kept;
}

}  // namespace

fs::path journal_path(const fs::path& output) {
  const fs::path path = companion_path(output, ".journal");
  const fs::path old_path = path_beside(output, ".journal");
  return fs::exists(old_path) && !fs::exists(path) ? old_path : path;
}

std::optional<JournalHeader> read_journal_header(const fs::path& output) {
  std::ifstream file(journal_path(output));
  std::string line;
  if (!std::getline(file, line) || file.eof()) return std::nullopt;
  return parse_header(line);
}

std::vector<nlohmann::json> read_journal(const fs::path& output) {
  const std::vector<std::string> lines = whole_lines(read_file(journal_path(output))).lines;
  std::vector<nlohmann::json> groups;
  for (std::size_t i = 1; i < lines.size(); ++i) groups.push_back(nlohmann::json::parse(lines[i]));
  return groups;
}

Journal::Journal(const fs::path& output, std::string_view fingerprint, bool fresh,
                 std::string_view owner, std::string_view note)
    : path_(journal_path(output)) {
  if (!fresh && fs::exists(path_)) {
    Kept kept = whole_lines(read_file(path_));
    const std::optional<JournalHeader> header =
        kept.lines.empty() ? std::nullopt : parse_header(kept.lines.front());
    if (header && header->fingerprint == fingerprint && header->owner == owner) {
      std::error_code code;
      fs::resize_file(path_, kept.num_bytes, code);
      if (code)
        throw Error(ErrorKind::kIo, "{}: cannot truncate: {}", path_.string(), code.message());
      finished_.assign(std::make_move_iterator(kept.lines.begin() + 1),
                       std::make_move_iterator(kept.lines.end()));
      appender_ = std::make_unique<LineAppender>(path_);
      return;
    }
    if (!kept.lines.empty()) {
      log::warning("{}: options or inputs changed since this run was interrupted; starting over",
                   path_.string());
    }
  }
  write_file(path_, header_line(fingerprint, owner, note) + "\n");
  appender_ = std::make_unique<LineAppender>(path_);
}

Journal::~Journal() = default;

std::vector<nlohmann::json> Journal::take_finished() {
  std::vector<nlohmann::json> groups;
  groups.reserve(finished_.size());
  for (const std::string& line : std::exchange(finished_, {}))
    groups.push_back(nlohmann::json::parse(line));
  return groups;
}

void Journal::append(const nlohmann::json& group) { appender_->append(group.dump()); }

void Journal::remove() {
  appender_.reset();
  std::error_code code;
  fs::remove(path_, code);
  if (code) throw Error(ErrorKind::kIo, "{}: cannot delete: {}", path_.string(), code.message());
}

}  // namespace charm::storage
