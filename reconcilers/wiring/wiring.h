// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/database_placement.h"
#include "operator/base/deadline.h"
#include "operator/base/json.h"
#include "operator/base/result.h"
#include "operator/kube/resource.h"
#include "reconcilers/wiring/endpoints.h"

/// Wiring: whatever tells a workload where its database is. Four kinds, in any combination:
///
///   Service   selector-less, with EndpointSlices; ours alone. Its name and port (5432) never
///   change. Secret    single keys: host, port, username, password, database, uri file odoo.conf in
///   a ConfigMap or Secret, edited line by line env       literal variables of a container
///
/// An item whose host is the placement's own Service follows that Service: moving the tenant leaves
/// it alone. Any other item names the server itself and is rewritten.
///
/// *Writes* are read-modify-write on condition of the resourceVersion read, repeated on conflict,
/// so that nobody's change is lost; each is idempotent, and writes nothing when nothing is to
/// change. *Errors*: "WiringNotFound" and "WiringNotChangeable" are terminal and say what to
/// change; the client's own pass through. No message ever holds a password.
namespace cutover::wiring {

/// The port of every Service that is ours, whatever port the server listens on.
inline constexpr int kServicePort = 5432;

/// What the wiring shall say.
struct Wanted {
  HostPort server;
  std::string user;                     ///< Written where a user is written already.
  std::optional<std::string> password;  ///< Nothing: passwords stay as they are.
  std::string database;
};

/// What it shall say once the tenant is on `server`. User and password stay: roles come to the
/// target with the verifiers that they have.
Wanted WantedOn(const api::DatabaseServer& server, const api::DatabasePlacement& placement);

enum class Side {
  kSource,
  kTarget,
  kEither,   ///< Right for both: an item that follows the Service, or sides that look the same.
  kNeither,  ///< Somebody else's doing; `detail` says what it names.
};
std::string_view Name(Side side);

struct Sides {
  HostPort source;
  std::optional<HostPort> target;
};

/// Where one item of the wiring points.
struct ItemObservation {
  std::string item;  ///< "Secret odoo-db", "ConfigMap odoo-conf, key odoo.conf", …
  Side side = Side::kNeither;
  std::string detail;  ///< What it names ("pg-1.db.svc:5432") or what is wrong with it.
};

struct WiringObservation {
  std::vector<ItemObservation> items;

  /// True when every item is right for `side`; also when there are no items.
  bool AllAt(Side side) const;
  /// The items that are not at `side`, in one stable sentence; empty when AllAt(side).
  std::string Describe(Side side) const;
};

/// Reads every item live. A failed read is an error, never an answer; a missing object is an item
/// at kNeither.
Result<WiringObservation> ObserveWiring(std::stop_token stop, Deadline deadline,
                                        const Access& access,
                                        const api::DatabasePlacement& placement,
                                        const Sides& sides);

/// What there is before any change, for the ledger: values, whole files, whole variables. Holds
/// passwords: keep it in a Secret. Equal wiring gives equal records.
Result<Json> RecordWiring(std::stop_token stop, Deadline deadline, const Access& access,
                          const api::DatabasePlacement& placement);

/// Points every item at `wanted`. The Service is made when there is none.
Status ApplyWiring(std::stop_token stop, Deadline deadline, const Access& access,
                   const api::DatabasePlacement& placement, const Wanted& wanted);

/// Puts every item back as recorded, byte for byte, whatever that names; what was absent is removed
/// again. In files that somebody edited meanwhile only the connection goes back (RestoreOdooConf).
/// The Service, which is ours, leads to `source`: the endpoint that the recorded server has now.
Status RestoreWiring(std::stop_token stop, Deadline deadline, const Access& access,
                     const api::DatabasePlacement& placement, const Json& record,
                     const HostPort& source);

/// Whether RestoreWiring would have nothing to do, the Service's addresses included.
Result<bool> WiringIsAsRecorded(std::stop_token stop, Deadline deadline, const Access& access,
                                const api::DatabasePlacement& placement, const Json& record,
                                const HostPort& source);

/// Asked right before a write, whether it is still wanted.
using StillWanted = std::function<Result<bool>()>;

/// Makes the Service and its EndpointSlices lead to `server` now; all that a placement owns itself.
/// Does nothing when the placement names no Service. Terminal "ServiceNotOurs" when one of that
/// name has a selector or an external name, or other EndpointSlices feed it.
///
/// Slices are written on condition of the version read before `still_wanted` was asked: whoever
/// points them elsewhere in between wins, and this call is a conflict.
Status ApplyService(std::stop_token stop, Deadline deadline, const Access& access,
                    const api::DatabasePlacement& placement, const HostPort& server,
                    const StillWanted& still_wanted = nullptr);

/// Names one object; kind as in its `kind`.
struct ObjectName {
  std::string kind;
  std::string name;

  friend auto operator<=>(const ObjectName&, const ObjectName&) = default;
};

/// Live objects by name, those that exist.
using Objects = std::map<ObjectName, Json>;

/// Those of WiredObjects.
Result<Objects> ReadWiredObjects(std::stop_token stop, Deadline deadline, kube::Client& client,
                                 const api::DatabasePlacement& placement);

// Pure parts of the above.

/// One write: a JSON merge patch that carries the resourceVersion it is good for.
struct ObjectPatch {
  ObjectName object;
  Json patch;
};

/// Every object that the Secret, file and env items live in (not the Service's).
std::vector<ObjectName> WiredObjects(const api::Connection& connection);

/// The writes that make all items but the Service say `wanted`; none for an object that does
/// already.
Result<std::vector<ObjectPatch>> PlanWiring(const api::DatabasePlacement& placement,
                                            const Objects& current, const Wanted& wanted);

/// The record of all items but the Service; what RecordWiring stores.
Result<Json> RecordObjects(const api::DatabasePlacement& placement, const Objects& current);

/// The writes that bring all items but the Service back to `record`.
Result<std::vector<ObjectPatch>> PlanRestore(const Objects& current, const Json& record);

/// Where all items but the Service point.
std::vector<ItemObservation> ObserveObjects(const api::DatabasePlacement& placement,
                                            const Objects& current, const Sides& sides);

}  // namespace cutover::wiring
