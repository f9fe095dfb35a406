// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/http_server.h"

// Asio 1.74 uses std::exchange without including it.
#include <utility>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <charconv>
#include <limits>
#include <list>
#include <optional>
#include <thread>
#include <type_traits>

#include "operator/base/log.h"

namespace cutover::telemetry {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

// Beyond this a client that insists on sending a body is cut off, answer or not.
constexpr size_t kSkippedBodyBytesMax = 16 << 20;

// One connection, as the server sees it.
class Session {
 public:
  virtual ~Session() = default;
  virtual void Start() = 0;
  virtual bool IsIdle() const = 0;
  // Takes the session off the list and aborts its operations; their handlers do the rest.
  virtual void Close() = 0;
};

// What all sessions of a server share. Used on the server's thread only.
struct Shared {
  HttpServerOptions options;
  std::list<std::shared_ptr<Session>> sessions{};

  bool SkipsBodies() const { return options.fallback != nullptr; }
};

HttpResponse PlainText(int status, std::string body) {
  return {status, "text/plain; charset=utf-8", {}, std::move(body)};
}

HttpResponse CallHandler(const HttpHandler& handler, const HttpRequest& request) {
  try {
    return handler(request);
  } catch (const std::exception& error) {
    LogError("an HTTP handler threw", {{"path", request.path}, {"error", error.what()}});
  } catch (...) {
    LogError("an HTTP handler threw", {{"path", request.path}});
  }
  return PlainText(500, "internal error\n");
}

HttpResponse Answer(const HttpServerOptions& options, const HttpRequest& request) {
  auto route = options.routes.find(request.path);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (route != options.routes.end() && reads) return CallHandler(route->second, request);
  if (options.fallback) return CallHandler(options.fallback, request);
  if (route == options.routes.end()) return PlainText(404, "not found\n");
  HttpResponse refused = PlainText(405, "method not allowed\n");
  refused.headers.emplace_back("Allow", "GET, HEAD");
  return refused;
}

std::string ToString(beast::string_view text) { return {text.data(), text.size()}; }

HttpRequest MakeRequest(const http::request<http::empty_body>& message) {
  HttpRequest request;
  request.method = ToString(message.method_string());
  request.path = ToString(message.target());
  request.path.resize(std::min(request.path.find('?'), request.path.size()));
  for (const auto& field : message)
    request.headers.emplace_back(ToString(field.name_string()), ToString(field.value()));
  return request;
}

// What connections are made with, for as long as the certificate stays as it is. Throws for PEM
// that is none, and for a key of another certificate.
std::unique_ptr<asio::ssl::context> MakeTlsContext(const kube::TlsIdentity& identity) {
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  context->use_certificate_chain(asio::buffer(identity.certificate_pem));
  context->use_private_key(asio::buffer(identity.key_pem), asio::ssl::context::pem);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  // Nothing is kept for peers that are gone, and those that are idle hold no buffers: who has not
  // said who he is must not cost memory. A scraper comes seldom enough to shake hands each time.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  return context;
}

// Follows a source of certificates. Used on the server's thread, once it has started.
class Tls {
 public:
  Status Start(std::shared_ptr<kube::TlsSource> source) {
    source_ = std::move(source);
    TRY_ASSIGN(identity_, source_->Current());
    try {
      context_ = MakeTlsContext(identity_);
      return Ok();
    } catch (const std::exception& failure) {
      return TerminalError("InvalidCertificate",
                           std::string("the certificate to serve with, or its key, cannot be "
                                       "used: ") +
                               failure.what());
    }
  }

  asio::ssl::context& Current() {
    Result<kube::TlsIdentity> identity = source_->Current();
    if (!identity || *identity == identity_) return *context_;
    identity_ = std::move(*identity);
    try {
      context_ = MakeTlsContext(identity_);
    } catch (const std::exception& failure) {
      LogWarn("a new certificate to serve with cannot be used; the one before is shown on",
              {{"error", failure.what()}});
    }
    return *context_;
  }

 private:
  std::shared_ptr<kube::TlsSource> source_;
  kube::TlsIdentity identity_;  // What was seen last, whether it can be used or not.
  std::unique_ptr<asio::ssl::context> context_;
};

// A session over TCP or over TLS. It lives as long as an operation of it is pending;
// Shared::sessions only lists it, for eviction and for stopping.
template <class Stream>
class SessionOver final : public Session, public std::enable_shared_from_this<SessionOver<Stream>> {
 public:
  template <class... StreamArguments>
  explicit SessionOver(Shared& shared, StreamArguments&&... arguments)
      : stream_(std::forward<StreamArguments>(arguments)...), shared_(shared) {}

  void Start() override {
    shared_.sessions.push_back(this->shared_from_this());
    place_ = std::prev(shared_.sessions.end());
    if constexpr (kTls)
      ShakeHands();
    else
      Read();
  }

