#include <gtest/gtest.h>

#include "charm/records/conversation.h"

namespace charm {
namespace {

TEST(PromptText, OneUserMessageIsItsTextOthersNameTheirRoles) {
  EXPECT_EQ(prompt_text({{"user", "hi"}}), "hi");
  EXPECT_EQ(prompt_text({{"system", "be kind"}, {"user", "hi"}}), "system: be kind\nuser: hi");
  EXPECT_EQ(prompt_text({}), "");
}

}  // namespace
}  // namespace charm
