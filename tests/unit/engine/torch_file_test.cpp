#include "charm/engine/torch_file.h"

#include <gmock/gmock.h>

#include <cstring>

#include "charm/base/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"
#include "tests/support/zip_writer.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::engine {
namespace {

using charm::testing::tensor_pickle;
using charm::testing::zip_of;
using ::testing::ElementsAre;

class TorchFileTest : public ::testing::Test {
 protected:
  /// A file with this pickle and six floats, 0 to 5, as its storage.
  fs::path write(const std::string& pickle, const std::string& root = "archive") const {
    return folder_.file("pytorch_model.bin",
                        zip_of({{root + "/data.pkl", pickle}, {root + "/data/0", floats(6)}}));
  }

  static std::string floats(int count) {
    std::string bytes(static_cast<std::size_t>(count) * sizeof(float), '\0');
    for (int i = 0; i < count; ++i) {
      const auto value = static_cast<float>(i);
      std::memcpy(bytes.data() + static_cast<std::size_t>(i) * sizeof(float), &value,
                  sizeof(float));
    }
    return bytes;
  }

  Tensor read(int offset, const std::vector<int>& size, const std::vector<int>& stride) const {
    return TorchFile(write(tensor_pickle("torch FloatStorage", 6, offset, size, stride))).view("w");
  }

  /// A pickle with these operations in place of the tensor.
  static std::string pickle_of(std::string_view operations) {
    return std::string("\x80\x02}(X\x01\0\0\0w", 10) + std::string(operations) + "u.";
  }

