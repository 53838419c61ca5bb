#include "charm/model/adapter.h"

#include <gmock/gmock.h>

#include "charm/model/causal_lm.h"
#include "charm/model/reward_model.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/model/model_folder.h"

namespace charm::model {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

constexpr const char* kLora =
    R"({"peft_type": "LORA", "base_model_name_or_path": "org/base-8b", "r": 16})";

TEST(Adapter, BesideWeightsIsRefusedByName) {
  const TempFolder folder;
  testing_support::write_tiny_model(folder.path(), testing_support::tiny_config());
  EXPECT_FALSE(leave_out_adapter(folder.path(), AdapterChoice::kRefuse));
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
    folder.file(name, "");
    const Error error = error_of([&] { leave_out_adapter(folder.path(), AdapterChoice::kRefuse); });
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(), AllOf(HasSubstr(name), HasSubstr("--adapter none")));
    fs::remove(folder / name);
  }
  folder.file("adapter_config.json", kLora);
  folder.file("adapter_model.safetensors", "");
  EXPECT_THAT(error_of([&] { load_reward_model(folder.path(), {}); }).message(),
              AllOf(HasSubstr(folder.path().string()), HasSubstr("LORA, of org/base-8b"),
                    HasSubstr("adapter_config.json, adapter_model.safetensors"),
                    HasSubstr("merge_and_unload"), HasSubstr("--adapter none")));
  EXPECT_THAT(error_of([&] { load_causal_lm(folder.path(), {}); }).message(),
              HasSubstr("--adapter none"));
}

TEST(Adapter, IsLeftOutWhereAskedAndThatIsRecorded) {
  const TempFolder folder;
  testing_support::write_tiny_model(folder.path(), testing_support::tiny_config());
  const RewardModelOptions options{
      .device = DeviceChoice::kCpu, .threads = 1, .adapter = AdapterChoice::kNone};
  EXPECT_THAT(load_reward_model(folder.path(), options)->provenance(),
              Not(Contains(Pair("adapter", "none"))))
      << "there is none to leave out";
  folder.file("adapter_config.json", kLora);
  EXPECT_THAT(load_reward_model(folder.path(), options)->provenance(),
              Contains(Pair("adapter", "none")));
}

TEST(Adapter, WithoutWeightsNamesItsBaseModel) {
  const TempFolder folder;
  folder.file("adapter_config.json", kLora);
  folder.file("adapter_model.safetensors", "");
  for (const AdapterChoice choice : {AdapterChoice::kRefuse, AdapterChoice::kNone}) {
    const Error error = error_of([&] { leave_out_adapter(folder.path(), choice); });
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(),
                AllOf(HasSubstr("PEFT adapter (LORA, of org/base-8b)"), HasSubstr("no weights"),
                      HasSubstr("merge_and_unload"), Not(HasSubstr("--adapter none"))));
  }
  folder.file("adapter_config.json", "broken");
  EXPECT_THAT(error_of([&] { leave_out_adapter(folder.path(), AdapterChoice::kRefuse); }).message(),
              HasSubstr("an unnamed base model"));
}

}  // namespace
}  // namespace charm::model
