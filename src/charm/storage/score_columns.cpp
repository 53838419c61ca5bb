#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "charm/base/strings.h"
#include "charm/storage/arrow_batches.h"

namespace charm::storage {
namespace {

// A text column, plain or dictionary-encoded; null if the batch has no column of that name.
class TextColumn {
 public:
  TextColumn(const arrow::RecordBatch& batch, const char* name)
      : column_(batch.GetColumnByName(name)) {
    if (column_ == nullptr) return;
    const arrow::Array* texts = column_.get();
    if (column_->type_id() == arrow::Type::DICTIONARY) {
      dictionary_ = static_cast<const arrow::DictionaryArray*>(texts);
      texts = dictionary_->dictionary().get();
    }
    // pandas and polars write large strings.
    if (texts->type_id() == arrow::Type::STRING)
      texts_ = static_cast<const arrow::StringArray*>(texts);
    if (texts->type_id() == arrow::Type::LARGE_STRING)
      large_texts_ = static_cast<const arrow::LargeStringArray*>(texts);
  }

  bool is_present() const { return column_ != nullptr; }
  bool is_usable() const {
    return column_ == nullptr || texts_ != nullptr || large_texts_ != nullptr;
  }

  std::optional<std::string_view> at(std::int64_t row) const {
    if (column_ == nullptr || column_->IsNull(row)) return std::nullopt;
    const std::int64_t index = dictionary_ == nullptr ? row : dictionary_->GetValueIndex(row);
    if (dictionary_ != nullptr && dictionary_->dictionary()->IsNull(index)) return std::nullopt;
    return texts_ != nullptr ? texts_->GetView(index) : large_texts_->GetView(index);
  }

 private:
  std::shared_ptr<arrow::Array> column_;
  const arrow::DictionaryArray* dictionary_ = nullptr;
  const arrow::StringArray* texts_ = nullptr;
  const arrow::LargeStringArray* large_texts_ = nullptr;
};

std::optional<std::string> clean_text(std::optional<std::string_view> text) {
  if (!text || text->empty() || find_invalid_utf8(*text)) return std::nullopt;
  return std::string(*text);
}

// Appends the rows of a batch; false at the first row or column that needs the row reader.
bool append_batch(const arrow::RecordBatch& batch, const ReadOptions& options,
                  std::unordered_set<std::string>& keys, std::vector<Score>& scores) {
  const TextColumn prompt_ids(batch, "prompt_id");
  const TextColumn policies(batch, "policy");
  const TextColumn errors(batch, "error");
  const auto values = batch.GetColumnByName("score");
  const auto samples = batch.GetColumnByName("sample");
  if (!prompt_ids.is_present() || !prompt_ids.is_usable() || !policies.is_usable() ||
      !errors.is_usable())
    return false;
  if (values == nullptr || values->type_id() != arrow::Type::FLOAT) return false;
  if (samples != nullptr && (samples->type_id() != arrow::Type::INT32 || samples->null_count() > 0))
    return false;
  // The alternative names of the policy column are handled by the row reader.
  if (!options.policy && !policies.is_present()) return false;
  const auto& numbers = static_cast<const arrow::FloatArray&>(*values);
  for (std::int64_t row = 0; row < batch.num_rows(); ++row) {
    Score score;
    auto prompt_id = clean_text(prompt_ids.at(row));
    auto policy = options.policy ? options.policy : clean_text(policies.at(row));
    if (!prompt_id || !policy) return false;
    score.prompt_id = *std::move(prompt_id);
    score.policy = *std::move(policy);
    if (samples != nullptr)
      score.sample = static_cast<const arrow::Int32Array&>(*samples).Value(row);
    score.error = clean_text(errors.at(row));
    if (!score.error) {
      if (errors.at(row) || numbers.IsNull(row) || !std::isfinite(numbers.Value(row))) return false;
      score.score = numbers.Value(row);
    }
    std::string key = score.policy;
    key.append(1, '\0')
        .append(score.prompt_id)
        .append(1, '\0')
        .append(std::to_string(score.sample));
    if (score.sample < 0 || !keys.insert(std::move(key)).second) return false;
    scores.push_back(std::move(score));
  }
  return true;
}

}  // namespace

std::optional<std::vector<Score>> read_score_columns(const std::filesystem::path& path,
                                                     const ReadOptions& options) {
  std::vector<Score> scores;
  std::unordered_set<std::string> keys;
  for (const DataFile& file : data_files_of(path, options.split)) {
    const auto format = columnar_format_of(file.path);
    if (!format) return std::nullopt;
    ArrowBatches batches(file.path, *format, {"prompt_id", "policy", "sample", "score", "error"});
    while (const auto batch = batches.next()) {
      if (!append_batch(*batch, options, keys, scores)) return std::nullopt;
    }
  }
  if (scores.empty()) return std::nullopt;
  return scores;
}

}  // namespace charm::storage
