// SPDX-License-Identifier: Apache-2.0
//
// The only file that knows cpprestsdk. What it must be protected from is written down where it is
// done; nothing of the library's types, threads or exceptions leaves this file.
#include "operator/kube/http_transport.h"

// Boost.Asio 1.74 needs std::exchange, which it does not include under C++20.
#include <utility>

#include <cpprest/http_client.h>
#include <cpprest/producerconsumerstream.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pplx/threadpool.h>

#include <arpa/inet.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <mutex>

#include "operator/base/log.h"
#include "operator/base/mutex.h"
#include "operator/kube/error.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace http = web::http;
namespace asio = boost::asio;

// Between any two bytes of an ordinary answer. The caller's deadline is usually nearer.
constexpr seconds kCallIdleTimeout{120};
// How long a cancelled request may take to notice. It is done within milliseconds, but for a name
// being resolved, which cannot be interrupted; then it is left to end by itself.
constexpr seconds kCancelGrace{2};
constexpr size_t kErrorBodyBytesMax = 1u << 20;
constexpr int kKeepaliveIdleSeconds = 10, kKeepaliveIntervalSeconds = 3, kKeepaliveProbes = 3;

// One request on its way. Shared between the caller, who waits, and the library's threads, which
// may outlive the waiting when a cancel is slow.
class Exchange {
 public:
  Exchange(size_t body_bytes_max, Transport::OnBytes on_bytes)
      : body_bytes_max_(body_bytes_max), on_bytes_(std::move(on_bytes)) {}

  // From the library's threads.

  void OnHead(int status, Headers headers) {
    MutexLock delivering(delivery_);
    status_ = status;
    headers_ = std::move(headers);
    // Bytes may arrive before the head does: they have waited here.
    if (IsStreaming() && !body_.empty()) on_bytes_(std::exchange(body_, {}));
  }

  // False when the rest is not wanted.
  bool OnBytes(std::string_view bytes) {
    MutexLock delivering(delivery_);
    if (detached_) return false;
    if (IsStreaming()) {
      on_bytes_(bytes);
      return true;
    }
    if (body_.size() + bytes.size() > BodyBytesMax()) return false;
    body_.append(bytes);
    return true;
  }

  void Finish(std::exception_ptr failure) {
    MutexLock lock(mutex_);
    failure_ = failure;
    finished_ = true;
    changed_.NotifyAll();
  }

  // From the caller's thread.

  bool WaitFinished(std::stop_token stop, Deadline deadline) {
    MutexLock lock(mutex_);
    return changed_.Wait(mutex_, stop, deadline, [&] { return finished_; });
  }

  // After this nothing more is delivered.
  void Detach() {
    MutexLock delivering(delivery_);
    detached_ = true;
  }

  std::exception_ptr failure() {
    MutexLock lock(mutex_);
    return failure_;
  }
  Response TakeResponse() {
    MutexLock delivering(delivery_);
    return {status_, std::move(headers_), std::move(body_)};
  }
  int status() {
    MutexLock delivering(delivery_);
    return status_;
  }

 private:
  bool IsStreaming() const { return on_bytes_ && status_ == 200 && !detached_; }
  size_t BodyBytesMax() const {
    return on_bytes_ && status_ != 0 ? kErrorBodyBytesMax : body_bytes_max_;
  }

  const size_t body_bytes_max_;
  const Transport::OnBytes on_bytes_;
  Mutex delivery_;  // Held while delivering, so that Detach can wait for the end of it.
  int status_ GUARDED_BY(delivery_) = 0;
  Headers headers_ GUARDED_BY(delivery_);
  std::string body_ GUARDED_BY(delivery_);
  bool detached_ GUARDED_BY(delivery_) = false;
  Mutex mutex_;  // Never held together with delivery_.
  CondVar changed_;
  bool finished_ GUARDED_BY(mutex_) = false;
  std::exception_ptr failure_ GUARDED_BY(mutex_);
};

