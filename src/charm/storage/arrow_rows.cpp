#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/storage/arrow_batches.h"
#include "charm/storage/arrow_value.h"
#include "charm/storage/row_source.h"

namespace charm::storage {
namespace {

class ColumnarRows : public RowSource {
 public:
  ColumnarRows(const std::filesystem::path& file, ColumnarFormat format,
               const std::vector<std::string>& columns)
      : file_(file.string()), columns_(columns), batches_(file, format, columns) {}

  RowOutcome next(nlohmann::json& row, std::string& problem) override {
    while (batch_ == nullptr || index_ == batch_->num_rows()) {
      batch_ = batches_.next();
      index_ = 0;
      if (batch_ == nullptr) return RowOutcome::kEnd;
    }
    ++row_;
    const std::int64_t index = index_++;
    if (!row.is_object()) row = nlohmann::json::object();
    for (int k = 0; k < batch_->num_columns(); ++k) {
      const std::string& name = batch_->schema()->field(k)->name();
      if (!is_wanted(columns_, name)) continue;
      try {
        row[name] = json_value(*batch_->column(k), index);
      } catch (const Error& e) {
        problem = fmt::format("column '{}': {}", name, e.message());
        return RowOutcome::kBad;
      }
    }
    return RowOutcome::kRow;
  }

  std::string location() const override { return fmt::format("{}, row {}", file_, row_); }

 private:
  std::string file_;
  std::vector<std::string> columns_;
  ArrowBatches batches_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  std::int64_t index_ = 0;  // into batch_
  std::int64_t row_ = 0;    // of the file, from 1
};

}  // namespace

std::unique_ptr<RowSource> open_columnar_rows(const std::filesystem::path& file,
                                              ColumnarFormat format,
                                              const std::vector<std::string>& columns) {
  return std::make_unique<ColumnarRows>(file, format, columns);
}

}  // namespace charm::storage
