// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "operator/base/result.h"

namespace cutover::wiring {

/// Where a connection URI (postgresql://user:password@host:port/database?parameters) points.
/// Several hosts are no single place: nothing then, as for anything that is not such a URI.
struct UriEndpoint {
  std::string host;
  int port = 5432;

  friend bool operator==(const UriEndpoint&, const UriEndpoint&) = default;
};
std::optional<UriEndpoint> ReadUri(std::string_view uri);

/// The URI with host and port replaced and, when given, the password; scheme, user, database and
/// parameters stay as they are, byte for byte. Terminal "InvalidUri" when it is none; the message
/// does not repeat it, since it may hold a password.
Result<std::string> EditUri(std::string_view uri, const UriEndpoint& endpoint,
                            const std::optional<std::string>& password);

/// A URI that names user and database, to be completed by EditUri.
std::string MakeUri(std::string_view user, std::string_view database);

}  // namespace cutover::wiring