// Hands over a body piece by piece the moment it arrives. The library's own ways to read either
// wait for a full buffer (seconds late, for a watch) or keep everything without bound.
class Sink final : public concurrency::streams::details::streambuf_state_manager<uint8_t> {
 public:
  explicit Sink(std::shared_ptr<Exchange> exchange)
      : streambuf_state_manager(std::ios_base::out), exchange_(std::move(exchange)) {}

  static concurrency::streams::ostream Make(std::shared_ptr<Exchange> exchange) {
    std::shared_ptr<concurrency::streams::details::basic_streambuf<uint8_t>> sink =
        std::make_shared<Sink>(std::move(exchange));
    return concurrency::streams::ostream(concurrency::streams::streambuf<uint8_t>(sink));
  }

  bool can_seek() const override { return false; }
  bool has_size() const override { return false; }
  utility::size64_t size() const override { return 0; }
  size_t buffer_size(std::ios_base::openmode) const override { return 0; }
  void set_buffer_size(size_t, std::ios_base::openmode) override {}
  size_t in_avail() const override { return 0; }
  pos_type getpos(std::ios_base::openmode) const override { return traits::eof(); }
  pos_type seekpos(pos_type, std::ios_base::openmode) override { return traits::eof(); }
  pos_type seekoff(off_type, std::ios_base::seekdir, std::ios_base::openmode) override {
    return traits::eof();
  }
  bool acquire(uint8_t*&, size_t&) override { return false; }
  void release(uint8_t*, size_t) override {}

 protected:
  pplx::task<size_t> _putn(const uint8_t* bytes, size_t count) override {
    try {
      std::string_view view(reinterpret_cast<const char*>(bytes), count);
      if (exchange_->OnBytes(view)) return pplx::task_from_result(count);
      throw std::runtime_error("the answer is larger than the caller takes");
    } catch (...) {
      return pplx::task_from_exception<size_t>(std::current_exception());
    }
  }
  pplx::task<int_type> _putc(uint8_t byte) override {
    return _putn(&byte, 1).then([byte](size_t) { return static_cast<int_type>(byte); });
  }
  pplx::task<int_type> _bumpc() override { return pplx::task_from_result(traits::eof()); }
  int_type _sbumpc() override { return traits::eof(); }
  pplx::task<int_type> _getc() override { return pplx::task_from_result(traits::eof()); }
  int_type _sgetc() override { return traits::eof(); }
  pplx::task<int_type> _nextc() override { return pplx::task_from_result(traits::eof()); }
  pplx::task<int_type> _ungetc() override { return pplx::task_from_result(traits::eof()); }
  pplx::task<size_t> _getn(uint8_t*, size_t) override { return pplx::task_from_result(size_t{0}); }
  size_t _scopy(uint8_t*, size_t) override { return 0; }
  pplx::task<bool> _sync() override { return pplx::task_from_result(true); }
  uint8_t* _alloc(size_t) override { return nullptr; }
  void _commit(size_t) override {}

 private:
  const std::shared_ptr<Exchange> exchange_;
};

// The last reason for which OpenSSL refused the server's certificate; the library loses it.
class VerifyFailure {
 public:
  void Set(std::string text) {
    MutexLock lock(mutex_);
    text_ = std::move(text);
  }
  std::string Get() {
    MutexLock lock(mutex_);
    return text_;
  }

 private:
  Mutex mutex_;
  std::string text_ GUARDED_BY(mutex_);
};

int VerifyCertificate(X509_STORE_CTX* context, void* failure) {
  int ok = X509_verify_cert(context);
  if (ok <= 0) {
    int code = X509_STORE_CTX_get_error(context);
    static_cast<VerifyFailure*>(failure)->Set(X509_verify_cert_error_string(code));
  }
  return ok;
}

