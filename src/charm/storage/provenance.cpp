#include "charm/storage/provenance.h"

#include <arrow/io/file.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"

namespace charm::storage {

std::optional<Provenance> read_provenance(const std::filesystem::path& path) {
  auto file = arrow::io::ReadableFile::Open(path.string());
  if (!file.ok())
    throw Error(ErrorKind::kIo, "{}: cannot be read: {}", path.string(), file.status().message());
  std::shared_ptr<parquet::FileMetaData> metadata;
  try {
    metadata = parquet::ReadMetaData(*file);
  } catch (const std::exception&) {  // Parquet's exceptions: not a Parquet file, or a corrupt one
    return std::nullopt;
  }
  const auto& pairs = metadata->key_value_metadata();
  if (pairs == nullptr) return std::nullopt;
  const auto text = pairs->Get("charm");
  if (!text.ok()) return std::nullopt;
  const auto json = nlohmann::ordered_json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  Provenance provenance;
  for (const auto& [name, value] : json.items()) {
    if (value.is_string()) provenance.emplace_back(name, value.get<std::string>());
  }
  return provenance;
}

const std::string* find_fact(const Provenance& provenance, std::string_view name) {
  const auto found = std::find_if(provenance.begin(), provenance.end(),
                                  [&](const auto& fact) { return fact.first == name; });
  return found == provenance.end() ? nullptr : &found->second;
}

std::optional<FactDifference> fact_difference(const Provenance& a, const Provenance& b,
                                              std::initializer_list<std::string_view> names) {
  constexpr std::size_t kShownDigits = 12;
  for (const std::string_view name : names) {
    const std::string* in_a = find_fact(a, name);
    const std::string* in_b = find_fact(b, name);
    if (in_a == nullptr || in_b == nullptr || *in_a == *in_b) continue;
    return FactDifference{
        .name = name, .a = in_a->substr(0, kShownDigits), .b = in_b->substr(0, kShownDigits)};
  }
  return std::nullopt;
}

void require_one_model(std::span<const std::filesystem::path> files) {
  std::optional<Provenance> first;
  std::filesystem::path first_file;
  for (const std::filesystem::path& file : files) {
    if (file.extension() != ".parquet") continue;
    std::optional<Provenance> facts = read_provenance(file);
    if (!facts) continue;
    if (!first) {
      first = std::move(facts);
      first_file = file;
      continue;
    }
    const auto difference =
        fact_difference(*first, *facts, {"model_sha256", "tokenizer_sha256", "template_sha256"});
    if (!difference) continue;
    throw Error(ErrorKind::kInput,
                "{} and {} hold scores of different reward models ({} {} and {}): their scores "
                "cannot be compared; score all policies with one model, tokenizer and template",
                first_file.string(), file.string(), difference->name, difference->a, difference->b);
  }
}

std::string provenance_json(const Provenance& provenance) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : provenance) json[name] = value;
  return json.dump(-1, ' ', /*ensure_ascii=*/false,
                   nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace charm::storage
