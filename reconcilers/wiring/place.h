// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "operator/api/database_placement.h"
#include "operator/base/result.h"
#include "reconcilers/wiring/wiring.h"

/// What all kinds of wiring items have in common: how they are called, which place each must name,
/// and which side a place is. Pure.
namespace cutover::wiring {

std::string Title(const ObjectName& name);
std::string Title(const api::WiringFile& file);
std::string Title(const api::WiringEnv& env);

ObjectName NameOf(const api::ObjectRef& ref);
ObjectName NameOf(const api::WiringSecret& secret);

/// Terminal "WiringNotFound" and "WiringNotChangeable".
tl::unexpected<Error> NotFound(const std::string& what);
tl::unexpected<Error> NotChangeable(const std::string& what, const std::string& why);

/// What an item that names `current_host` has to say: the Service's name stays where the item
/// follows the Service.
HostPort PlaceFor(const api::DatabasePlacement& placement, const std::string& current_host,
                  const Wanted& wanted);

/// A place as an item names it; an item may leave the port to others.
struct Found {
  std::string host;
  std::optional<int> port;

  std::string ToString() const { return port ? HostPort{host, *port}.ToString() : host; }
};

Side SideOf(const api::DatabasePlacement& placement, const Found& found, const Sides& sides);

/// 1 to 65535, or nothing.
std::optional<int> ParsePort(const std::string& text);

/// Adds another observation to an item: all of them must agree.
void Merge(ItemObservation& item, Side side, const std::string& detail);

}  // namespace cutover::wiring
