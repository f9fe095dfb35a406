// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"

namespace cutover::kube {

enum class Method { kGet, kPost, kPut, kPatch, kDelete };

std::string_view Name(Method method);
inline bool IsWrite(Method method) { return method != Method::kGet; }

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  Method method = Method::kGet;
  std::string target{};  ///< Absolute path with its encoded query: "/api/v1/pods?limit=500".
  Headers headers{};     ///< Besides Content-Type and Content-Length. Host overrides the URL's.
  std::string body{};
  std::string content_type{};
};

struct Response {
  int status = 0;
  Headers headers{};
  std::string body{};

  /// The first header of that name (any case), or nothing.
  std::optional<std::string> Header(std::string_view name) const;
};

/// How a stream ended. Exactly one of these holds:
///  - status 200 and no error: the server ended the stream; a watch resumes where it was;
///  - status other than 200: `body` has what the server said, `on_bytes` was never called;
///  - error: no answer at all (status 0), or the stream broke (status 200).
struct StreamEnd {
  int status = 0;
  Headers headers{};
  std::string body{};
  std::optional<Error> error{};
};

/// One HTTP server. Implementations are thread-safe and must be outlived by no call.
///
/// An answer of any status is a Response; an Error means that there was none:
///  - Unreachable, kRetry: the request was certainly not executed (refused, DNS, TLS), or it was a
///    GET;
///  - Unreachable or Timeout, kInDoubt: it was a write and may have been executed. A transport
///    never sends a write twice by itself;
///  - Cancelled: `stop` was requested; for a write kInDoubt, else kRetry.
class Transport {
 public:
  using OnBytes = std::function<void(std::string_view)>;

  virtual ~Transport() = default;

  /// Sends and waits for the whole answer, on the caller's thread. Never called from `OnBytes`.
  virtual Result<Response> Call(std::stop_token stop, Deadline deadline,
                                const Request& request) = 0;

  /// Sends and hands over the body as it comes, until the server ends it, `stop` is requested or
  /// nothing has come for `idle_timeout`. `on_bytes` runs on another thread, never concurrently,
  /// never after the return, and only for an answer with status 200. A slow `on_bytes` slows the
  /// server down; its time counts as idle.
  virtual StreamEnd Stream(std::stop_token stop, std::chrono::milliseconds idle_timeout,
                           const Request& request, OnBytes on_bytes) = 0;

  /// "host:port" of the server, for metrics.
  virtual std::string_view host() const = 0;
};

}  // namespace cutover::kube
