// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/api/api_model.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "operator/kube/finalizer.h"
#include "operator/kube/metadata.h"

namespace cutover::sim {
namespace {

constexpr char kForeground[] = "foregroundDeletion";

// Kinds without a status of their own to be written apart from the rest.
constexpr std::array<std::string_view, 8> kWithoutStatus = {
    "Secret", "ConfigMap",      "EndpointSlice", "Lease",
    "Event",  "ServiceAccount", "Endpoints",     "ReplicaSet"};

bool HasStatus(const kube::Resource& resource) {
  return std::find(kWithoutStatus.begin(), kWithoutStatus.end(), resource.kind) ==
         kWithoutStatus.end();
}

std::string Title(const kube::Resource& resource, const kube::Key& key) {
  std::string title(resource.plural);
  if (!resource.group.empty()) title.append(".").append(resource.group);
  return title + " \"" + key.name + "\"";
}

tl::unexpected<Refusal> NotFound(const kube::Resource& resource, const kube::Key& key) {
  return tl::make_unexpected(Refusal{404, "NotFound", Title(resource, key) + " not found", ""});
}

tl::unexpected<Refusal> Conflict(const kube::Resource& resource, const kube::Key& key,
                                 const std::string& why) {
  return tl::make_unexpected(
      Refusal{409, "Conflict",
              "Operation cannot be fulfilled on " + Title(resource, key) + ": " + why, ""});
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Splits at commas that stand outside of parentheses.
std::vector<std::string_view> SplitTerms(std::string_view text) {
  std::vector<std::string_view> terms;
  int depth = 0;
  size_t begin = 0;
  for (size_t at = 0; at <= text.size(); ++at) {
    if (at == text.size() || (text[at] == ',' && depth == 0)) {
      if (std::string_view term = Trim(text.substr(begin, at - begin)); !term.empty())
        terms.push_back(term);
      begin = at + 1;
    } else if (text[at] == '(') {
      ++depth;
    } else if (text[at] == ')') {
      --depth;
    }
  }
  return terms;
}

void MergePatchInto(Json& target, const Json& patch) {
  if (!patch.IsObject()) {
    target = patch;
    return;
  }
  if (!target.IsObject()) target = Json::Object();
  for (const auto& [key, value] : patch.Members()) {
    if (value.IsNull())
      target.Remove(key);
    else
      MergePatchInto(target.MutableAt(key), value);
  }
}

// The rest of the object as it was, with the parts that `subresource` may change taken from `next`.
Json OnlyWhatMayChange(const kube::Resource& resource, const Json& before, Json next,
                       const std::string& subresource) {
  if (subresource == "status") {
    if (!next.Contains("status")) return before;
    Json status = std::move(next.MutableAt("status"));
    Json merged = Json::Object();
    for (const auto& [key, value] : before.Members())
      if (key != "status") merged.Set(key, value);
    merged.Set("status", std::move(status));
    return merged;
  }
  if (HasStatus(resource)) {
    if (before.Contains("status"))
      next.Set("status", before["status"]);
    else
      next.Remove("status");
  }
  return next;
}

// What belongs to the server in an object's metadata stays as it is, whatever was sent.
void KeepServersFields(const Json& before, Json& next) {
  Json& metadata = next.MutableAt("metadata");
  for (const char* name :
       {"uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp",
        "deletionGracePeriodSeconds", "namespace", "name"}) {
    if (const Json* value = before["metadata"].Find(name))
      metadata.Set(name, *value);
    else
      metadata.Remove(name);
  }
  for (const char* name : {"finalizers", "labels", "annotations", "ownerReferences"})
    if (metadata.Contains(name) && metadata[name].Empty()) metadata.Remove(name);
  metadata.Remove("managedFields");
}

// A change of anything but metadata and status is a new generation.
bool SameSpec(const Json& before, const Json& next) {
  for (const Json* object : {&before, &next})
    for (const auto& [key, value] : object->Members())
      if (key != "metadata" && key != "status" && !(before[key] == next[key])) return false;
  return true;
}

bool CountsGenerations(const kube::Resource& resource) {
  return HasStatus(resource) && resource.kind != "Service" && resource.kind != "Namespace" &&
         resource.kind != "PersistentVolumeClaim";
}

}  // namespace

// --- selectors ----------------------------------------------------------------------------------

Selector::Selector(std::string_view labels, std::string_view fields) {
  for (std::string_view term : SplitTerms(labels)) AddLabelTerm(term);
  for (std::string_view term : SplitTerms(fields)) {
    size_t equals = term.find('=');
    Term added;
    added.key = term.substr(0, equals);
    added.values = {std::string(term.substr(term.find_last_of('=') + 1))};
    added.is_field = true;
    terms_.push_back(std::move(added));
  }
}

void Selector::AddLabelTerm(std::string_view text) {
  Term term;
  size_t open = text.find(" in ("), closed = text.find(" notin (");
  if (open != text.npos || closed != text.npos) {
    term.negated = closed != text.npos;
    term.key = Trim(text.substr(0, std::min(open, closed)));
    std::string_view list = text.substr(text.find('(') + 1);
    for (std::string_view value : SplitTerms(list.substr(0, list.find(')'))))
      term.values.emplace_back(value);
  } else if (size_t equals = text.find('='); equals != text.npos) {
    term.negated = equals > 0 && text[equals - 1] == '!';
    term.key = Trim(text.substr(0, term.negated ? equals - 1 : equals));
    term.values = {std::string(Trim(text.substr(text.find_last_of('=') + 1)))};
  } else {
    term.exists = true;
    term.negated = text.front() == '!';
    term.key = text.substr(term.negated ? 1 : 0);
  }
  terms_.push_back(std::move(term));
}

bool Selector::Matches(const Json& object) const {
  for (const Term& term : terms_) {
    const Json* value = nullptr;
    if (term.is_field)
      value = object["metadata"].Find(term.key.substr(term.key.find('.') + 1));
    else
      value = object["metadata"]["labels"].Find(term.key);
    bool holds = value != nullptr;
    if (holds && !term.exists)
      holds = std::find(term.values.begin(), term.values.end(), value->StringRef()) !=
              term.values.end();
    if (holds == term.negated) return false;
  }
  return true;
}

// --- reading ------------------------------------------------------------------------------------

ApiModel::ApiModel(const Clock& clock) : clock_(clock) {}

VersionPointer ApiModel::Entry::At(int64_t view) const {
  for (auto version = history.rbegin(); version != history.rend(); ++version)
    if ((*version)->number <= view) return (*version)->deleted ? nullptr : *version;
  return nullptr;
}

ApiModel::Kind& ApiModel::KindOf(const kube::Resource& resource) {
  for (Kind& kind : kinds_)
    if (kind.resource == resource) return kind;
  kinds_.push_back({resource, {}, {}});
  return kinds_.back();
}

const ApiModel::Kind* ApiModel::FindKind(const kube::Resource& resource) const {
  for (const Kind& kind : kinds_)
    if (kind.resource == resource) return &kind;
  return nullptr;
}

Answer<VersionPointer> ApiModel::Get(const kube::Resource& resource, const kube::Key& key,
                                     int64_t view) const {
  const Kind* kind = FindKind(resource);
  if (kind == nullptr) return NotFound(resource, key);
  auto found = kind->entries.find(key);
  VersionPointer version = found == kind->entries.end() ? nullptr : found->second.At(view);
  if (!version) return NotFound(resource, key);
  return version;
}

std::vector<VersionPointer> ApiModel::List(const kube::Resource& resource, const std::string& ns,
                                           const Selector& selector, int64_t view) const {
  std::vector<VersionPointer> found;
  const Kind* kind = FindKind(resource);
  if (kind == nullptr) return found;
  for (const auto& [key, entry] : kind->entries) {
    if (!ns.empty() && key.ns != ns) continue;
    VersionPointer version = entry.At(view);
    if (version && selector.Matches(version->object)) found.push_back(std::move(version));
  }
  return found;
}

Answer<std::vector<ApiModel::Event>> ApiModel::Changes(const kube::Resource& resource,
                                                       int64_t after, int64_t view) const {
  if (after < compacted_)
    return tl::make_unexpected(Refusal{410, "Expired",
                                       "too old resource version: " + std::to_string(after) + " (" +
                                           std::to_string(compacted_) + ")",
                                       ""});
  std::vector<Event> events;
  const Kind* kind = FindKind(resource);
  if (kind == nullptr) return events;
  auto from = std::upper_bound(
      kind->log.begin(), kind->log.end(), after,
      [](int64_t number, const Event& event) { return number < event.after->number; });
  for (; from != kind->log.end() && from->after->number <= view; ++from) events.push_back(*from);
  return events;
}

int64_t ApiModel::LastChange(const kube::Resource& resource, int64_t view) const {
  const Kind* kind = FindKind(resource);
  if (kind == nullptr) return compacted_;
  auto last = std::find_if(kind->log.rbegin(), kind->log.rend(),
                           [view](const Event& event) { return event.after->number <= view; });
  return last == kind->log.rend() ? compacted_ : last->after->number;
}

void ApiModel::ForEach(const std::function<void(const kube::Resource&, const Json&)>& visit) const {
  for (const Kind& kind : kinds_)
    for (const auto& [key, entry] : kind.entries)
      if (const Version* present = entry.Present()) visit(kind.resource, present->object);
}

// --- writing ------------------------------------------------------------------------------------

Answer<ApiModel::Entry*> ApiModel::Existing(Kind& kind, const kube::Key& key) {
  auto found = kind.entries.find(key);
  if (found == kind.entries.end() || found->second.Present() == nullptr)
    return NotFound(kind.resource, key);
  return &found->second;
}

VersionPointer ApiModel::Append(Kind& kind, Entry& entry, Json object, bool deleted) {
  auto version = std::make_shared<Version>();
  version->number = ++version_;
  object.MutableAt("metadata").Set("resourceVersion", std::to_string(version_));
  version->text = object.Dump();
  version->object = std::move(object);
  version->deleted = deleted;
  Event event{entry.Present() == nullptr ? nullptr : entry.history.back(), version};
  // What an owner that has been there for long owns is made, or an object goes: else none arises.
  may_be_garbage_ |= deleted || !event.before || kube::IsDeleting(version->object) ||
                     !(event.before->object["metadata"]["ownerReferences"] ==
                       version->object["metadata"]["ownerReferences"]);
  entry.history.push_back(version);
  if (deleted) entry.ownership = FieldOwnership();
  kind.log.push_back(event);
  if (on_change_) on_change_(kind.resource, event);
  return version;
}

Answer<VersionPointer> ApiModel::Store(Kind& kind, Entry& entry, Json next, const Write& write) {
  const VersionPointer before = entry.history.back();
  const Json& was = before->object;
  const kube::Key key = kube::KeyOf(was);
  const std::string& sent_version = kube::ResourceVersionOf(next);
  if (!sent_version.empty() && sent_version != std::to_string(before->number))
    return Conflict(kind.resource, key,
                    "the object has been modified; please apply your changes to the latest version "
                    "and try again");
  const std::string& sent_uid = kube::UidOf(next);
  if (!sent_uid.empty() && sent_uid != kube::UidOf(was))
    return Conflict(kind.resource, key, "Precondition failed: UID in precondition: " + sent_uid);
  next = OnlyWhatMayChange(kind.resource, was, std::move(next), write.subresource);
  KeepServersFields(was, next);
  if (was["immutable"].AsBool() && !(was["data"] == next["data"]))
    return tl::make_unexpected(Refusal{422, "Invalid",
                                       Title(kind.resource, key) +
                                           " is invalid: data: Forbidden: field is immutable when "
                                           "`immutable` is set",
                                       ""});
  if (next == was) return before;
  if (CountsGenerations(kind.resource) && !SameSpec(was, next))
    next.MutableAt("metadata").Set("generation", was["metadata"]["generation"].AsInt() + 1);
  if (write.dry_run) return before;
  if (!kube::IsDeleting(next) || !next["metadata"]["finalizers"].Empty())
    return Append(kind, entry, std::move(next), false);
  // Whose last finalizer goes is deleted as it was, and answered for as it was sent.
  Append(kind, entry, was, true);
  auto answer = std::make_shared<Version>();
  answer->number = before->number;
  answer->text = next.Dump();
  answer->object = std::move(next);
  return VersionPointer(std::move(answer));
}

Answer<VersionPointer> ApiModel::Create(const kube::Resource& resource, const Json& object,
                                        const Write& write) {
  const kube::Key key = kube::KeyOf(object);
  Kind& kind = KindOf(resource);
  if (auto space = Get(kube::kNamespace, {"", key.ns}); space && kube::IsDeleting((*space)->object))
    return tl::make_unexpected(Refusal{403, "Forbidden",
                                       Title(resource, key) +
                                           " is forbidden: unable to create new content in "
                                           "namespace " +
                                           key.ns + " because it is being terminated",
                                       "NamespaceTerminating"});
  if (Existing(kind, key))
    return tl::make_unexpected(
        Refusal{409, "AlreadyExists", Title(resource, key) + " already exists", ""});
  if (!kube::ResourceVersionOf(object).empty())
    return tl::make_unexpected(Refusal{
        400, "BadRequest", "resourceVersion should not be set on objects to be created", ""});
  Json created = object;
  if (HasStatus(resource)) created.Remove("status");
  Json& metadata = created.MutableAt("metadata");
  std::string number = std::to_string(++uids_);
  std::string uid = "00000000-0000-4000-8000-" + std::string(12 - number.size(), '0') + number;
  metadata.Set("uid", uid);
  metadata.Set("creationTimestamp", FormatTime(clock_.WallNow()));
  if (CountsGenerations(resource)) metadata.Set("generation", 1);
  // A real one has it in its spec.
  if (resource == kube::kNamespace) metadata.MutableAt("finalizers").Append("kubernetes");
  for (const char* name : {"deletionTimestamp", "managedFields", "resourceVersion"})
    metadata.Remove(name);
  Entry& entry = kind.entries[key];
  if (write.dry_run) {
    auto imagined = std::make_shared<Version>();
    imagined->object = created;
    imagined->text = created.Dump();
    return VersionPointer(std::move(imagined));
  }
  return Append(kind, entry, std::move(created), false);
}

Answer<VersionPointer> ApiModel::Update(const kube::Resource& resource, Json object,
                                        const Write& write) {
  Kind& kind = KindOf(resource);
  auto entry = Existing(kind, kube::KeyOf(object));
  if (!entry) return tl::make_unexpected(entry.error());
  const VersionPointer before = (*entry)->history.back();
  auto stored = Store(kind, **entry, std::move(object), write);
  if (stored && !(*entry)->ownership.empty())
    (*entry)->ownership.Update(write.manager, before->object, (*stored)->object);
  return stored;
}

Answer<VersionPointer> ApiModel::MergePatch(const kube::Resource& resource, const kube::Key& key,
                                            const Json& patch, const Write& write) {
  Kind& kind = KindOf(resource);
  auto entry = Existing(kind, key);
  if (!entry) return tl::make_unexpected(entry.error());
  const VersionPointer before = (*entry)->history.back();
  Json next = before->object;
  MergePatchInto(next, patch);
  auto stored = Store(kind, **entry, std::move(next), write);
  if (stored && !(*entry)->ownership.empty())
    (*entry)->ownership.Update(write.manager, before->object, (*stored)->object);
  return stored;
}

Answer<VersionPointer> ApiModel::Apply(const kube::Resource& resource, const kube::Key& key,
                                       const Json& applied, const Write& write) {
  const std::string manager = write.manager + "/" + write.subresource + "/apply";
  Kind& kind = KindOf(resource);
  auto entry = Existing(kind, key);
  if (!entry) {
    if (!write.subresource.empty()) return tl::make_unexpected(entry.error());
    if (!kube::ResourceVersionOf(applied).empty() || !kube::UidOf(applied).empty())
      return Conflict(resource, key, "the object does not exist any more");
    auto created = Create(resource, applied, write);
    if (created && !write.dry_run)
      kind.entries[key].ownership.Apply(manager, Json::Object(), applied);
    return created;
  }
  FieldOwnership ownership = (*entry)->ownership;
  // Fields that were there before anybody applied have an owner as well: who wrote them.
  if (ownership.empty())
    ownership.Update("before-first-apply", Json(), (*entry)->Present()->object);
  Json merged = ownership.Apply(manager, (*entry)->Present()->object, applied);
  Json& metadata = merged.MutableAt("metadata");
  for (const char* name : {"resourceVersion", "uid"}) {
    if (const Json* sent = applied["metadata"].Find(name))
      metadata.Set(name, *sent);
    else
      metadata.Remove(name);
  }
  auto stored = Store(kind, **entry, std::move(merged), write);
  if (stored && !write.dry_run) (*entry)->ownership = std::move(ownership);
  return stored;
}

Answer<VersionPointer> ApiModel::Delete(const kube::Resource& resource, const kube::Key& key,
                                        const Removal& removal) {
  Kind& kind = KindOf(resource);
  auto entry = Existing(kind, key);
  if (!entry) return tl::make_unexpected(entry.error());
  Json object = (*entry)->Present()->object;
  if (!removal.uid.empty() && removal.uid != kube::UidOf(object))
    return Conflict(resource, key, "Precondition failed: UID in precondition: " + removal.uid);
  if (!removal.resource_version.empty() &&
      removal.resource_version != kube::ResourceVersionOf(object))
    return Conflict(
        resource, key,
        "Precondition failed: ResourceVersion in precondition: " + removal.resource_version);
  Json& metadata = object.MutableAt("metadata");
  bool waits = false;
  for (const Json& finalizer : metadata["finalizers"].Items())
    waits |= finalizer.StringRef() == kForeground;
  if (removal.foreground && !waits) metadata.MutableAt("finalizers").Append(kForeground);
  if (metadata["finalizers"].Empty()) return Append(kind, **entry, std::move(object), true);
  if (kube::IsDeleting(object) && (waits || !removal.foreground)) return (*entry)->history.back();
  if (!kube::IsDeleting(object)) {
    metadata.Set("deletionTimestamp", FormatTime(clock_.WallNow()));
    metadata.Set("deletionGracePeriodSeconds", 0);
    if (CountsGenerations(resource)) metadata.Set("generation", metadata["generation"].AsInt() + 1);
  }
  return Append(kind, **entry, std::move(object), false);
}

// --- what a cluster's controllers do ------------------------------------------------------------

std::vector<ApiModel::Chore> ApiModel::FindGarbage() const {
  struct Known {
    std::string_view kind;
    kube::Key key;
    bool goes_after_dependents = false;
    bool has_dependents = false;
    bool is_blocked = false;
  };
  std::map<std::string, Known> known;  // By uid.
  ForEach([&known](const kube::Resource& resource, const Json& object) {
    Known& one = known[kube::UidOf(object)];
    one.kind = resource.kind;
    one.key = kube::KeyOf(object);
    one.goes_after_dependents = kube::IsDeleting(object) && kube::HasFinalizer(object, kForeground);
    for (const Json& owner : object["metadata"]["ownerReferences"].Items()) {
      Known& above = known[owner["uid"].AsString()];
      above.has_dependents = true;
      above.is_blocked |= owner["blockOwnerDeletion"].AsBool();
    }
  });
  std::vector<Chore> chores;
  ForEach([&](const kube::Resource& resource, const Json& object) {
    const kube::Key key = kube::KeyOf(object);
    const Known& self = known[kube::UidOf(object)];
    if (self.goes_after_dependents && !self.is_blocked)
      chores.push_back({Chore::kLetGo, resource, key, {}});
    const Json& owners = object["metadata"]["ownerReferences"];
    if (kube::IsDeleting(object) || owners.Empty()) return;
    Json left = Json::Array();
    bool is_waited_for = false;
    for (const Json& owner : owners.Items()) {
      const Known& above = known[owner["uid"].AsString()];
      // Looked for by its name, where the dependent is: one of another namespace is not there.
      const bool is_there = above.key.name == owner["name"].StringRef() &&
                            above.kind == owner["kind"].StringRef() &&
                            (above.key.ns.empty() || above.key.ns == key.ns);
      is_waited_for |= is_there && above.goes_after_dependents;
      if (is_there && !above.goes_after_dependents) left.Append(owner);
    }
    if (left.Empty())
      chores.push_back(
          {is_waited_for && self.has_dependents ? Chore::kDeleteInForeground : Chore::kDelete,
           resource,
           key,
           {}});
    else if (left.Size() < owners.Size())
      chores.push_back({Chore::kDisown, resource, key, std::move(left)});
  });
  return chores;
}

void ApiModel::Do(const Chore& chore) {
  if (chore.what == Chore::kDelete || chore.what == Chore::kDeleteInForeground) {
    const bool foreground = chore.what == Chore::kDeleteInForeground;
    static_cast<void>(Delete(chore.resource, chore.key, {.foreground = foreground}));
    return;
  }
  Json object = (*Get(chore.resource, chore.key))->object;
  Json& metadata = object.MutableAt("metadata");
  if (chore.what == Chore::kDisown) {
    metadata.Set("ownerReferences", chore.owners);
  } else {
    Json left = Json::Array();
    for (const Json& finalizer : metadata["finalizers"].Items())
      if (finalizer.StringRef() != kForeground) left.Append(finalizer);
    metadata.Set("finalizers", std::move(left));
  }
  static_cast<void>(Update(chore.resource, object, {.manager = "garbage-collector"}));
}

bool ApiModel::CollectGarbage() {
  if (!may_be_garbage_) return false;
  const std::vector<Chore> chores = FindGarbage();
  for (const Chore& chore : chores) Do(chore);
  if (chores.empty()) may_be_garbage_ = false;
  return !chores.empty();
}

void ApiModel::Compact() {
  compacted_ = version_;
  for (Kind& kind : kinds_) {
    kind.log.clear();
    for (auto& [key, entry] : kind.entries)
      if (entry.history.size() > 1)
        entry.history.erase(entry.history.begin(), entry.history.end() - 1);
  }
}

}  // namespace cutover::sim