  testing::TempFolder folder_;
};

TEST_F(TorchFileTest, ReadsContiguousAndStridedTensors) {
  EXPECT_TRUE(test::equal(read(0, {2, 3}, {3, 1}), test::counting({2, 3})));
  EXPECT_TRUE(test::equal(read(0, {3, 2}, {1, 3}), test::counting({2, 3}).transposed()));
  EXPECT_TRUE(test::equal(read(2, {2, 2}, {2, 1}), test::counting({6}).narrow(2, 4).view({2, 2})));
  EXPECT_TRUE(test::equal(read(1, {2}, {4}), Tensor::of(std::vector<float>{1, 5})));
  EXPECT_TRUE(test::equal(read(5, {3}, {0}), test::filled({3}, 5.0F)));
  EXPECT_EQ(read(4, {}, {}).data<float>()[0], 4.0F);
  EXPECT_EQ(read(6, {0, 4}, {4, 1}).numel(), 0);
  const TorchFile file(write(tensor_pickle("torch HalfStorage", 12, 0, {12}, {1}), "other_root"));
  EXPECT_EQ(file.tensors().at("w").dtype, DType::kFloat16);
  EXPECT_THAT(file.tensors().at("w").shape, ElementsAre(12));
  EXPECT_ERROR(kInput, "no tensor 'x'", file.view("x"));
}

TEST_F(TorchFileTest, TensorsOutsideOfTheirStorageAreRefused) {
  for (const auto& [offset, size, stride] :
       {std::tuple(1, std::vector{2, 3}, std::vector{3, 1}),
        {7, {0}, {1}},
        {-1, {2}, {1}},
        {0, {2, 2}, {5, 1}},
        {0, {2147483647, 2147483647, 4}, {2147483647, 2147483647, 4}}}) {
    EXPECT_ERROR(kInput, "beyond its storage of 6 elements", read(offset, size, stride)) << offset;
  }
  EXPECT_ERROR(kInput, "negative", read(5, {3}, {-1}));
  EXPECT_ERROR(kInput, "negative", read(0, {-2}, {1}));
  EXPECT_ERROR(kInput, "differ in length", read(0, {2, 3}, {1}));
  const auto with_storage = [&](std::string_view type, int count) {
    return TorchFile(write(tensor_pickle(type, count, 0, {1}, {1})));
  };
  EXPECT_ERROR(kInput, "'data/0' holds 6", with_storage("torch FloatStorage", 7));
  EXPECT_ERROR(kInput, "has -1 elements", with_storage("torch FloatStorage", -1));
  EXPECT_ERROR(kInput, "'torch.storage.UntypedStorage'",
               with_storage("torch.storage UntypedStorage", 6));
  const std::string pickle = tensor_pickle("torch FloatStorage", 6, 0, {6}, {1});
  EXPECT_ERROR(kInput, "'data/0' is not in the archive",
               TorchFile(folder_.file("external.bin", zip_of({{"a/data.pkl", pickle}}))));
}

TEST_F(TorchFileTest, AnyOtherOperationIsRefusedByName) {
  const auto refused = [&](std::string_view operations, std::string_view name) {
    EXPECT_ERROR(kInput, name, TorchFile(write(pickle_of(operations)))) << name;
  };
  refused("cos\nsystem\nX\x02\0\0\0lsr\x85R", "'os.system'");
  refused("cbuiltins\neval\n)R", "'builtins.eval'");
  refused(std::string_view("\x8c\x02os\x8c\x06system\x93", 13), "'os.system'");
  refused("cnumpy.core.multiarray\n_reconstruct\n", "'numpy.core.multiarray._reconstruct'");
  refused("ctorch._utils\n_rebuild_tensor_v2\n)\x81", "NEWOBJ");
  refused("(ios\nsystem\n", "INST");
  refused("G\x3f\xf0\x01\x01\x01\x01\x01\x01", "BINFLOAT");
  refused("\xfe", "0xfe");
  refused("ctorch\nFloatStorage\n)R", "a call of 'torch.FloatStorage'");
  refused("ccollections\nOrderedDict\n]\x85R", "OrderedDict with arguments");
}

TEST_F(TorchFileTest, OtherObjectsAndCorruptPicklesAreRefused) {
  const auto refused = [&](const std::string& pickle, std::string_view part) {
    EXPECT_ERROR(kInput, part, TorchFile(write(pickle))) << part;
  };
  refused(pickle_of("K\x07"), "entry 'w' is a number, expected a tensor");
  refused(pickle_of("}"), "entry 'w' is a dict");
  refused("\x80\x02].", "holds a list");
  refused("\x80\x02}", "ends in the middle");
  refused("\x80\x02.", "lacks its operand");
  refused("\x80\x02t.", "lacks its mark");
  refused("\x80\x02h\x01.", "an object that it does not have");
  refused("\x80\x02}N.", "left over");
  refused(std::string("\x80\x02}(X\x05\0\0\0w", 10), "ends in the middle");
  const std::string whole = tensor_pickle("torch FloatStorage", 6, 0, {2, 3}, {3, 1});
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_ERROR(kInput, "", TorchFile(write(whole.substr(0, size)))) << size;
}

TEST_F(TorchFileTest, OtherFilesAreRefused) {
  const auto refused = [&](const std::string& bytes, std::string_view part) {
    EXPECT_ERROR(kInput, part, TorchFile(folder_.file("x.bin", bytes))) << part;
  };
  const std::string pickle = tensor_pickle("torch FloatStorage", 6, 0, {2, 3}, {3, 1});
  const std::string whole = zip_of({{"a/data.pkl", pickle}, {"a/data/0", floats(6)}});
  for (std::size_t size = 2; size < whole.size(); ++size)
    EXPECT_ERROR(kInput, "x.bin", TorchFile(folder_.file("x.bin", whole.substr(0, size)))) << size;
  refused("", "no file of torch.save");
  refused(std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15),
          "before PyTorch 1.6");
  refused("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n", "Git LFS");
  refused(zip_of({{"a/data.pkl", pickle}, {"a/data/0", floats(6)}}, /*method=*/8), "compressed");
  refused(zip_of({{"a/weights", "x"}}), "no data.pkl");
  refused(zip_of({{"a/data.pkl", pickle}, {"a/byteorder", "big"}}), "byte order is 'big'");
  refused(zip_of({{"a/data.pkl", pickle}, {"a/data.pkl", pickle}}), "occurs twice");
}

}  // namespace
}  // namespace charm::engine
