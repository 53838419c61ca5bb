// O output features, I inputs, R rank.

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "charm/base/error.h"
#include "charm/engine/lora.h"
#include "charm/engine/safetensors.h"
#include "charm/kernels/gemm.h"

namespace charm::engine {
namespace {

/// weight + scale * left right, in blocks of rows that stay in the cache.
/// @param right_IR  transposed
Tensor add_product(const Tensor& weight_OI, const Tensor& left_OR, const Tensor& right_IR,
                   double scale, DType dtype) {
  constexpr std::int64_t kBlockElements = std::int64_t{1} << 20;
  const std::int64_t rows = weight_OI.rows(), inputs = weight_OI.cols();
  const std::int64_t block = std::clamp<std::int64_t>(kBlockElements / inputs, 1, rows);
  const kernels::PackedWeight right =
      kernels::PackedWeight::pack<float>(right_IR.data<float>(), nullptr, inputs, right_IR.cols());
  Tensor sum_OI = Tensor::empty(weight_OI.shape(), dtype);
  Tensor product = Tensor::empty({block, inputs}, DType::kFloat32);
  for (std::int64_t row = 0; row < rows; row += block) {
    const std::int64_t count = std::min(block, rows - row);
    kernels::GemmOutput<float> output;
    output.weight = &right;
    output.out = product.mutable_data<float>();
    output.row_stride = inputs;
    kernels::gemm<float>(left_OR.narrow(row, count).data<float>(), left_OR.cols(), count,
                         std::span(&output, 1));
    const Tensor weight = weight_OI.narrow(row, count).to(DType::kFloat32);
    Tensor part = product.narrow(0, count);
    const float* base = weight.data<float>();
    float* sum = part.mutable_data<float>();
    for (std::int64_t i = 0; i < part.numel(); ++i)
      sum[i] = base[i] + static_cast<float>(scale) * sum[i];
    sum_OI.narrow(row, count).copy_from(part);
  }
  return sum_OI;
}

/// Columns first, first + stride, ... of rows of a matrix.
Tensor gathered_columns(const Tensor& matrix, std::int64_t first_row, std::int64_t rows,
                        std::int64_t first, std::int64_t stride) {
  const std::int64_t columns = matrix.cols() / stride;
  const std::size_t element = element_bytes(matrix.dtype());
  Tensor gathered = Tensor::empty({rows, columns}, matrix.dtype());
  std::byte* out = gathered.mutable_bytes();
  for (std::int64_t row = first_row; row < first_row + rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column, out += element) {
      const std::int64_t from = row * matrix.cols() + column * stride + first;
      std::memcpy(out, matrix.bytes() + static_cast<std::size_t>(from) * element, element);
    }
  }
  return gathered;
}

}  // namespace

Tensor LoraAdapter::as_float32(const Tensor& values, const std::string& stored) const {
  const bool is_float = values.dtype() == DType::kFloat64 || values.dtype() == DType::kFloat32 ||
                        values.dtype() == DType::kFloat16 || values.dtype() == DType::kBFloat16;
  if (!is_float) {
    throw Error(ErrorKind::kInput, "{}: tensor '{}' is no float16, bfloat16 or float32",
                file_->path().string(), stored);
  }
  Tensor converted = values.to(DType::kFloat32);
  if (find_non_finite(converted)) {
    throw Error(ErrorKind::kInput, "{}: tensor '{}' holds NaN or infinity", file_->path().string(),
                stored);
  }
  return converted;
}

Tensor LoraAdapter::with_product(const std::string& name, const Product& product,
                                 const Tensor& weight, DType dtype) const {
  Tensor a = file_->view(product.a), b = file_->view(product.b);
  if (product.share) {
    const auto [expert, rank, first, rows] = *product.share;
    a = a.narrow(expert * rank, rank);
    b = gathered_columns(b, first, rows, expert, b.cols() / rank);
  }
  a = as_float32(a, product.a);
  b = as_float32(b, product.b);
  const std::vector<std::int64_t> delta =
      product.transposed ? std::vector{a.size(1), b.size(0)} : std::vector{b.size(0), a.size(1)};
  if (weight.shape() != delta) {
    throw Error(ErrorKind::kInput,
                "{}: the adapter changes {} by a matrix of shape [{}], but the base model's is "
                "[{}]: the adapter was trained on another base; give that one: --base-model DIR",
                file_->path().string(), name, fmt::join(delta, ", "),
                fmt::join(weight.shape(), ", "));
  }
  const Tensor left_OR = product.transposed ? a.transposed() : b;
  const Tensor right_IR = product.transposed ? b : a.transposed();
  return add_product(weight, left_OR, right_IR, product.scale, dtype);
}

Tensor LoraAdapter::with_bias(const std::string& name, const Change& change, const Tensor& bias,
                              DType dtype) const {
  const Tensor added = as_float32(file_->view(change.bias), change.bias);
  if (added.shape() != bias.shape()) {
    throw Error(ErrorKind::kInput, "{}: tensor '{}' has shape [{}], but the base's {} has [{}]",
                file_->path().string(), change.bias, fmt::join(added.shape(), ", "), name,
                fmt::join(bias.shape(), ", "));
  }
  const Tensor base = bias.to(DType::kFloat32);
  Tensor sum = Tensor::empty(bias.shape(), DType::kFloat32);
  for (std::int64_t i = 0; i < sum.numel(); ++i) {
    sum.mutable_data<float>()[i] =
        base.data<float>()[i] + static_cast<float>(change.bias_scale) * added.data<float>()[i];
  }
  return sum.to(dtype);
}

Tensor LoraAdapter::with_rows(const std::string& name, const Change& change, const Tensor& weight,
                              DType dtype) const {
  const Tensor rows = as_float32(file_->view(change.rows), change.rows);
  const std::int64_t last = *std::max_element(change.row_ids.begin(), change.row_ids.end());
  if (rows.cols() != weight.cols() || last >= weight.rows()) {
    throw Error(ErrorKind::kInput,
                "{}: tensor '{}' of shape [{}] replaces rows up to {} of {}, which has shape [{}]",
                file_->path().string(), change.rows, fmt::join(rows.shape(), ", "), last, name,
                fmt::join(weight.shape(), ", "));
  }
  Tensor result = Tensor::empty(weight.shape(), dtype);
  result.copy_from(weight);
  for (std::size_t i = 0; i < change.row_ids.size(); ++i) {
    result.narrow(change.row_ids[i], 1).copy_from(rows.narrow(static_cast<std::int64_t>(i), 1));
  }
  return result;
}

Tensor LoraAdapter::merged(const std::string& name, const Tensor& weight, DType dtype) const {
  const Change& change = changes_.at(name);
  if (change.product) return with_product(name, *change.product, weight, dtype);
  return change.rows.empty() ? with_bias(name, change, weight, dtype)
                             : with_rows(name, change, weight, dtype);
}

}  // namespace charm::engine
