#include "tests/support/tls_server.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace charm::testing {
namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("TLS server: ") + what);
}

void add_extension(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  require(extension != nullptr, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate self_signed(EVP_PKEY* key) {
  Certificate certificate(X509_new());
  X509* x = certificate.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 24 * 3600);
  X509_set_pubkey(x, key);
  X509_NAME* name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("charm test"), -1, -1, 0);
  X509_set_issuer_name(x, name);
  add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(x, NID_subject_alt_name, "IP:127.0.0.1");
  require(X509_sign(x, key, EVP_sha256()) > 0, "cannot sign");
  return certificate;
}

}  // namespace

struct TlsServer::Tls {
  Handler handler;
  Context context;
  int listen_fd = -1;
  int port = 0;
  std::thread thread;

  void serve() {
    for (int fd = accept(listen_fd, nullptr, nullptr); fd >= 0;
         fd = accept(listen_fd, nullptr, nullptr)) {
      SSL* ssl = SSL_new(context.get());
      SSL_set_fd(ssl, fd);
      if (SSL_accept(ssl) == 1) answer(ssl);
      SSL_free(ssl);
      close(fd);
    }
  }

  void answer(SSL* ssl) const {
    std::string request;
    char piece[1024];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const int got = SSL_read(ssl, piece, sizeof piece);
      if (got <= 0) return;
      request.append(piece, static_cast<std::size_t>(got));
    }
    const std::size_t begin = request.find(' ') + 1;
    const ServerReply reply = handler(request.substr(begin, request.find(' ', begin) - begin));
    std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " Answer\r\n";
    for (const auto& [name, value] : reply.headers) text += name + ": " + value + "\r\n";
    text += "Content-Length: " + std::to_string(reply.body.size()) +
            "\r\nConnection: close\r\n\r\n" + reply.body;
    SSL_write(ssl, text.data(), static_cast<int>(text.size()));
    SSL_shutdown(ssl);
  }
};

TlsServer::TlsServer(Handler handler, const std::filesystem::path& folder)
    : ca_file_(folder / "test_ca.pem"), tls_(std::make_unique<Tls>()) {
  std::signal(SIGPIPE, SIG_IGN);
  tls_->handler = std::move(handler);
  const Key key(EVP_EC_gen("P-256"));
  require(key != nullptr, "cannot make a key");
  const Certificate certificate = self_signed(key.get());
  std::FILE* file = std::fopen(ca_file_.c_str(), "w");
  require(file != nullptr, "cannot write the certificate");
  PEM_write_X509(file, certificate.get());
  std::fclose(file);
  tls_->context.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_use_certificate(tls_->context.get(), certificate.get());
  SSL_CTX_use_PrivateKey(tls_->context.get(), key.get());

  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  tls_->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
  require(bind(tls_->listen_fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
              listen(tls_->listen_fd, 16) == 0 &&
              getsockname(tls_->listen_fd, reinterpret_cast<sockaddr*>(&address), &size) == 0,
          "cannot listen");
  tls_->port = ntohs(address.sin_port);
  tls_->thread = std::thread([this] { tls_->serve(); });
}

TlsServer::~TlsServer() {
  shutdown(tls_->listen_fd, SHUT_RDWR);
  tls_->thread.join();
  close(tls_->listen_fd);
}

std::string TlsServer::url(const std::string& path) const {
  return "https://127.0.0.1:" + std::to_string(tls_->port) + path;
}

}  // namespace charm::testing
