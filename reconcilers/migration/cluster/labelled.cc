// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/labelled.h"

#include <utility>

#include "operator/api/meta.h"

namespace cutover::migration {
namespace {

// What follows a list is a deletion: never on the word of a selector alone.
bool IsAskedFor(const Json& object, const std::string& migration_uid, const LabelledQuery& query) {
  if (migration_uid.empty()) return false;
  if (!query.migration_uid.empty() && migration_uid != query.migration_uid) return false;
  const size_t equals = query.label.find('=');
  const std::string value = kube::LabelOf(object, query.label.substr(0, equals));
  return equals == std::string::npos ? !value.empty() : value == query.label.substr(equals + 1);
}

}  // namespace

Result<std::vector<LabelledObject>> ListLabelled(std::stop_token stop, Deadline deadline,
                                                 kube::Client& client, const LabelledQuery& query) {
  kube::ListOptions options;
  options.ns = query.ns;
  options.label_selector = api::kMigrationUidLabel;
  if (!query.migration_uid.empty()) options.label_selector += "=" + query.migration_uid;
  options.label_selector += "," + query.label;
  std::vector<LabelledObject> found;
  for (const kube::Resource& resource : query.resources) {
    TRY_ASSIGN(kube::ObjectList listed, client.List(stop, deadline, resource, options));
    for (const Json& object : listed.items) {
      std::string migration_uid(kube::LabelOf(object, api::kMigrationUidLabel));
      if (kube::IsDeleting(object) || !IsAskedFor(object, migration_uid, query)) continue;
      found.push_back(
          {resource, kube::KeyOf(object), kube::UidOf(object), std::move(migration_uid)});
    }
  }
  return found;
}

Status DeleteLabelled(std::stop_token stop, Deadline deadline, kube::Client& client,
                      const std::vector<LabelledObject>& objects) {
  for (const LabelledObject& object : objects) {
    kube::DeleteOptions how;
    how.uid = object.uid;
    how.propagation = kube::Propagation::kForeground;
    TRY(client.Delete(stop, deadline, object.resource, object.key, how));
  }
  return Ok();
}

}  // namespace cutover::migration
