#include "charm/storage/journal.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/companions.h"
#include "charm/base/error.h"
#include "charm/base/hashing.h"
#include "charm/base/log.h"

namespace charm::storage {
namespace {

constexpr int kJournalVersion = 1;
constexpr std::size_t kAsideHash = 8;  // hex digits of the name of a journal set aside

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

/// Where the journal of other settings waits.
fs::path path_aside(const fs::path& journal, std::string_view fingerprint, std::string_view owner) {
  const std::string hash = sha256_hex(fmt::format("{}\n{}", fingerprint, owner));
  return fs::path(journal).replace_extension(
      fmt::format(".{}.journal", hash.substr(0, kAsideHash)));
}

bool is_aside(const fs::path& path, const fs::path& journal) {
  const std::string name = path.filename().string();
  const std::string front = journal.stem().string() + ".", back = ".journal";
  if (name.size() != front.size() + kAsideHash + back.size() || !name.starts_with(front) ||
      !name.ends_with(back))
    return false;
  const std::string_view hash = std::string_view(name).substr(front.size(), kAsideHash);
  return hash.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void move_file(const fs::path& from, const fs::path& to) {
  std::error_code code;
  fs::rename(from, to, code);
  if (code) {
    throw Error(ErrorKind::kIo, "{}: cannot be renamed to {}: {}", from.string(), to.string(),
                code.message());
  }
}

void remove_aside(const fs::path& journal) {
  std::error_code code;
  std::vector<fs::path> found;
  const fs::path folder = journal.has_parent_path() ? journal.parent_path() : ".";
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    if (is_aside(entry->path(), journal)) found.push_back(entry->path());
  }
  for (const fs::path& path : found) fs::remove(path, code);
}

std::optional<JournalHeader> header_of(const fs::path& journal) {
  std::ifstream file(journal);
  std::string line;
  if (!std::getline(file, line) || file.eof()) return std::nullopt;
  return parse_header(line);
}

bool is_of(const std::optional<JournalHeader>& header, std::string_view fingerprint,
           std::string_view owner) {
  return header && header->fingerprint == fingerprint && header->owner == owner;
}

/// Sets a journal of other settings aside, and takes back that of these settings.
void exchange_journals(const fs::path& path, std::string_view fingerprint, std::string_view owner) {
  const std::optional<JournalHeader> header = header_of(path);
  if (is_of(header, fingerprint, owner)) return;
  if (header) {
    const fs::path aside = path_aside(path, header->fingerprint, header->owner);
    move_file(path, aside);
    log::warning(
        "{}: an interrupted run had other options or inputs; its journal is kept as {}: its own "
        "command continues it, --fresh deletes it",
        path.string(), aside.filename().string());
  } else if (fs::exists(path) && fs::file_size(path) > 0) {
    log::warning("{}: no journal of this version of charm; starting over", path.string());
  }
  const fs::path own = path_aside(path, fingerprint, owner);
  if (fs::exists(own)) move_file(own, path);
}

}  // namespace

fs::path journal_path(const fs::path& output) {
  const fs::path path = companion_path(output, ".journal");
  const fs::path old_path = path_beside(output, ".journal");
  return fs::exists(old_path) && !fs::exists(path) ? old_path : path;
}

std::optional<JournalHeader> read_journal_header(const fs::path& output) {
  return header_of(journal_path(output));
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
  if (fresh) {
    remove_aside(path_);
  } else {
    exchange_journals(path_, fingerprint, owner);
    resume(fingerprint, owner);
    if (appender_) return;
  }
  write_file(path_, header_line(fingerprint, owner, note) + "\n");
  appender_ = std::make_unique<LineAppender>(path_);
}

void Journal::resume(std::string_view fingerprint, std::string_view owner) {
  if (!is_of(header_of(path_), fingerprint, owner)) return;
  Kept kept = whole_lines(read_file(path_));
  std::error_code code;
  fs::resize_file(path_, kept.num_bytes, code);
  if (code) throw Error(ErrorKind::kIo, "{}: cannot truncate: {}", path_.string(), code.message());
  finished_.assign(std::make_move_iterator(kept.lines.begin() + 1),
                   std::make_move_iterator(kept.lines.end()));
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