bool IsIpLiteral(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

// Trust only what the options say, and match names by SAN alone: the library would also trust the
// machine's authorities and fall back to the common name. May throw for PEM that is none.
void ConfigureTls(asio::ssl::context& context, const HttpTransportOptions& options,
                  const std::string& verify_name, VerifyFailure* failure) {
  SSL_CTX* native = context.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  if (!options.ca_pem.empty()) {
    SSL_CTX_set_cert_store(native, X509_STORE_new());
    context.add_certificate_authority(asio::buffer(options.ca_pem));
  } else if (!options.insecure_skip_tls_verify) {
    X509_STORE_set_default_paths(SSL_CTX_get_cert_store(native));
  }
  if (!options.certificate_pem.empty()) {
    context.use_certificate_chain(asio::buffer(options.certificate_pem));
    context.use_private_key(asio::buffer(options.key_pem), asio::ssl::context::pem);
  }
  if (options.insecure_skip_tls_verify) return;
  X509_VERIFY_PARAM* parameters = SSL_CTX_get0_param(native);
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (IsIpLiteral(verify_name))
    X509_VERIFY_PARAM_set1_ip_asc(parameters, verify_name.c_str());
  else
    X509_VERIFY_PARAM_set1_host(parameters, verify_name.c_str(), 0);
  SSL_CTX_set_cert_verify_callback(native, VerifyCertificate, failure);
}

/// The family that sockets are opened for before the library has resolved a name. A literal tells
/// its own; of a name the first refusal does.
class AddressFamily {
 public:
  explicit AddressFamily(const std::string& host) : ipv6_(host.find(':') != std::string::npos) {}

  asio::ip::tcp Protocol() const { return ipv6_ ? asio::ip::tcp::v6() : asio::ip::tcp::v4(); }

  void NoteFailure(const std::exception& failure) {
    const auto* http = dynamic_cast<const http::http_exception*>(&failure);
    // What connect() says of an IPv4 socket and an IPv6 address, and the other way round.
    if (http && http->error_code().value() == EAFNOSUPPORT) ipv6_ = true;
    if (http && http->error_code().value() == EINVAL) ipv6_ = false;
  }

 private:
  std::atomic<bool> ipv6_;
};

// Finds peers that vanished without a word (a node that lost power): otherwise a watch would wait
// for its whole timeout. The library calls this before it connects, so the socket is opened here.
void EnableKeepalive(http::client::native_handle handle, bool tls, const AddressFamily& family) {
  using TlsStream = asio::ssl::stream<asio::ip::tcp::socket&>;
  auto* socket = tls ? &static_cast<TlsStream*>(handle)->next_layer()
                     : static_cast<asio::ip::tcp::socket*>(handle);
  boost::system::error_code ignored;
  if (!socket->is_open()) socket->open(family.Protocol(), ignored);
  auto set = [&](int level, int name, int value) {
    setsockopt(socket->native_handle(), level, name, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  int user_timeout_ms =
      1000 * (kKeepaliveIdleSeconds + kKeepaliveIntervalSeconds * kKeepaliveProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms);
}

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Failures before the first byte of the request was written. By text: the codes mislead ("No route
// to host" for a refused connection, "No such file or directory" for an orderly close).
bool CertainlyNotSent(std::string_view what) {
  return Contains(what, "Error resolving address") || Contains(what, "Failed to connect") ||
         Contains(what, "Error in SSL handshake");
}

bool IsIdleTimeout(const std::exception& failure) {
  const auto* http = dynamic_cast<const http::http_exception*>(&failure);
  return http && http->error_code().value() == ETIMEDOUT;
}

// Certificates are otherwise only looked at when a connection is made, on a library's thread.
Status CheckCertificates(const HttpTransportOptions& options) {
  try {
    asio::ssl::context context(asio::ssl::context::tls_client);
    VerifyFailure unused;
    ConfigureTls(context, options, "localhost", &unused);
    return Ok();
  } catch (const std::exception& failure) {
    return TerminalError("InvalidCertificate", "the certificates for " + options.url +
                                                   " cannot be used: " + failure.what());
  }
}

// What connections are made with: options of which certificates may change, and the client whose
// pool holds only connections that were made with these.
struct Pool {
  HttpTransportOptions options;
  std::shared_ptr<http::client::http_client> client;
};

uint16_t PortOf(const web::uri& url) {
  if (url.port() > 0) return static_cast<uint16_t>(url.port());
  return url.scheme() == "https" ? 443 : 80;
}

// The library resolves an IPv6 literal with its brackets on, and finds nothing. Without them it
// takes what follows the last colon for the port; so there must be one.
web::uri WithoutBrackets(const web::uri& url) {
  const std::string& host = url.host();
  if (!host.starts_with('[') || !host.ends_with(']')) return url;
  return web::uri_builder(url)
      .set_host(host.substr(1, host.size() - 2))
      .set_port(PortOf(url))
      .to_uri();
}

// "host:port", an IPv6 literal in brackets.
std::string Authority(const web::uri& url) {
  const bool literal = url.host().find(':') != std::string::npos;
  return (literal ? "[" + url.host() + "]" : url.host()) + ":" + std::to_string(PortOf(url));
}

class HttpTransport final : public Transport {
 public:
  HttpTransport(HttpTransportOptions options, web::uri url)
      : options_(std::move(options)),
        url_(std::move(url)),
        tls_(url_.scheme() == "https"),
        verify_name_(options_.tls_server_name.empty() ? url_.host() : options_.tls_server_name),
        host_(Authority(url_)),
        family_(std::make_shared<AddressFamily>(url_.host())),
        pool_(MakePool(options_)) {}

  std::string_view host() const override { return host_; }

  Result<Response> Call(std::stop_token stop, Deadline deadline, const Request& request) override {
    TRY_ASSIGN(std::shared_ptr<const Pool> pool, CurrentPool());
    auto exchange = std::make_shared<Exchange>(options_.response_bytes_max, nullptr);
    Outcome outcome = Run(stop, deadline, request, *pool->client, exchange);
    if (outcome != Outcome::kFinished || exchange->failure())
      return tl::make_unexpected(MakeError(outcome, exchange->failure(), IsWrite(request.method)));
    Response response = exchange->TakeResponse();
    if (response.status == 401) InvalidateTls();
    return response;
  }

  StreamEnd Stream(std::stop_token stop, milliseconds idle_timeout, const Request& request,
                   OnBytes on_bytes) override {
    auto exchange = std::make_shared<Exchange>(options_.response_bytes_max, std::move(on_bytes));
    StreamEnd end;
    Result<std::shared_ptr<const Pool>> pool = CurrentPool();
    if (!pool) return {0, {}, "", std::move(pool).error()};
    try {
      // A client of its own: the library's only timeout is per client, and a stream that is
      // cancelled leaves no connection in the pool that ordinary calls draw from.
      http::client::http_client client(url_, MakeConfig((*pool)->options, idle_timeout));
      Outcome outcome = Run(stop, Deadline::Never(), request, client, exchange);
      if (outcome != Outcome::kFinished || exchange->failure())
        end.error = MakeError(outcome, exchange->failure(), IsWrite(request.method));
    } catch (const std::exception& failure) {
      end.error = Error{Disposition::kRetry, reason::kUnreachable, failure.what()};
    }
    Response response = exchange->TakeResponse();
    end.status = response.status;
    if (end.status == 401) InvalidateTls();
    end.headers = std::move(response.headers);
    if (end.status != 200) end.body = std::move(response.body);
    // Whatever was said with a status is worth more than how the saying ended.
    if (end.status != 200 && end.status != 0) end.error.reset();
    return end;
  }

 private:
  enum class Outcome { kFinished, kStopped, kPastDeadline };

  std::shared_ptr<const Pool> MakePool(const HttpTransportOptions& options) const {
    return std::make_shared<const Pool>(Pool{
        options,
        std::make_shared<http::client::http_client>(url_, MakeConfig(options, kCallIdleTimeout))});
  }

  // The pool of the present certificates. Requests under way keep the one they began with.
  Result<std::shared_ptr<const Pool>> CurrentPool() {
    TlsIdentity identity;
    const bool changing = tls_ && options_.tls_source;
    if (changing) {
      TRY_ASSIGN(identity, options_.tls_source->Current());
    }
    MutexLock lock(mutex_);
    if (!changing) return pool_;
    if (identity == seen_identity_) return pool_;
    seen_identity_ = identity;
    HttpTransportOptions options = pool_->options;
    options.ca_pem = std::move(identity.ca_pem);
    options.certificate_pem = std::move(identity.certificate_pem);
    options.key_pem = std::move(identity.key_pem);
    if (Status usable = CheckCertificates(options); usable)
      pool_ = MakePool(options);
    else
      LogWarn("new certificates are passed over", {{"message", usable.error().message}});
    return pool_;
  }

  void InvalidateTls() const {
    if (options_.tls_source) options_.tls_source->Invalidate();
  }

  http::client::http_client_config MakeConfig(const HttpTransportOptions& options,
                                              milliseconds idle_timeout) const {
    http::client::http_client_config config;
    config.set_timeout(idle_timeout);
    // A redirect would take the Authorization header to whatever host it names.
    config.set_max_redirects(0);
    config.set_nativehandle_options(
        [tls = tls_, family = family_](http::client::native_handle handle) {
          EnableKeepalive(handle, tls, *family);
        });
    if (!tls_) return config;
    config.set_validate_certificates(!options_.insecure_skip_tls_verify);
    config.set_ssl_context_callback(
        [options, name = verify_name_, failure = verify_failure_](asio::ssl::context& context) {
          ConfigureTls(context, options, name, failure.get());
        });
    return config;
  }

  http::http_request MakeRequest(const Request& request,
                                 const std::shared_ptr<Exchange>& exchange) const {
    http::http_request made(std::string(Name(request.method)));
    made.set_request_uri(web::uri(request.target));
    // The library's own would lack the brackets. With TLS it takes the header's text for the name
    // to announce, so there it is left alone; no API server asks for it.
    if (!tls_ && host_.front() == '[') made.headers()["Host"] = host_;
    // The library verifies and announces (SNI) the name in the header Host.
    if (!options_.tls_server_name.empty()) made.headers()["Host"] = options_.tls_server_name;
    for (const auto& [name, value] : request.headers) made.headers()[name] = value;
    made.set_response_stream(Sink::Make(exchange));
    if (IsWrite(request.method)) {
      // When a pooled connection turns out to be dead the library silently sends the request again,
      // although the first may have been executed. A body that cannot be rewound keeps it from
      // that; therefore every write has one, if only an empty one.
      concurrency::streams::producer_consumer_buffer<uint8_t> body;
      const auto* bytes = reinterpret_cast<const uint8_t*>(request.body.data());
      if (!request.body.empty()) body.putn_nocopy(bytes, request.body.size()).get();
      body.close(std::ios::out).get();
      std::string type =
          request.content_type.empty() ? "application/octet-stream" : request.content_type;
      made.set_body(body.create_istream(), request.body.size(), type);
    }
    return made;
  }

  Outcome Run(std::stop_token stop, Deadline deadline, const Request& request,
              http::client::http_client& client, const std::shared_ptr<Exchange>& exchange) {
    if (stop.stop_requested()) return Outcome::kStopped;
    pplx::cancellation_token_source cancel;
    try {
      client.request(MakeRequest(request, exchange), cancel.get_token())
          .then([exchange](http::http_response response) {
            Headers headers;
            for (const auto& [name, value] : response.headers()) headers.emplace_back(name, value);
            exchange->OnHead(response.status_code(), std::move(headers));
            return response.content_ready();
          })
          // Every chain ends by looking at its exception: one that nobody has seen ends the
          // process.
          .then([exchange](pplx::task<http::http_response> finished) {
            try {
              finished.get();
              exchange->Finish(nullptr);
            } catch (...) {
              exchange->Finish(std::current_exception());
            }
          });
    } catch (...) {
      exchange->Finish(std::current_exception());
    }
    if (exchange->WaitFinished(stop, deadline)) return Outcome::kFinished;
    // An answer that is dropped goes on being read until it is cancelled.
    cancel.cancel();
    bool finished = exchange->WaitFinished({}, Deadline::After(kCancelGrace));
    exchange->Detach();
    // It may have been faster than the cancel.
    if (finished && !exchange->failure()) return Outcome::kFinished;
    return stop.stop_requested() ? Outcome::kStopped : Outcome::kPastDeadline;
  }

  Error MakeError(Outcome outcome, std::exception_ptr failure, bool is_write) const {
    Disposition lost = is_write ? Disposition::kInDoubt : Disposition::kRetry;
    if (outcome == Outcome::kStopped)
      return {lost, reason::kCancelled, "the request to " + host_ + " was stopped"};
    if (outcome == Outcome::kPastDeadline)
      return {lost, reason::kTimeout, host_ + " did not answer in time"};
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& exception) {
      std::string what = exception.what();
      if (CertainlyNotSent(what)) {
        lost = Disposition::kRetry;
        family_->NoteFailure(exception);
      }
      if (IsIdleTimeout(exception)) return {lost, reason::kTimeout, host_ + " has gone silent"};
      std::string verify = verify_failure_->Get();
      if (Contains(what, "SSL handshake")) {
        InvalidateTls();
        if (!verify.empty()) what = "TLS: " + verify;
      }
      return {lost, reason::kUnreachable, "no answer from " + host_ + ": " + what};
    } catch (...) {
      return {lost, reason::kUnreachable, "no answer from " + host_};
    }
  }

  const HttpTransportOptions options_;
  const web::uri url_;
  const bool tls_;
  const std::string verify_name_;
  const std::string host_;
  const std::shared_ptr<AddressFamily> family_;
  const std::shared_ptr<VerifyFailure> verify_failure_ = std::make_shared<VerifyFailure>();
  Mutex mutex_;
  TlsIdentity seen_identity_ GUARDED_BY(mutex_);
  // Last: it is made of the above.
  std::shared_ptr<const Pool> pool_ GUARDED_BY(mutex_);
};

}  // namespace

void InitializeHttp(int threads) {
  static std::once_flag once;
  // The pool has 40 threads unless told otherwise before its first use; a second telling throws.
  std::call_once(once, [&] { crossplat::threadpool::initialize_with_threads(threads); });
}

Result<std::unique_ptr<Transport>> MakeHttpTransport(HttpTransportOptions options) {
  InitializeHttp();
  try {
    web::uri url(options.url);
    if ((url.scheme() != "https" && url.scheme() != "http") || url.host().empty())
      return TerminalError("InvalidUrl", "'" + options.url + "' is no http or https URL");
    if (url.scheme() == "https") TRY(CheckCertificates(options));
    return std::make_unique<HttpTransport>(std::move(options), WithoutBrackets(url));
  } catch (const std::exception& failure) {
    return TerminalError("InvalidUrl",
                         "'" + options.url + "' cannot be used as a URL: " + failure.what());
  }
}

}  // namespace cutover::kube

// OpenSSL's own does the same to `context` as ConfigureTls where the machine's authorities are to
// be trusted. The library calls it for every connection, before it asks us, and would have 140
// certificates parsed, 300,000 allocations and 3 MiB of heap, to be thrown away for the cluster's
// one. A program's symbol goes before a library's, and nothing else in it calls this function.
extern "C" int SSL_CTX_set_default_verify_paths(SSL_CTX*) { return 1; }
