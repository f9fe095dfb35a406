// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/base/clock.h"
#include "operator/base/json.h"
#include "operator/kube/resource.h"
#include "tests/sim/api/field_ownership.h"

namespace cutover::sim {

/// One version of one object.
struct Version {
  int64_t number = 0;  ///< resourceVersion.
  Json object;
  std::string text;  ///< The object as it goes over the wire.
  bool deleted = false;
};
using VersionPointer = std::shared_ptr<const Version>;

/// A metav1.Status instead of an object.
struct Refusal {
  int code = 500;
  std::string reason;
  std::string message;
  std::string cause;  ///< reason of the one cause in details, or empty.
};
template <class T>
using Answer = tl::expected<T, Refusal>;

/// Label and field selectors in their text form, as far as the operator says them: =, ==, !=,
/// `in`, `notin`, existence, and metadata.name and metadata.namespace as fields.
class Selector {
 public:
  Selector() = default;
  Selector(std::string_view labels, std::string_view fields);
  bool Matches(const Json& object) const;

 private:
  struct Term {
    std::string key;
    std::vector<std::string> values;
    bool negated = false;
    bool exists = false;
    bool is_field = false;
  };
  void AddLabelTerm(std::string_view text);
  std::vector<Term> terms_;
};

/// What an API server and its etcd hold, and how they change it: resourceVersions, generations,
/// optimistic locking, the status subresource, server-side apply, finalizers, foreground deletion,
/// immutable Secrets, history for watches and stale reads, compaction. Objects are taken as they
/// come: no schema, no defaults. One contract suite holds it and a real API server to the same
/// behaviour. Not thread-safe.
class ApiModel {
 public:
  static constexpr int64_t kLatest = INT64_MAX;

  explicit ApiModel(const Clock& clock);

  struct Write {
    std::string manager = "unknown";
    std::string subresource{};
    bool dry_run = false;
  };
  struct Removal {
    std::string uid{};
    std::string resource_version{};
    bool foreground = false;
  };

  /// As of `view`, a version that may lie in the past.
  Answer<VersionPointer> Get(const kube::Resource& resource, const kube::Key& key,
                             int64_t view = kLatest) const;
  std::vector<VersionPointer> List(const kube::Resource& resource, const std::string& ns,
                                   const Selector& selector, int64_t view = kLatest) const;

  Answer<VersionPointer> Create(const kube::Resource& resource, const Json& object,
                                const Write& write);
  Answer<VersionPointer> Update(const kube::Resource& resource, Json object, const Write& write);
  Answer<VersionPointer> MergePatch(const kube::Resource& resource, const kube::Key& key,
                                    const Json& patch, const Write& write);
  Answer<VersionPointer> Apply(const kube::Resource& resource, const kube::Key& key,
                               const Json& applied, const Write& write);
  Answer<VersionPointer> Delete(const kube::Resource& resource, const kube::Key& key,
                                const Removal& removal);

  /// One round of the garbage collector: deletes what only vanished owners owned and, below an
  /// owner that is being deleted in the foreground, its dependents; takes vanished owners out of
  /// what has others; and lets go of an owner whose deletion nothing blocks any more. Whether it
  /// changed anything.
  bool CollectGarbage();

  /// Everything that happened after `after` up to `view`, oldest first: the version before (null
  /// for a creation) and the version it became. Refused with 410 when that was compacted away.
  struct Event {
    VersionPointer before, after;
  };
  Answer<std::vector<Event>> Changes(const kube::Resource& resource, int64_t after,
                                     int64_t view = kLatest) const;

  int64_t version() const { return version_; }
  /// What a watch of the kind was last told of, up to `view`: the number of its last change, or of
  /// the compaction since.
  int64_t LastChange(const kube::Resource& resource, int64_t view) const;
  /// Forgets history up to now: who asks for an older version gets 410.
  void Compact();
  int64_t compacted() const { return compacted_; }

  /// Called after every change that was stored.
  using OnChange = std::function<void(const kube::Resource&, const Event&)>;
  void set_on_change(OnChange on_change) { on_change_ = std::move(on_change); }

  /// Every object, for comparing whole states.
  void ForEach(const std::function<void(const kube::Resource&, const Json&)>& visit) const;

 private:
  struct Entry {
    std::vector<VersionPointer> history;  // Oldest first; the last is the present.
    FieldOwnership ownership;
    const Version* Present() const {
      return history.empty() || history.back()->deleted ? nullptr : history.back().get();
    }
    VersionPointer At(int64_t view) const;
  };
  struct Kind {
    kube::Resource resource;
    std::map<kube::Key, Entry> entries;
    std::vector<Event> log;
  };

  Kind& KindOf(const kube::Resource& resource);
  const Kind* FindKind(const kube::Resource& resource) const;
  Answer<Entry*> Existing(Kind& kind, const kube::Key& key);
  /// Stores `next` as the successor of what the entry holds, unless nothing changed.
  Answer<VersionPointer> Store(Kind& kind, Entry& entry, Json next, const Write& write);
  VersionPointer Append(Kind& kind, Entry& entry, Json object, bool deleted);
  /// What a garbage collector has to do about one object.
  struct Chore {
    enum What { kDelete, kDeleteInForeground, kDisown, kLetGo };
    What what;
    kube::Resource resource;
    kube::Key key;
    Json owners;  ///< kDisown: those that are left.
  };
  std::vector<Chore> FindGarbage() const;
  void Do(const Chore& chore);

  const Clock& clock_;
  std::deque<Kind> kinds_;  // References to kinds stay good.
  int64_t version_ = 1000;
  int64_t compacted_ = 0;
  bool may_be_garbage_ = false;  // Since the last look at all objects.
  int64_t uids_ = 0;
  OnChange on_change_;
};

}  // namespace cutover::sim