  bool IsIdle() const override { return idle_; }

  void Close() override {
    if (closed_) return;
    closed_ = true;
    shared_.sessions.erase(place_);
    error_code ignored;
    Tcp().socket().shutdown(tcp::socket::shutdown_both, ignored);
    Tcp().close();
  }

 private:
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;
  using Parser = http::request_parser<http::empty_body>;
  using Message = http::response<http::string_body>;

  beast::tcp_stream& Tcp() { return beast::get_lowest_layer(stream_); }

  void ShakeHands() {
    Tcp().expires_after(shared_.options.request_timeout);
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = this->shared_from_this()](error_code error) {
                              if (self->closed_) return;
                              error ? self->Close() : self->Read();
                            });
  }

  void Read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_.options.header_bytes_max));
    // Not boost::none: Beast 1.74 compares it as smaller than every length.
    parser_->body_limit(shared_.SkipsBodies() ? std::numeric_limits<std::uint64_t>::max() : 0);
    idle_ = true;
    // Moves to the end: the list is in order of waiting.
    shared_.sessions.splice(shared_.sessions.end(), shared_.sessions, place_);
    // One deadline for all the reads and the write of a request, however slowly bytes drip in.
    Tcp().expires_after(shared_.options.request_timeout);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = this->shared_from_this()](error_code error, size_t) { self->OnHeader(error); });
  }

  void OnHeader(error_code error) {
    if (closed_) return;
    idle_ = false;
    if (error) return RefuseUnreadable(error);
    const auto& message = parser_->get();
    if (!parser_->is_done() && !shared_.SkipsBodies())
      return Write(PlainText(413, "no body is accepted\n"), false);
    const bool keep_alive = message.keep_alive() && parser_->is_done();
    if (shared_.options.gate) return Admit(MakeRequest(message), keep_alive);
    Write(Answer(shared_.options, MakeRequest(message)), keep_alive);
  }

  // No operation is pending until the gate has decided: its word is what keeps the session alive.
  void Admit(const HttpRequest& request, bool keep_alive) {
    shared_.options.gate->Admit(
        request, [self = this->shared_from_this(), executor = stream_.get_executor(), request,
                  keep_alive](HttpGate::Verdict verdict) {
          asio::post(executor, [self, request, keep_alive, verdict = std::move(verdict)]() mutable {
            if (self->closed_) return;
            self->Write(verdict ? std::move(*verdict) : Answer(self->shared_.options, request),
                        keep_alive);
          });
        });
  }

  void RefuseUnreadable(error_code error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
      Write(PlainText(431, "header too large\n"), false);
    else if (error == http::error::body_limit)
      Write(PlainText(413, "no body is accepted\n"), false);
    else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message)
      Write(PlainText(400, "bad request\n"), false);
    else
      Close();  // Timed out, reset, or politely ended.
  }

  void Write(HttpResponse answer, bool keep_alive) {
    const bool head = parser_->is_header_done() && parser_->get().method() == http::verb::head;
    message_ = Message(static_cast<http::status>(answer.status), 11);
    for (const auto& [name, value] : answer.headers) message_.insert(name, value);
    message_.set(http::field::content_type, answer.content_type);
    message_.set("X-Content-Type-Options", "nosniff");
    message_.keep_alive(keep_alive);
    message_.content_length(answer.body.size());
    if (!head) message_.body() = std::move(answer.body);
    // The serializer would chunk or recount an empty body; for HEAD only the header goes out.
    serializer_.emplace(message_);
    auto done = [self = this->shared_from_this(), keep_alive](error_code error, size_t) {
      self->OnWritten(error, keep_alive);
    };
    if (head)
      http::async_write_header(stream_, *serializer_, std::move(done));
    else
      http::async_write(stream_, *serializer_, std::move(done));
  }

  void OnWritten(error_code error, bool keep_alive) {
    if (closed_) return;
    if (error) return Close();
    if (keep_alive) return Read();
    if constexpr (kTls)
      SayGoodbye();
    else
      EndOurSide();
  }

  // Sends close_notify and waits for the peer's.
  void SayGoodbye() {
    stream_.async_shutdown([self = this->shared_from_this()](error_code) { self->Close(); });
  }

  void EndOurSide() {
    error_code error;
    // Closing a socket with unread bytes resets the connection, which can destroy the answer on its
    // way. So: end our side, read what still comes, within bounds, then close.
    Tcp().socket().shutdown(tcp::socket::shutdown_send, error);
    buffer_.clear();
    Drain(0);
  }

  void Drain(size_t skipped_bytes) {
    if (skipped_bytes > kSkippedBodyBytesMax) return Close();
    stream_.async_read_some(
        asio::buffer(discarded_),
        [self = this->shared_from_this(), skipped_bytes](error_code error, size_t bytes) {
          if (self->closed_) return;
          if (error) return self->Close();
          self->Drain(skipped_bytes + bytes);
        });
  }

  Stream stream_;
  Shared& shared_;
  std::list<std::shared_ptr<Session>>::iterator place_;
  beast::flat_buffer buffer_{16 << 10};
  std::optional<Parser> parser_;
  Message message_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::array<char, 4096> discarded_;
  bool idle_ = true;
  bool closed_ = false;
};

