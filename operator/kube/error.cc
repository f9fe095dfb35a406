// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/error.h"

#include "operator/base/json.h"

namespace cutover::kube {
namespace {

// For answers that are no metav1.Status: proxies, web servers.
std::string ReasonOf(int http_status) {
  switch (http_status) {
    case 400:
      return reason::kBadRequest;
    case 401:
      return reason::kUnauthorized;
    case 403:
      return reason::kForbidden;
    case 404:
      return reason::kNotFound;
    case 405:
      return "MethodNotAllowed";
    case 406:
      return "NotAcceptable";
    case 408:
      return reason::kTimeout;
    case 409:
      return reason::kConflict;
    case 410:
      return reason::kGone;
    case 413:
      return "RequestEntityTooLarge";
    case 415:
      return "UnsupportedMediaType";
    case 422:
      return reason::kInvalid;
    case 429:
      return reason::kTooManyRequests;
    case 503:
      return reason::kServiceUnavailable;
    case 504:
      return reason::kTimeout;
    default:
      return http_status >= 500 ? reason::kInternalError : "UnexpectedStatus";
  }
}

Disposition DispositionOf(int http_status, bool is_write) {
  switch (http_status) {
    case 400:
    case 405:
    case 406:
    case 413:
    case 415:
    case 422:
      return Disposition::kTerminal;
    case 503:  // Said before any work was done: not ready, or shutting down.
      return Disposition::kRetry;
    default:
      // "Unable to return a response in the time allotted, but may still be processing it."
      return is_write && http_status >= 500 ? Disposition::kInDoubt : Disposition::kRetry;
  }
}

bool HasCause(const Json& status, std::string_view cause) {
  for (const Json& item : status.At({"details", "causes"}).Items())
    if (item["reason"].StringRef() == cause) return true;
  return false;
}

// The object that was meant is gone and another has its name. The server calls that an invalid
// change of an immutable field; for the caller it is what every lost race is: look again.
bool IsAboutAnotherObject(const Json& status) {
  for (const Json& item : status.At({"details", "causes"}).Items())
    if (item["field"].StringRef() == "metadata.uid") return true;
  return false;
}

bool Is(const Error& error, std::string_view reason) { return error.reason == reason; }

}  // namespace

bool IsUnauthorized(const Error& error) { return Is(error, reason::kUnauthorized); }
bool IsForbidden(const Error& error) { return Is(error, reason::kForbidden); }
bool IsNotFound(const Error& error) { return Is(error, reason::kNotFound); }
bool IsAlreadyExists(const Error& error) { return Is(error, reason::kAlreadyExists); }
bool IsConflict(const Error& error) { return Is(error, reason::kConflict); }
bool IsGone(const Error& error) { return Is(error, reason::kGone) || Is(error, reason::kExpired); }
bool IsVersionTooLarge(const Error& error) { return Is(error, reason::kVersionTooLarge); }
bool IsInvalid(const Error& error) { return Is(error, reason::kInvalid); }
bool IsTooManyRequests(const Error& error) { return Is(error, reason::kTooManyRequests); }
bool IsTimeout(const Error& error) {
  return Is(error, reason::kTimeout) || Is(error, reason::kServerTimeout);
}
bool IsUnreachable(const Error& error) { return Is(error, reason::kUnreachable); }
bool IsCancelled(const Error& error) { return Is(error, reason::kCancelled); }

Error ErrorFromResponse(int http_status, std::string_view body, bool is_write) {
  constexpr size_t kForeignBodyBytesMax = 200;
  Error error;
  error.disposition = DispositionOf(http_status, is_write);
  error.reason = ReasonOf(http_status);
  Result<Json> status = Json::Parse(body);
  if (status && (*status)["kind"].StringRef() == "Status") {
    error.message = (*status)["message"].AsString();
    if (const std::string& given = (*status)["reason"].StringRef(); !given.empty())
      error.reason = given;
    if (HasCause(*status, reason::kVersionTooLarge)) error.reason = reason::kVersionTooLarge;
    if (http_status == 422 && IsAboutAnotherObject(*status)) {
      error.reason = reason::kConflict;
      error.disposition = Disposition::kRetry;
    }
  } else {
    error.message = std::string(body.substr(0, kForeignBodyBytesMax));
  }
  if (error.message.empty())
    error.message = "the server answered with status " + std::to_string(http_status);
  return error;
}

}  // namespace cutover::kube
