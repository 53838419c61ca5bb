#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace charm::results {

/// An input of a stage, as its result names it.
struct InputFile {
  std::filesystem::path path;
  std::string sha256;
  std::int64_t num_rows = 0;
};

/// The member `inputs` of a result.
nlohmann::ordered_json inputs_json(std::span<const InputFile> files);
/// Of a result of any kind; entries without a path or a hash have empty ones.
std::vector<InputFile> read_inputs(const nlohmann::ordered_json& result);

/// Throws kUsage for the name of a format that results are not written in (.parquet, .tsv, ...).
void require_result_name(const std::filesystem::path& output);
/// The same where there is no table: .csv is refused too.
void require_json_name(const std::filesystem::path& output);

enum class ResultKind { kMismatch, kCalibration, kEvaluation, kComparison, kExplanation };

/// By the members of a JSON file, whatever its name; none if it is no result.
std::optional<ResultKind> result_kind(const nlohmann::ordered_json& json);

/// "a result of charm measure": for messages.
std::string_view result_kind_text(ResultKind kind);

/// Writes a result: as CSV if the name ends in .csv, the rows of `table`; else `result` as JSON.
/// `-` is standard output, as JSON. Text that is no UTF-8 (names of files) gets replacement
/// characters.
/// @param table  list of objects, see `csv_table`
void write_result(const std::filesystem::path& output, const nlohmann::ordered_json& result,
                  const nlohmann::ordered_json& table);

/// A list of objects as CSV by RFC 4180 with one header line. Columns are the members in order of
/// first appearance; members of an object have its name before theirs (`mcnemar_p_value`), the
/// bounds of an interval `_lo` and `_hi` after it; other lists are JSON. Numbers have all their
/// digits; null and missing members are empty.
std::string csv_table(const nlohmann::ordered_json& rows);

/// The table of an evaluation or a comparison: a row for each overall value, section, domain,
/// subset, correlation and policy, with `part` and `name`; a single number is its `score`.
nlohmann::ordered_json evaluation_table(const nlohmann::ordered_json& result);

}  // namespace charm::results