// Binds to all addresses when `host` is empty: to IPv6 with IPv4 mapped into it, and where the
// kernel has no IPv6 to IPv4 alone.
error_code Listen(tcp::acceptor& acceptor, const tcp::endpoint& endpoint) {
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (error) return error;
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (endpoint.protocol() == tcp::v6()) acceptor.set_option(asio::ip::v6_only(false), error);
  acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    error_code ignored;
    acceptor.close(ignored);
  }
  return error;
}

error_code ListenOn(tcp::acceptor& acceptor, const std::string& host, uint16_t port) {
  if (host.empty()) {
    const error_code error = Listen(acceptor, {tcp::v6(), port});
    return error ? Listen(acceptor, {tcp::v4(), port}) : error;
  }
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  return error ? error : Listen(acceptor, {address, port});
}

}  // namespace

std::string_view HttpRequest::Header(std::string_view name) const {
  for (const auto& [held, value] : headers)
    if (beast::iequals({held.data(), held.size()}, {name.data(), name.size()})) return value;
  return {};
}

Result<ListenAddress> ParseListenAddress(std::string_view text) {
  const std::string asked(text);
  auto invalid = [&asked] {
    return TerminalError("InvalidAddress", "\"" + asked +
                                               "\" is no address to listen on; use host:port, for "
                                               "example :8080 or 127.0.0.1:8080");
  };
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return invalid();
  std::string_view host = text.substr(0, colon), port = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  ListenAddress address{std::string(host), 0};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc() || end != port.data() + port.size()) return invalid();
  error_code bad_host;
  if (!host.empty()) asio::ip::make_address(address.host, bad_host);
  if (bad_host) return invalid();
  return address;
}

class HttpServer::Impl {
 public:
  explicit Impl(HttpServerOptions options) : shared_{std::move(options)} {}

  ~Impl() {
    if (!thread_.joinable()) return;
    asio::post(context_, [this] {
      error_code ignored;
      acceptor_.close(ignored);
      retry_.cancel();
      while (!shared_.sessions.empty()) shared_.sessions.front()->Close();
      // What it decides of sessions is posted here: it must be gone before the context is.
      shared_.options.gate.reset();
    });
    // Not context_.stop(): the aborted operations' handlers run, and with them the sessions end.
    thread_.join();
  }

  Status Start() {
    if (shared_.options.tls) TRY(tls_.Start(shared_.options.tls));
    const error_code error = ListenOn(acceptor_, shared_.options.host, shared_.options.port);
    if (error)
      return TerminalError("AddressUnavailable", "cannot listen on " + shared_.options.host + ":" +
                                                     std::to_string(shared_.options.port) + ": " +
                                                     error.message());
    port_ = acceptor_.local_endpoint().port();
    Accept();
    thread_ = std::thread([this] { context_.run(); });
    return Ok();
  }

  uint16_t port() const { return port_; }

 private:
  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (!acceptor_.is_open()) return;
      if (error) return AcceptLater();
      MakeRoom();
      MakeSession(std::move(socket))->Start();
      Accept();
    });
  }

  std::shared_ptr<Session> MakeSession(tcp::socket socket) {
    if (!shared_.options.tls)
      return std::make_shared<SessionOver<beast::tcp_stream>>(shared_, std::move(socket));
    return std::make_shared<SessionOver<beast::ssl_stream<beast::tcp_stream>>>(
        shared_, std::move(socket), tls_.Current());
  }

  // Out of file descriptors, most likely: accepting at once would fail at once, in a busy loop.
  void AcceptLater() {
    retry_.expires_after(std::chrono::milliseconds(100));
    retry_.async_wait([this](error_code cancelled) {
      if (!cancelled) Accept();
    });
  }

  void MakeRoom() {
    if (shared_.sessions.size() < shared_.options.connections_max) return;
    auto victim = std::find_if(shared_.sessions.begin(), shared_.sessions.end(),
                               [](const auto& session) { return session->IsIdle(); });
    if (victim == shared_.sessions.end()) victim = shared_.sessions.begin();
    std::shared_ptr<Session>(*victim)->Close();
  }

  Shared shared_;
  Tls tls_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer retry_{context_};
  uint16_t port_ = 0;
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  TRY(impl->Start());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

uint16_t HttpServer::port() const { return impl_->port(); }

}  // namespace cutover::telemetry
