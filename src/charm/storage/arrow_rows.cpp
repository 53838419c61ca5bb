#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "charm/base/error.h"
#include "charm/storage/arrow_batches.h"
#include "charm/storage/row_source.h"
#include "charm/storage/row_view.h"

namespace charm::storage {
namespace {

using ClassNames = std::map<std::string, std::vector<std::string>>;

// The names of ClassLabel columns, which `datasets` stores as integers.
ClassNames class_names_of(const arrow::Schema& schema) {
  ClassNames names;
  const int at = schema.metadata() == nullptr ? -1 : schema.metadata()->FindKey("huggingface");
  if (at < 0) return names;
  const auto json = nlohmann::json::parse(schema.metadata()->value(at), nullptr,
                                          /*allow_exceptions=*/false);
  const auto path = nlohmann::json::json_pointer("/info/features");
  if (!json.is_object() || !json.contains(path) || !json[path].is_object()) return names;
  for (const auto& [column, feature] : json[path].items()) {
    if (!feature.is_object() || !feature.contains("names")) continue;
    if (!feature.contains("_type") || feature["_type"] != "ClassLabel") continue;
    std::vector<std::string>& labels = names[column];
    for (const auto& label : feature["names"]) {
      if (label.is_string()) labels.push_back(label.get<std::string>());
    }
  }
  return names;
}

class ColumnarRows : public RowSource {
 public:
  ColumnarRows(const std::filesystem::path& file, ColumnarFormat format,
               const std::vector<std::string>& columns)
      : file_(file.string()),
        batches_(file, format, columns),
        class_names_(class_names_of(batches_.schema())) {}
  ColumnarRows(ArrowArrayStream& stream, std::string name)
      : file_(std::move(name)),
        batches_(stream, file_),
        class_names_(class_names_of(batches_.schema())) {}

  RowOutcome next(RowView& row, std::string&) override {
    while (batch_ == nullptr || index_ == batch_->num_rows()) {
      if (row_ == 0) set_names(row);
      batch_ = batches_.next();
      index_ = 0;
      if (batch_ == nullptr) return RowOutcome::kEnd;
      set_columns(row);
    }
    ++row_;
    row.index = index_++;
    return RowOutcome::kRow;
  }

  std::string location() const override { return fmt::format("{}, row {}", file_, row_); }

 private:
  void set_names(RowView& row) const {
    row.file_columns = batches_.schema().field_names();
    row.repeated.clear();
    for (const std::string& name : row.file_columns) {
      if (batches_.schema().GetAllFieldIndices(name).size() > 1) row.repeated.push_back(name);
    }
  }

  void set_columns(RowView& row) const {
    row.columns.clear();
    for (int k = 0; k < batch_->num_columns(); ++k) {
      const std::string& name = batch_->schema()->field(k)->name();
      const auto names = class_names_.find(name);
      // Arrays are owned by the batch.
      row.columns.push_back(
          {name, batch_->column(k).get(), names == class_names_.end() ? nullptr : &names->second});
    }
  }

  std::string file_;
  ArrowBatches batches_;
  ClassNames class_names_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::int64_t index_ = 0;  // into batch_
  std::int64_t row_ = 0;    // of the file, from 1
};

}  // namespace

std::unique_ptr<RowSource> open_arrow_stream(ArrowArrayStream& stream, std::string name) {
  return std::make_unique<ColumnarRows>(stream, std::move(name));
}

std::unique_ptr<RowSource> open_columnar_rows(const std::filesystem::path& file,
                                              ColumnarFormat format,
                                              const std::vector<std::string>& columns) {
  return std::make_unique<ColumnarRows>(file, format, columns);
}

}  // namespace charm::storage
