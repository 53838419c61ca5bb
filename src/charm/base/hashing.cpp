#include "charm/base/hashing.h"

#include <openssl/evp.h>

#include <fstream>
#include <memory>
#include <vector>

#include "charm/base/check.h"
#include "charm/base/log.h"

namespace charm {
namespace {

class Digest {
 public:
  explicit Digest(const EVP_MD* kind) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    CHARM_CHECK(context_ && EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1,
                "the hash is not available");
  }
  void update(std::string_view bytes) {
    CHARM_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1,
                "hash update failed");
  }
  void update_with_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error(ErrorKind::kIo, "{}: cannot open", path.string());
    std::vector<char> buffer(1 << 20);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
           file.gcount() > 0) {
      update({buffer.data(), static_cast<std::size_t>(file.gcount())});
    }
    if (file.bad()) throw Error(ErrorKind::kIo, "{}: cannot read", path.string());
  }
  std::string hex() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    CHARM_CHECK(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1, "hash final failed");
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  Digest hash(EVP_sha256());
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_file(const std::filesystem::path& path) {
  Digest hash(EVP_sha256());
  hash.update_with_file(path);
  std::string hex = hash.hex();
  log::debug("{}: SHA-256 {}", path.string(), hex);
  return hex;
}

std::string git_blob_sha1(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw Error(ErrorKind::kIo, "{}: cannot read: {}", path.string(), error.message());
  Digest hash(EVP_sha1());
  hash.update(fmt::format("blob {}", size));
  hash.update(std::string_view("\0", 1));
  hash.update_with_file(path);
  return hash.hex();
}

}  // namespace charm
