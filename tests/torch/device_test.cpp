#include "charm/torch/device.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

namespace charm::torch {
namespace {

TEST(DeviceUpload, ChunksOfAnySizeGiveTheTensorConverted) {
  const at::Tensor source = at::arange(1000, at::kFloat).div_(7).view({8, 125});
  for (const std::int64_t chunk_bytes : {64, 1000, 1 << 20}) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      DeviceUpload upload(at::kCPU, chunk_bytes);
      const at::Tensor first = upload.upload(source, dtype);
      const at::Tensor second = upload.upload(source + 1, dtype);
      upload.finish();
      EXPECT_TRUE(at::equal(first, source.to(dtype))) << chunk_bytes;
      EXPECT_TRUE(at::equal(second, (source + 1).to(dtype))) << chunk_bytes;
    }
  }
  DeviceUpload upload(at::kCPU, 64);
  EXPECT_EQ(upload.upload(at::empty({0, 4}), at::kBFloat16).numel(), 0);
}

TEST(DeviceErrors, OutOfMemoryIsResourceAndNamesTheAdvice) {
  const auto message = [](auto&& work, ErrorKind kind) {
    try {
      with_device_errors("try less", work);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      return error.message();
    }
    return std::string("no error");
  };
  const std::string memory = message(
      [] { C10_THROW_ERROR(OutOfMemoryError, "CUDA out of memory. Tried to allocate 2 GiB"); },
      ErrorKind::kResource);
  EXPECT_EQ(memory, "out of device memory: CUDA out of memory. Tried to allocate 2 GiB; try less");
  const std::string other =
      message([] { TORCH_CHECK(false, "shapes differ"); }, ErrorKind::kInternal);
  EXPECT_EQ(other.find("torch: shapes differ"), 0U) << other;
  EXPECT_EQ(other.find('\n'), std::string::npos) << other;
  EXPECT_EQ(message([] { throw Error(ErrorKind::kInput, "mine"); }, ErrorKind::kInput), "mine");
  EXPECT_EQ(with_device_errors("", [] { return 3; }), 3);
}

}  // namespace
}  // namespace charm::torch
