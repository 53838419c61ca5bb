#include "charm/hub/url.h"

#include <gtest/gtest.h>

#include "tests/unit/base/temp_folder.h"

namespace charm::hub {
namespace {

TEST(Url, PartsAndDefaultPorts) {
  const Url url = parse_url("https://example.org/v1?x=1");
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, 443);
  EXPECT_EQ(url.path, "/v1");
  EXPECT_EQ(parse_url("http://node7:8000").port, 8000);
  EXPECT_EQ(parse_url("http://[::1]:8000/").port, 8000);
  for (const char* wrong :
       {"", "node7:8000", "ftp://x/", "file:///etc/passwd", "http://", "hub:a/b"}) {
    EXPECT_EQ(charm::testing::error_of([&] { parse_url(wrong); }).kind(), ErrorKind::kUsage)
        << wrong;
  }
}

TEST(Url, OriginIsSchemeHostAndPort) {
  EXPECT_TRUE(same_origin("https://a.b/x", "https://A.b:443/y?z"));
  EXPECT_FALSE(same_origin("https://a.b/x", "http://a.b/x"));
  EXPECT_FALSE(same_origin("https://a.b/x", "https://a.b:8443/x"));
  EXPECT_FALSE(same_origin("https://a.b/x", "https://c.a.b/x"));
  EXPECT_FALSE(same_origin("https://a.b/x", "https://a.b.evil/x"));
}

TEST(Url, MessagesAreRedacted) {
  EXPECT_EQ(redacted_url("https://me:secret@a.b/c?token=secret#x"), "https://a.b/c");
  EXPECT_EQ(redacted_url("https://a.b/c@d"), "https://a.b/c@d");
}

TEST(Url, EscapesPaths) { EXPECT_EQ(escape_path("a b/ü#.json"), "a%20b/%C3%BC%23.json"); }

}  // namespace
}  // namespace charm::hub
