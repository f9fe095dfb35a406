// SPDX-License-Identifier: Apache-2.0
//
// The contract of Transport, against servers that misbehave on purpose. A replacement of
// HttpTransport has to pass the same.
#include "operator/kube/http_transport.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <list>
#include <optional>
#include <thread>

#include "operator/base/clock.h"
#include "operator/base/mutex.h"
#include "operator/kube/error.h"
#include "tests/least_time.h"

namespace cutover::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// One accepted connection, for a script to read requests from and write bytes to.
class Peer {
 public:
  explicit Peer(int handle) : handle_(handle) {}
  ~Peer() { Close(); }

  // The head and body of the next request; empty when the client has closed.
  std::string ReadRequest() {
    std::string text;
    char byte;
    while (!text.ends_with("\r\n\r\n")) {
      if (recv(handle_, &byte, 1, 0) != 1) return "";
      text += byte;
    }
    size_t length = text.find("Content-Length: ");
    int body = length == std::string::npos ? 0 : std::stoi(text.substr(length + 16));
    for (int i = 0; i < body; ++i) {
      if (recv(handle_, &byte, 1, 0) != 1) return "";
      text += byte;
    }
    return text;
  }
  void Write(const std::string& bytes) {
    (void)!send(handle_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void WriteAnswer(int status, const std::string& body, const std::string& headers = "") {
    Write("HTTP/1.1 " + std::to_string(status) + " X\r\n" + headers +
          "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  void WriteChunk(const std::string& bytes) {
    char size[16];
    snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    Write(size + bytes + "\r\n");
  }
  void Close() {
    if (handle_ >= 0) close(handle_);
    handle_ = -1;
  }
  int handle() const { return handle_; }

 private:
  int handle_;
};

// Accepts connections and runs a script for each, on a thread of its own.
class ScriptedServer {
 public:
  using Script = std::function<void(Peer&, int connection)>;

  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_, generic, size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    getsockname(listener_, generic, &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::jthread([this] { Accept(); });
  }
  ~ScriptedServer() {
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      MutexLock lock(mutex_);
      for (int handle : open_) shutdown(handle, SHUT_RDWR);
    }
    threads_.clear();
    close(listener_);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  std::atomic<int> connections{0};
  std::atomic<int> requests{0};

 private:
  void Accept() {
    for (int number = 0;; ++number) {
      int handle = accept(listener_, nullptr, nullptr);
      if (handle < 0) return;
      ++connections;
      {
        MutexLock lock(mutex_);
        open_.push_back(dup(handle));
      }
      threads_.emplace_back([this, handle, number] {
        Peer peer(handle);
        script_(peer, number);
        shutdown(peer.handle(), SHUT_RDWR);
      });
    }
  }

  const Script script_;
  int listener_;
  int port_ = 0;
  Mutex mutex_;
  std::vector<int> open_;
  std::list<std::jthread> threads_;
  std::jthread acceptor_;
};

std::unique_ptr<Transport> TransportTo(const std::string& url,
                                       size_t response_bytes_max = 1 << 20) {
  HttpTransportOptions options;
  options.url = url;
  options.response_bytes_max = response_bytes_max;
  Result<std::unique_ptr<Transport>> transport = MakeHttpTransport(options);
  EXPECT_TRUE(transport);
  return std::move(*transport);
}

Request Get(const std::string& target = "/x") {
  Request request;
  request.target = target;
  return request;
}

Request Post(const std::string& body) {
  Request request;
  request.method = Method::kPost;
  request.target = "/x";
  request.body = body;
  request.content_type = "application/json";
  return request;
}

Deadline Soon() { return Deadline::After(seconds(60)); }

void WaitForHangUp(Peer& peer) {
  char byte;
  while (recv(peer.handle(), &byte, 1, 0) > 0) {
  }
}

// Answers the first request, reads the second whole on the same connection (as if executing it),
// and dies. On further connections it answers whatever comes.
class DyingServer : public ScriptedServer {
 public:
  DyingServer()
      : ScriptedServer([this](Peer& peer, int connection) {
          for (int number = 0; !peer.ReadRequest().empty(); ++number) {
            ++requests;
            if (connection == 0 && number == 1) {
              has_died = true;
              return;
            }
            peer.WriteAnswer(200, "done");
          }
        }) {}

  std::atomic<bool> has_died{false};
};

// What a second call came to when it was sent over the connection that a first one has left in the
// library's pool.
struct Second {
  std::optional<Response> answer;
  std::optional<Error> error;
  int requests = 0;  // That have arrived, the first one included.
};
std::optional<Second> CallOverPooledConnection(const Request& second) {
  // A connection gets into the pool some time after the answer; a call before that has one of its
  // own, and shows nothing.
  for (milliseconds pause{200}; pause < seconds(10); pause *= 2) {
    DyingServer server;
    auto transport = TransportTo(server.url());
    EXPECT_TRUE(transport->Call({}, Soon(), Get()));
    std::this_thread::sleep_for(pause);
    Result<Response> result = transport->Call({}, Soon(), second);
    if (!server.has_died) continue;
    if (result) return Second{std::move(*result), {}, server.requests};
    return Second{{}, std::move(result).error(), server.requests};
  }
  return std::nullopt;
}

TEST(HttpTransport, AReadIsRepeatedWhenAPooledConnectionDies) {
  const std::optional<Second> second = CallOverPooledConnection(Get());
  ASSERT_TRUE(second) << "no connection was used again";
  EXPECT_TRUE(second->answer);
  EXPECT_EQ(second->requests, 3) << "what the library does unless it is kept from it";
}

TEST(HttpTransport, NoWriteIsExecutedTwiceWhenAPooledConnectionDies) {
  for (const char* body : {"{}", ""}) {
    const std::optional<Second> second = CallOverPooledConnection(Post(body));
    ASSERT_TRUE(second) << "no connection was used again";
    ASSERT_TRUE(second->error);
    EXPECT_EQ(second->error->disposition, Disposition::kInDoubt);
    EXPECT_EQ(second->requests, 2) << "the body was '" << body << "'";
  }
}

TEST(HttpTransport, ARefusedConnectionLeavesNoDoubtEvenAboutAWrite) {
  std::string url;
  {
    ScriptedServer server([](Peer&, int) {});
    url = server.url();
  }
  Result<Response> refused = TransportTo(url)->Call({}, Soon(), Post("{}"));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(IsUnreachable(refused.error()));
  EXPECT_EQ(refused.error().disposition, Disposition::kRetry);
}

TEST(HttpTransport, AnAnswerOfAnyStatusIsAnAnswer) {
  ScriptedServer server([](Peer& peer, int) {
    if (!peer.ReadRequest().empty()) peer.WriteAnswer(503, "busy", "Retry-After: 7\r\n");
  });
  Result<Response> response = TransportTo(server.url())->Call({}, Soon(), Get());
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 503);
  EXPECT_EQ(response->body, "busy");
  EXPECT_EQ(response->Header("retry-after"), "7");
}

TEST(HttpTransport, ARedirectIsAnAnswerAndIsNotFollowed) {
  ScriptedServer elsewhere([](Peer&, int) {});
  ScriptedServer server([&](Peer& peer, int) {
    if (!peer.ReadRequest().empty())
      peer.WriteAnswer(302, "", "Location: " + elsewhere.url() + "/\r\n");
  });
  Request request = Get();
  request.headers = {{"Authorization", "Bearer secret"}};
  Result<Response> response = TransportTo(server.url())->Call({}, Soon(), request);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(elsewhere.connections, 0);
}

TEST(HttpTransport, TheHostHeaderMayNameATenantsSite) {
  Mutex mutex;
  std::string seen;
  ScriptedServer server([&](Peer& peer, int) {
    std::string request = peer.ReadRequest();
    MutexLock lock(mutex);
    seen += request;
    peer.WriteAnswer(200, "<title>Odoo</title>");
  });
  Request request = Get("/web/login?db=a%20b");
  request.headers = {{"Host", "shop.example"}};
  Result<Response> response = TransportTo(server.url())->Call({}, Soon(), request);
  ASSERT_TRUE(response) << response.error().message;
  MutexLock lock(mutex);
  EXPECT_NE(seen.find("Host:shop.example\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("GET /web/login?db=a%20b HTTP/1.1"), std::string::npos) << seen;
}

TEST(HttpTransport, TheDeadlineEndsACallThatNobodyAnswers) {
  ScriptedServer server([](Peer& peer, int) { WaitForHangUp(peer); });
  auto transport = TransportTo(server.url());
  SteadyTime started = RealClock().SteadyNow();
  Result<Response> read = transport->Call({}, Deadline::After(milliseconds(300)), Get());
  Result<Response> write = transport->Call({}, Deadline::After(milliseconds(300)), Post("{}"));
  EXPECT_LT(RealClock().SteadyNow() - started, seconds(60)) << "the library's own is 120 s";
  ASSERT_FALSE(read);
  EXPECT_TRUE(IsTimeout(read.error()));
  EXPECT_EQ(read.error().disposition, Disposition::kRetry);
  ASSERT_FALSE(write);
  EXPECT_EQ(write.error().disposition, Disposition::kInDoubt);
}

TEST(HttpTransport, AStopEndsACallAtOnce) {
  ScriptedServer server([](Peer& peer, int) { WaitForHangUp(peer); });
  auto transport = TransportTo(server.url());
  const auto stopped = [&] {
    std::stop_source stop;
    std::jthread stopper([&] {
      std::this_thread::sleep_for(milliseconds(100));
      stop.request_stop();
    });
    return TimeOf([&] {
      Result<Response> response = transport->Call(stop.get_token(), Deadline::Never(), Get());
      ASSERT_FALSE(response);
      EXPECT_TRUE(IsCancelled(response.error()));
    });
  };
  EXPECT_LT(LeastTime(seconds(2), stopped), seconds(2));
}

TEST(HttpTransport, AnAnswerBeyondTheBoundIsAnErrorNotMemory) {
  ScriptedServer server([](Peer& peer, int) {
    if (!peer.ReadRequest().empty()) peer.WriteAnswer(200, std::string(100'000, 'x'));
  });
  EXPECT_FALSE(TransportTo(server.url(), 10'000)->Call({}, Soon(), Get()));
  EXPECT_TRUE(TransportTo(server.url(), 100'000)->Call({}, Soon(), Get()));
}

constexpr char kChunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(HttpTransport, AStreamHandsOverEachPieceWhenItComes) {
  std::atomic<bool> first_seen{false};
  ScriptedServer server([&](Peer& peer, int) {
    if (peer.ReadRequest().empty()) return;
    peer.Write(kChunked);
    peer.WriteChunk("one\n");
    Deadline deadline = Soon();
    while (!first_seen && !deadline.Expired()) std::this_thread::sleep_for(milliseconds(1));
    peer.WriteChunk("two\n");
    peer.Write("0\r\n\r\n");
  });
  std::string received;
  StreamEnd end =
      TransportTo(server.url())->Stream({}, seconds(60), Get(), [&](std::string_view bytes) {
        received += bytes;
        first_seen = true;
      });
  EXPECT_EQ(received, "one\ntwo\n");
  EXPECT_EQ(end.status, 200);
  EXPECT_FALSE(end.error) << end.error->message;
}

TEST(HttpTransport, ARefusedStreamSaysWhyAndHandsOverNothing) {
  ScriptedServer server([](Peer& peer, int) {
    if (!peer.ReadRequest().empty()) peer.WriteAnswer(410, "{\"reason\":\"Expired\"}");
  });
  StreamEnd end = TransportTo(server.url())->Stream({}, seconds(60), Get(), [](std::string_view) {
    ADD_FAILURE() << "an error's body is no event";
  });
  EXPECT_EQ(end.status, 410);
  EXPECT_EQ(end.body, "{\"reason\":\"Expired\"}");
}

TEST(HttpTransport, AStreamThatBreaksKeepsWhatCameAndSaysSo) {
  ScriptedServer server([](Peer& peer, int) {
    if (peer.ReadRequest().empty()) return;
    peer.Write(kChunked);
    peer.WriteChunk("one\n");
  });
  std::string received;
  StreamEnd end =
      TransportTo(server.url())->Stream({}, seconds(60), Get(), [&](std::string_view bytes) {
        received += bytes;
      });
  EXPECT_EQ(received, "one\n");
  ASSERT_TRUE(end.error);
  EXPECT_TRUE(IsUnreachable(*end.error)) << end.error->reason;
}

TEST(HttpTransport, ASilentStreamEndsAfterItsIdleTimeout) {
  ScriptedServer server([](Peer& peer, int) {
    if (peer.ReadRequest().empty()) return;
    peer.Write(kChunked);
    WaitForHangUp(peer);
  });
  SteadyTime started = RealClock().SteadyNow();
  StreamEnd end =
      TransportTo(server.url())->Stream({}, milliseconds(500), Get(), [](std::string_view) {});
  EXPECT_LT(RealClock().SteadyNow() - started, seconds(60)) << "of a watch it is minutes";
  ASSERT_TRUE(end.error);
  EXPECT_TRUE(IsTimeout(*end.error)) << end.error->message;
}

TEST(HttpTransport, AStopEndsAStreamAndNothingComesAfterIt) {
  ScriptedServer server([](Peer& peer, int) {
    if (peer.ReadRequest().empty()) return;
    peer.Write(kChunked);
    for (int i = 0; i < 2000; ++i) {
      peer.WriteChunk("tick\n");
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  auto transport = TransportTo(server.url());
  for (int round = 0; round < 5; ++round) {
    std::stop_source stop;
    std::atomic<bool> returned{false}, late{false};
    std::atomic<int> pieces{0};
    StreamEnd end = transport->Stream(stop.get_token(), seconds(60), Get(), [&](std::string_view) {
      if (returned) late = true;
      if (++pieces == 20) stop.request_stop();
    });
    returned = true;
    std::this_thread::sleep_for(milliseconds(20));
    EXPECT_FALSE(late);
    ASSERT_TRUE(end.error);
    EXPECT_TRUE(IsCancelled(*end.error));
  }
}

TEST(HttpTransport, OptionsThatCanNeverWorkAreTerminalErrors) {
  HttpTransportOptions options;
  for (const char* url : {"", "ftp://h/", "not a url", "https://"}) {
    options.url = url;
    Result<std::unique_ptr<Transport>> made = MakeHttpTransport(options);
    ASSERT_FALSE(made) << url;
    EXPECT_EQ(made.error().disposition, Disposition::kTerminal);
  }
  options.url = "https://127.0.0.1:1";
  options.ca_pem = "garbage";
  Result<std::unique_ptr<Transport>> made = MakeHttpTransport(options);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().reason, "InvalidCertificate");
}

}  // namespace
}  // namespace cutover::kube
