// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "operator/base/result.h"

namespace cutover::kube {

/// Reasons of errors that come from talking to an API server. Those that the server itself gives
/// are metav1.StatusReason, letter for letter; those after kServiceUnavailable are ours.
namespace reason {
inline constexpr char kUnauthorized[] = "Unauthorized";
inline constexpr char kForbidden[] = "Forbidden";
inline constexpr char kNotFound[] = "NotFound";
inline constexpr char kAlreadyExists[] = "AlreadyExists";
inline constexpr char kConflict[] = "Conflict";
inline constexpr char kGone[] = "Gone";        // The resourceVersion is too old.
inline constexpr char kExpired[] = "Expired";  // The same, in the other of its two spellings.
inline constexpr char kInvalid[] = "Invalid";
inline constexpr char kBadRequest[] = "BadRequest";
inline constexpr char kTooManyRequests[] = "TooManyRequests";
inline constexpr char kTimeout[] = "Timeout";
inline constexpr char kServerTimeout[] = "ServerTimeout";
inline constexpr char kInternalError[] = "InternalError";
inline constexpr char kServiceUnavailable[] = "ServiceUnavailable";
inline constexpr char kVersionTooLarge[] = "ResourceVersionTooLarge";
inline constexpr char kUnreachable[] = "Unreachable";  // No answer: refused, DNS, TLS, reset.
inline constexpr char kCancelled[] = "Cancelled";      // Our own stop token.
inline constexpr char kMalformed[] = "MalformedResponse";
}  // namespace reason

bool IsUnauthorized(const Error& error);
bool IsForbidden(const Error& error);
bool IsNotFound(const Error& error);
bool IsAlreadyExists(const Error& error);
bool IsConflict(const Error& error);
/// 410 in either spelling: whoever holds this resourceVersion or continue token lists again.
bool IsGone(const Error& error);
/// The server has not (yet) reached the resourceVersion asked for: a stale replica, or one restored
/// from a backup.
bool IsVersionTooLarge(const Error& error);
bool IsInvalid(const Error& error);
bool IsTooManyRequests(const Error& error);
bool IsTimeout(const Error& error);
bool IsUnreachable(const Error& error);
bool IsCancelled(const Error& error);

/// The error that an answer with `http_status` >= 400 stands for; `body` is the metav1.Status that
/// the server sent, or anything else. `is_write` says whether the request could change something:
/// a 500 or 504 to a write leaves in doubt whether it did.
///
/// Only what the same request can never cure is terminal (Invalid, BadRequest, 405, 406, 413, 415).
/// NotFound, Forbidden and the like may be cured by somebody else's change, of which no event tells
/// the reconciler: they are worth retrying, with back-off.
Error ErrorFromResponse(int http_status, std::string_view body, bool is_write);

}  // namespace cutover::kube
