#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/files.h"

namespace charm::storage {

/// Append-only log of the finished groups of a running stage, `<output>.journal`: one JSON value
/// per line, written at once, so that a killed process loses at most the group it was writing. One
/// of other options or inputs (another fingerprint or owner) is set aside as
/// `<output>.<hash>.journal` with a warning, and continues when its own command runs again.
///
///     Journal journal(output, manifest.fingerprint(), options.fresh);
///     for (const nlohmann::json& group : journal.take_finished()) ...;
///     journal.append(group);
///     write_scores(output, rows);
///     journal.remove();
///
/// Not thread-safe.
class Journal {
 public:
  /// Opens the journal of `output` (a file or folder that need not exist yet). `fresh` discards an
  /// existing one and those set aside. `owner` and `note` are stored for `read_journal_header`.
  Journal(const std::filesystem::path& output, std::string_view fingerprint, bool fresh = false,
          std::string_view owner = {}, std::string_view note = {});
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// The groups that an interrupted run finished, in append order; empty on the second call.
  std::vector<nlohmann::json> take_finished();

  void append(const nlohmann::json& group);

  /// Deletes the file. Call once the output is in place. Those set aside stay.
  void remove();

  const std::filesystem::path& path() const { return path_; }

 private:
  /// Opens the file for appending if it is of these settings.
  void resume(std::string_view fingerprint, std::string_view owner);

  std::filesystem::path path_;
  std::vector<std::string> finished_;
  std::unique_ptr<LineAppender> appender_;
};

/// `<output>.journal` at the companion path of `output` (base/companions.h), or beside it where an
/// earlier version left one.
std::filesystem::path journal_path(const std::filesystem::path& output);

/// The first line of a journal.
struct JournalHeader {
  std::string fingerprint;
  std::string owner;
  std::string note;
};

/// The header of the journal of `output`; empty if there is none, or its first line is incomplete.
std::optional<JournalHeader> read_journal_header(const std::filesystem::path& output);

/// The finished groups in the journal of `output`, also while another process appends to it.
std::vector<nlohmann::json> read_journal(const std::filesystem::path& output);

}  // namespace charm::storage
