#include "charm/engine/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/engine/weights_folder.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::engine {
namespace {

using ::testing::HasSubstr;

class Safetensors : public ::testing::Test {
 protected:
  /// A file of the given header and data; the header length is right unless given.
  fs::path raw(const std::string& header, const std::string& data, std::int64_t length = -1) {
    std::uint64_t size = length < 0 ? header.size() : static_cast<std::uint64_t>(length);
    std::string bytes(8, '\0');
    for (int i = 0; i < 8; ++i)
      bytes[static_cast<std::size_t>(i)] = static_cast<char>(size >> (8 * i) & 0xff);
    const fs::path path = folder_ / "model.safetensors";
    std::ofstream(path, std::ios::binary) << bytes << header << data;
    return path;
  }

  std::string failure(const fs::path& path) {
    try {
      SafetensorsFile file(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(path.string()));
      return error.what();
    }
    ADD_FAILURE() << "expected an error";
    return "";
  }
  std::string failure(const std::string& header, const std::string& data) {
    return failure(raw(header, data));
  }

  const testing::TempFolder folder_;
};

TEST_F(Safetensors, RoundTripKeepsNamesShapesAndBits) {
  const Tensor a = test::counting({3, 4}).transposed();
  const Tensor b = test::ones({5}, DType::kBFloat16);
  const Tensor empty = test::ones({0, 2}, DType::kFloat32);
  const fs::path path = folder_ / "out.safetensors";
  write_safetensors(path, {{"a", a}, {"b", b}, {"e", empty}}, {{"format", "pt"}});
  EXPECT_FALSE(fs::exists(partial_path(path)));

  const SafetensorsFile file(path);
  ASSERT_EQ(file.tensors().size(), 3U);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_TRUE(test::equal(file.view("a"), a));
  EXPECT_EQ(file.view("b").dtype(), DType::kBFloat16);
  EXPECT_TRUE(test::equal(file.view("b"), b));
  EXPECT_EQ(file.view("e").shape(), Tensor::Shape({0, 2}));
  EXPECT_EQ((file.tensors().at("a").begin) % 8, 0U);

  const std::string first = read_file(path);
  write_safetensors(path, {{"a", a}, {"b", b}, {"e", empty}}, {{"format", "pt"}});
  EXPECT_EQ(read_file(path), first) << "the same tensors must give the same bytes";
}

TEST_F(Safetensors, WriterConvertsAndTheViewOutlivesTheFile) {
  const fs::path path = folder_ / "half.safetensors";
  write_safetensors(path, {{"a", test::counting({6})}}, DType::kFloat16);
  Tensor view;
  {
    const SafetensorsFile file(path);
    view = file.view("a");
  }
  EXPECT_EQ(view.dtype(), DType::kFloat16);
  EXPECT_EQ(view.to(DType::kFloat32).data<float>()[5], 5.0f);
}

TEST_F(Safetensors, WriterRefusesUnwritablePlaces) {
  std::ofstream(folder_ / "file") << "x";
  try {
    write_safetensors(folder_ / "file" / "a.safetensors", {{"a", test::ones({1})}},
                      DType::kFloat32);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
  }
}

TEST_F(Safetensors, UnalignedTensorsAreRead) {
  const SafetensorsFile file(raw(R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                 R"("a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                                 std::string("\x01\x00\x00\x80\x3f", 5)));
  EXPECT_EQ(file.view("a").data<float>()[0], 1.0f);
}

TEST_F(Safetensors, EveryTruncationIsRefused) {
  const fs::path path = folder_ / "whole.safetensors";
  write_safetensors(path, {{"a", test::ones({3})}, {"b", test::ones({2})}}, DType::kFloat32);
  const std::string whole = read_file(path);
  const fs::path cut = folder_ / "cut.safetensors";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::ofstream(cut, std::ios::binary | std::ios::trunc) << whole.substr(0, size);
    EXPECT_ERROR(kInput, "truncated", SafetensorsFile{cut}) << size;
  }
  std::ofstream(cut, std::ios::binary | std::ios::trunc) << whole << "x";
  EXPECT_THAT(failure(cut), HasSubstr("1 bytes after the last tensor"));
}

TEST_F(Safetensors, BadHeaders) {
  EXPECT_THAT(failure(raw("{}", "", 1'000'000'000'000)),
              HasSubstr("header length 1000000000000, expected at most"));
  EXPECT_THAT(failure(raw("{}", "", 50)), HasSubstr("truncated"));
  EXPECT_THAT(failure("{nonsense", ""), HasSubstr("not JSON"));
  EXPECT_THAT(failure("[1]", ""), HasSubstr("expected an object"));
  EXPECT_THAT(failure(R"({"a":3})", ""), HasSubstr("'a'"));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":[1]}})", "1234"), HasSubstr("data_offsets"));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", "1234"),
              HasSubstr("unknown dtype \"F33\""));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"),
              HasSubstr("natural number"));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", "1234"),
              HasSubstr("natural number"));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":"x","data_offsets":[0,4]}})", "1234"),
              HasSubstr("expected a list"));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", "1234"),
              HasSubstr("outside the 4 bytes"));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "1234"),
              HasSubstr("outside"));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"),
              HasSubstr("span 4 bytes"));
  EXPECT_THAT(
      failure(R"({"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,4]}})",
              "1234"),
      HasSubstr("more elements"));
  // No bytes, but strides that no tensor can have.
  EXPECT_THAT(
      failure(R"({"a":{"dtype":"F32","shape":[0,9223372036854775807,4],"data_offsets":[0,0]}})",
              ""),
      HasSubstr("more elements"));
  EXPECT_THAT(failure("{\"a\":" + std::string(1000, '[') + std::string(1000, ']') + "}", ""),
              HasSubstr("nest deeper"));
  EXPECT_THAT(failure(R"({"__metadata__":{"a":1}})", ""), HasSubstr("not a string"));
}

