// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/place.h"

#include <charconv>

namespace cutover::wiring {
namespace {

bool IsOwnService(const api::DatabasePlacement& placement, std::string_view host) {
  const std::string& service = placement.spec.connection.service_name;
  return !service.empty() && SameHost(host, service, placement.meta.namespace_name);
}

bool IsAt(const Found& found, const HostPort& side, const std::string& ns) {
  return SameHost(found.host, side.host, ns) && (!found.port || *found.port == side.port);
}

}  // namespace

std::string Title(const ObjectName& name) { return name.kind + " " + name.name; }
std::string Title(const api::WiringFile& file) {
  return file.object.kind + " " + file.object.name + ", key " + file.key;
}
std::string Title(const api::WiringEnv& env) {
  return env.workload.kind + " " + env.workload.name + ", container " + env.container;
}

ObjectName NameOf(const api::ObjectRef& ref) { return {ref.kind, ref.name}; }
ObjectName NameOf(const api::WiringSecret& secret) { return {"Secret", secret.name}; }

tl::unexpected<Error> NotFound(const std::string& what) {
  return TerminalError("WiringNotFound", what +
                                             " does not exist: create it, or take it out of "
                                             "spec.connection of the DatabasePlacement");
}
tl::unexpected<Error> NotChangeable(const std::string& what, const std::string& why) {
  return TerminalError("WiringNotChangeable", what + " " + why);
}

HostPort PlaceFor(const api::DatabasePlacement& placement, const std::string& current_host,
                  const Wanted& wanted) {
  if (IsOwnService(placement, current_host)) return {current_host, kServicePort};
  return wanted.server;
}

Wanted WantedOn(const api::DatabaseServer& server, const api::DatabasePlacement& placement) {
  return {HostPortOf(server), placement.spec.owner, std::nullopt, placement.spec.database_name};
}

Side SideOf(const api::DatabasePlacement& placement, const Found& found, const Sides& sides) {
  if (IsOwnService(placement, found.host))
    return !found.port || *found.port == kServicePort ? Side::kEither : Side::kNeither;
  const std::string& ns = placement.meta.namespace_name;
  const bool source = IsAt(found, sides.source, ns);
  const bool target = sides.target && IsAt(found, *sides.target, ns);
  if (source && target) return Side::kEither;
  return source ? Side::kSource : target ? Side::kTarget : Side::kNeither;
}

std::optional<int> ParsePort(const std::string& text) {
  int port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 1 || port > 65535)
    return std::nullopt;
  return port;
}

void Merge(ItemObservation& item, Side side, const std::string& detail) {
  if (item.detail.empty()) {
    item.side = side;
    item.detail = detail;
    return;
  }
  if (item.detail != detail) item.detail += ", " + detail;
  if (side == item.side || side == Side::kEither) return;
  item.side = item.side == Side::kEither ? side : Side::kNeither;
}

}  // namespace cutover::wiring
