#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "tests/support/http_server.h"

namespace charm::testing {

/// An HTTPS server on 127.0.0.1 that signs its own certificate, for tests only: one connection
/// after the other, one request each, without a body.
class TlsServer {
 public:
  using Handler = std::function<ServerReply(const std::string& path)>;

  /// Writes the certificate to trust into `folder`.
  TlsServer(Handler handler, const std::filesystem::path& folder);
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  std::string url(const std::string& path = "") const;
  const std::filesystem::path& ca_file() const { return ca_file_; }

 private:
  struct Tls;

  std::filesystem::path ca_file_;
  std::unique_ptr<Tls> tls_;
};

}  // namespace charm::testing