TEST_F(Safetensors, OverlapsHolesAndDuplicates) {
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
                      "123456"),
              HasSubstr("'a' and 'b' overlap"));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "12345678"),
              HasSubstr("4 bytes before tensor 'a'"));
  EXPECT_THAT(failure(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                      R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                      "12345678"),
              HasSubstr("'a' is named twice"));
}

TEST_F(Safetensors, Shards) {
  write_safetensors(folder_ / "s1.safetensors", {{"a", test::ones({2})}}, DType::kFloat32);
  write_safetensors(folder_ / "s2.safetensors", {{"b", test::ones({3})}}, DType::kFloat32);
  const fs::path index = folder_ / "model.safetensors.index.json";
  const auto failure_of = [&](const std::string& text) -> std::string {
    write_file(index, text);
    try {
      WeightsFolder folder(folder_.path());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(
      failure_of(R"({"metadata":{},"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}})"),
      "");
  const WeightsFolder folder(folder_.path());
  EXPECT_EQ(folder.tensors().at("b").view().numel(), 3);

  EXPECT_THAT(failure_of(R"({"weight_map":{"a":"s1.safetensors","b":"s3.safetensors"}})"),
              HasSubstr("'s3.safetensors'"));
  EXPECT_THAT(failure_of(R"({"weight_map":{"a":"s1.safetensors","c":"s2.safetensors"}})"),
              HasSubstr("tensor 'c' is missing"));
  EXPECT_THAT(failure_of(R"({"weight_map":{"a":"s1.safetensors"}})"),
              "");  // the other file is not part of the model
  EXPECT_THAT(failure_of(R"({"weight_map":{"a":"../s1.safetensors"}})"),
              HasSubstr("beside the index"));
  EXPECT_THAT(failure_of(R"({"weight_map":{}})"), HasSubstr("empty"));
  EXPECT_THAT(failure_of(R"({"a":1})"), HasSubstr("weight_map"));
  EXPECT_THAT(failure_of("{"), HasSubstr("not JSON"));
  write_safetensors(folder_ / "s2.safetensors", {{"b", test::ones({3})}, {"x", test::ones({1})}},
                    DType::kFloat32);
  EXPECT_THAT(failure_of(R"({"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}})"),
              HasSubstr("tensor 'x'"));
}

TEST_F(Safetensors, NamesLoseTheWrappersOfTrainingFrameworks) {
  write_safetensors(folder_ / "model.safetensors",
                    {{"module._orig_mod.a.0._fsdp_wrapped_module.w", test::ones({2})},
                     {"a.module.b", test::ones({1})}});
  WeightsFolder folder(folder_.path());
  EXPECT_EQ(folder.tensors().at("a.0.w").view().numel(), 2);
  EXPECT_TRUE(folder.tensors().contains("a.module.b"));
  EXPECT_EQ(folder.wrappers().size(), 3U);
  write_safetensors(folder_ / "head.safetensors", {{"w", test::ones({1})}});
  folder.add(folder_ / "head.safetensors", "a.0.x");
  EXPECT_ERROR(kInput, "is there twice", folder.add(folder_ / "head.safetensors", "a.0."));
  EXPECT_ERROR(kInput, "transformers_weights", WeightsFolder(folder_.path(), "other.safetensors"));
  EXPECT_ERROR(kInput, "transformers_weights", WeightsFolder(folder_.path(), "../x.safetensors"));
  EXPECT_TRUE(WeightsFolder(folder_.path(), "head.safetensors").tensors().contains("w"));
}

TEST_F(Safetensors, OtherFilesAndEmptyFoldersAreRefused) {
  const auto failure_of = [&] {
    try {
      WeightsFolder folder(folder_.path());
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(failure_of(), HasSubstr("found none of them"));
  write_file(folder_ / "model.pth", "x");
  EXPECT_THAT(failure_of(), ::testing::AllOf(HasSubstr("'model.pth'"), HasSubstr("torch.save")));
  write_file(folder_ / "pytorch_model.bin", "x");
  EXPECT_THAT(failure_of(), HasSubstr("pytorch_model.bin"));
  write_safetensors(folder_ / "model.safetensors", {{"a", test::ones({2})}});
  EXPECT_EQ(failure_of(), "");  // preferred, as in transformers
}

}  // namespace
}  // namespace charm::engine
