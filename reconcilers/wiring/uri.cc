// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/uri.h"

#include <algorithm>
#include <charconv>

namespace cutover::wiring {
namespace {

// Views into the URI, in its order: prefix ("postgresql://"), userinfo ("user:password@" or
// nothing), place ("host:port") and the rest from "/", "?" or "#" on.
struct Parts {
  std::string_view prefix, userinfo, place, rest;
};

// libpq lets parameters override the authority; such a URI is not one that can be edited by it.
bool NamesPlaceInParameters(std::string_view rest) {
  const size_t question = rest.find('?');
  if (question == std::string_view::npos) return false;
  std::string_view query = rest.substr(question + 1);
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view name = query.substr(0, std::min(query.find('='), end));
    if (name == "host" || name == "hostaddr" || name == "port") return true;
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  return false;
}

std::optional<Parts> Split(std::string_view uri) {
  const size_t colon = uri.find("://");
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  Parts parts;
  parts.prefix = uri.substr(0, colon + 3);
  if (!parts.prefix.starts_with("postgres")) return std::nullopt;
  std::string_view authority = uri.substr(colon + 3);
  const size_t end = std::min(authority.find_first_of("/?#"), authority.size());
  parts.rest = authority.substr(end);
  authority = authority.substr(0, end);
  const size_t at = authority.rfind('@');
  const size_t place = at == std::string_view::npos ? 0 : at + 1;
  parts.userinfo = authority.substr(0, place);
  parts.place = authority.substr(place);
  if (NamesPlaceInParameters(parts.rest)) return std::nullopt;
  return parts;
}

std::string PercentEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "-._~";
  std::string encoded;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (alphanumeric || kPlain.find(c) != std::string_view::npos) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kHex[byte >> 4];
      encoded += kHex[byte & 15];
    }
  }
  return encoded;
}

}  // namespace

std::optional<UriEndpoint> ReadUri(std::string_view uri) {
  const std::optional<Parts> parts = Split(uri);
  if (!parts || parts->place.empty()) return std::nullopt;
  if (parts->place.find(',') != std::string_view::npos) return std::nullopt;
  std::string_view host = parts->place, port;
  if (host.front() == '[') {
    const size_t bracket = host.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    port = host.substr(bracket + 1);
    host = host.substr(1, bracket - 1);
  } else if (const size_t colon = host.find(':'); colon != std::string_view::npos) {
    port = host.substr(colon);
    host = host.substr(0, colon);
  }
  UriEndpoint endpoint{std::string(host), 5432};
  if (port.size() > 1 && port.front() == ':') {
    auto [end, error] = std::from_chars(port.data() + 1, port.data() + port.size(), endpoint.port);
    if (error != std::errc() || end != port.data() + port.size()) return std::nullopt;
  } else if (!port.empty() && port != ":") {
    return std::nullopt;
  }
  return endpoint;
}

Result<std::string> EditUri(std::string_view uri, const UriEndpoint& endpoint,
                            const std::optional<std::string>& password) {
  const std::optional<Parts> parts = Split(uri);
  if (!parts)
    return TerminalError("InvalidUri",
                         "it is no connection URI (postgresql://user:password@host:port/database) "
                         "that names its host in one place");
  std::string userinfo(parts->userinfo);
  if (password) {
    const std::string_view user = parts->userinfo.substr(0, parts->userinfo.find_first_of(":@"));
    userinfo = std::string(user) + ":" + PercentEncode(*password) + "@";
  }
  const bool ipv6 = endpoint.host.find(':') != std::string::npos;
  const std::string host = ipv6 ? "[" + endpoint.host + "]" : endpoint.host;
  // A port that was left out stays out while it is the default: the edit changes what it must.
  const bool had_port =
      parts->place.find(
          ':', parts->place.find(']') == std::string_view::npos ? 0 : parts->place.find(']')) !=
      std::string_view::npos;
  std::string edited = std::string(parts->prefix) + userinfo + host;
  if (had_port || endpoint.port != 5432) edited += ":" + std::to_string(endpoint.port);
  return edited + std::string(parts->rest);
}

std::string MakeUri(std::string_view user, std::string_view database) {
  return "postgresql://" + PercentEncode(user) + "@/" + PercentEncode(database);
}

}  // namespace cutover::wiring
