#include "charm/base/files.h"
#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/fuzz/properties.h"

namespace charm::fuzz {
namespace {

/// Rows survive a round trip through JSONL and Parquet.
template <typename Rows, typename Read, typename Write>
void check_round_trip(const Rows& rows, const Read& read, const Write& write) {
  const std::filesystem::path jsonl = scratch_folder() / "copy.jsonl",
                              parquet = scratch_folder() / "copy.parquet";
  const std::filesystem::path again = scratch_folder() / "again.jsonl";
  write(jsonl, rows);
  write(parquet, rows);
  const std::string text = read_file(jsonl);
  write(again, read(jsonl));
  require(read_file(again) == text, "JSONL round trip");
  write(again, read(parquet));
  require(read_file(again) == text, "Parquet round trip");
}

template <typename Read, typename Write>
bool holds(const std::filesystem::path& file, const Read& read, const Write& write) {
  // A limit above zero makes the readers skip bad rows.
  const storage::ReadOptions options{.max_bad_rows = 3};
  decltype(read(file, options)) rows;
  const bool accepted =
      accepts([&] { rows = read(file, options); }, {ErrorKind::kInput, ErrorKind::kResource});
  if (accepted) check_round_trip(rows, [&](const auto& copy) { return read(copy, {}); }, write);
  return accepted;
}

}  // namespace

bool rows_property(std::string_view bytes) {
  using namespace storage;
  const std::filesystem::path file = scratch_file("rows", bytes);
  const auto read_all_prompts = [](const std::filesystem::path& path, const ReadOptions& options) {
    return read_prompts(path, options);
  };
  bool accepted = holds(file, read_all_prompts,
                        [](const auto& path, const auto& rows) { write_prompts(path, rows); });
  accepted |= holds(file, read_responses,
                    [](const auto& path, const auto& rows) { write_responses(path, rows); });
  accepted |= holds(file, read_scored_responses,
                    [](const auto& path, const auto& rows) { write_scores(path, rows); });
  accepted |= holds(file, read_preferences,
                    [](const auto& path, const auto& rows) { write_preferences(path, rows); });
  const ReadOptions options{.max_bad_rows = 3};
  accepted |=
      accepts([&] { read_scores(file, options); }, {ErrorKind::kInput, ErrorKind::kResource});
  return accepted;
}

}  // namespace charm::fuzz
