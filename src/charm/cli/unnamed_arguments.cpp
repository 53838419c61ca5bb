#include "charm/cli/unnamed_arguments.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/base/files.h"
#include "charm/base/strings.h"
#include "charm/results/result_file.h"
#include "charm/storage/row_reader.h"

namespace charm::cli {
namespace {

/// Names of options, the most likely one first.
using Names = std::vector<std::string_view>;

// The options that take rows of any kind, after those that fit the columns.
constexpr std::string_view kOfRows[] = {"responses", "prompts", "input",   "preferences",
                                        "data",      "scores",  "battles", "votes"};

Names then_any_rows(Names names) {
  names.insert(names.end(), std::begin(kOfRows), std::end(kOfRows));
  return names;
}

/// By the columns of the first row; an empty or unreadable file is one of rows, too.
Names options_of_rows(const fs::path& path) {
  Names any = then_any_rows({});
  try {
    storage::RowReader reader(path, {});
    const storage::RowView* row = reader.next();
    if (row == nullptr) return any;
    const auto has = [row](std::initializer_list<std::string_view> columns) {
      return std::any_of(columns.begin(), columns.end(),
                         [row](std::string_view column) { return row->contains(column); });
    };
    if (has({"model_a"})) return then_any_rows({"votes", "battles", "data"});
    if (has({"chosen"}) && !has({"score_chosen", "margin"}))
      return then_any_rows({"data", "preferences"});
    if (has({"chosen"})) return then_any_rows({"preferences", "scores"});
    if (has({"response", "output", "completion"}))
      return then_any_rows(has({"score"}) ? Names{"scores"} : Names{});
    if (has({"rating", "elo", "arena_score"})) return {"ratings"};
    if (has({"score"})) return then_any_rows({"scores"});
    return has({"prompt", "instruction", "messages"}) ? then_any_rows({"prompts"}) : any;
  } catch (const Error&) {
    return any;
  }
}

Names options_of_json(const fs::path& path) {
  const auto json =
      nlohmann::ordered_json::parse(read_file(path), nullptr, /*allow_exceptions=*/false);
  if (json.is_array()) return options_of_rows(path);
  const auto kind = results::result_kind(json);
  if (!kind) return {"ratings", "calibration", "data"};
  switch (*kind) {
    case results::ResultKind::kCalibration:
      return {"calibration"};
    case results::ResultKind::kEvaluation:
      return {"compare"};
    default:
      return {};
  }
}

Names options_of_folder(const fs::path& path) {
  if (fs::exists(path / "config.json")) return {"model"};
  if (fs::exists(path / "adapter_config.json")) return {"adapter", "model"};
  for (const char* of_run : {"scores", "calibration", "mismatch", "eval"}) {
    if (fs::is_directory(path / of_run)) return {"run"};
  }
  Names names = options_of_rows(path);
  names.push_back("run");
  return names;
}

/// The options that take what is at the path.
Names options_for(const std::string& argument) {
  if (argument.starts_with("http://") || argument.starts_with("https://")) return {"server"};
  if (argument.starts_with("hub:")) return then_any_rows({"model", "ratings"});
  const fs::path path = argument;
  std::error_code error;
  const std::string extension = lower_ascii(path.extension().string());
  if (!fs::exists(path, error))
    return path.has_extension() || argument.find('/') != std::string::npos ? Names{"output"}
                                                                           : Names{};
  if (fs::is_directory(path, error)) return options_of_folder(path);
  if (extension == ".jinja") return {"template"};
  for (const std::string_view other : {".yaml", ".yml", ".safetensors", ".bin", ".html"}) {
    if (extension == other) return {};
  }
  return extension == ".json" ? options_of_json(path) : options_of_rows(path);
}

}  // namespace

std::string named_arguments(std::span<const std::string> arguments, const OptionTable& own,
                            std::set<std::string> given) {
  std::vector<std::pair<std::string, std::string>> named;  // option, its arguments
  for (const std::string& argument : arguments) {
    const Option* option = nullptr;
    for (const std::string_view name : options_for(argument)) {
      const Option* one = own.find(name);
      if (one == nullptr || one->positional) continue;
      if (one->form == Option::Form::kValue && given.contains(one->name)) continue;
      option = one;
      break;
    }
    if (option == nullptr) return "";
    given.insert(option->name);
    const auto same = std::find_if(named.begin(), named.end(),
                                   [&](const auto& entry) { return entry.first == option->name; });
    if (same == named.end()) {
      named.emplace_back(option->name, shell_word(argument));
    } else {
      same->second += " " + shell_word(argument);
    }
  }
  std::string text;
  for (const auto& [name, words] : named)
    text += fmt::format("{}--{} {}", text.empty() ? "" : " ", name, words);
  return text;
}

}  // namespace charm::cli
