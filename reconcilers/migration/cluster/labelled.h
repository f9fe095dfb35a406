// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/base/deadline.h"
#include "operator/base/result.h"
#include "operator/kube/client.h"
#include "operator/kube/metadata.h"
#include "operator/kube/resource.h"

namespace cutover::migration {

/// An object that a migration has made for itself, and marked with its uid, as it was listed.
struct LabelledObject {
  kube::Resource resource;
  kube::Key key;
  std::string uid;
  std::string migration_uid;
};

/// Where to look, and for what.
struct LabelledQuery {
  std::initializer_list<kube::Resource> resources;
  std::string ns{};             ///< Empty: everywhere.
  std::string migration_uid{};  ///< Empty: of any migration.
  std::string label{};          ///< Which they have besides; "key" or "key=value".
};

/// In the order of `resources`. Without those that have been asked to go already.
Result<std::vector<LabelledObject>> ListLabelled(std::stop_token stop, Deadline deadline,
                                                 kube::Client& client, const LabelledQuery& query);

/// Deletes these, in this order, and nothing that has come under their names since; what they own
/// goes first (foreground).
Status DeleteLabelled(std::stop_token stop, Deadline deadline, kube::Client& client,
                      const std::vector<LabelledObject>& objects);

}  // namespace cutover::migration
