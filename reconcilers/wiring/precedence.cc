// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/precedence.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <set>

#include "reconcilers/wiring/edit.h"
#include "reconcilers/wiring/environment.h"
#include "reconcilers/wiring/pod_template.h"
#include "reconcilers/wiring/service.h"

namespace cutover::wiring {
namespace {

// Who reads a variable, which decides what it may override.
enum class Reader {
  kLibpq,          // Every libpq program; Odoo 19 before its file; Doodba to write its file.
  kOdoo,           // Odoo 19 itself, before its file.
  kOfficialImage,  // odoo/docker's entry point, for keys that the file leaves out.
  kBitnamiImage,   // At the first start on an empty volume only.
};

struct KnownVariable {
  std::string_view name;
  bool is_port;
  Reader reader;
};

constexpr std::array kKnownVariables{
    KnownVariable{"PGHOST", false, Reader::kLibpq},
    KnownVariable{"PGHOSTADDR", false, Reader::kLibpq},
    KnownVariable{"PGPORT", true, Reader::kLibpq},
    KnownVariable{"PGHOST_REPLICA", false, Reader::kOdoo},
    KnownVariable{"PGPORT_REPLICA", true, Reader::kOdoo},
    KnownVariable{"HOST", false, Reader::kOfficialImage},
    KnownVariable{"DB_PORT_5432_TCP_ADDR", false, Reader::kOfficialImage},
    KnownVariable{"PORT", true, Reader::kOfficialImage},
    KnownVariable{"DB_PORT_5432_TCP_PORT", true, Reader::kOfficialImage},
    KnownVariable{"ODOO_DATABASE_HOST", false, Reader::kBitnamiImage},
    KnownVariable{"ODOO_DATABASE_PORT_NUMBER", true, Reader::kBitnamiImage},
};

const KnownVariable* FindKnown(std::string_view name) {
  for (const KnownVariable& known : kKnownVariables)
    if (known.name == name) return &known;
  return nullptr;
}

// One container under inspection, and all that its verdicts rest on.
struct Inspection {
  const api::DatabasePlacement& placement;
  const Sides& sides;
  ObjectName workload;
  std::string container;
  std::vector<Variable> variables;
  std::vector<Finding>& findings;

  std::string Where() const {
    return workload.kind + " " + workload.name + ", container " + container;
  }
  void Report(Severity severity, const char* reason, const std::string& what) {
    findings.push_back({severity, reason, Where() + ": " + what});
  }
  const api::Connection& connection() const { return placement.spec.connection; }

  bool IsOwnService(const std::string& host) const {
    const std::string& service = connection().service_name;
    return !service.empty() && SameHost(host, service, placement.meta.namespace_name);
  }
  bool IsSource(const std::string& host) const {
    return SameHost(host, sides.source.host, placement.meta.namespace_name);
  }
};

// Whether the placement's wiring already takes care of the variable.
bool IsWired(const Inspection& at, const Variable& variable) {
  for (const api::WiringEnv& env : at.connection().env) {
    if (env.workload.kind != at.workload.kind || env.workload.name != at.workload.name ||
        env.container != at.container)
      continue;
    if (variable.name == env.host || variable.name == env.port) return true;
  }
  const auto& secret = at.connection().secret;
  if (!secret || variable.origin_kind != "Secret" || variable.origin_name != secret->name)
    return false;
  const std::string& key = variable.origin_key;
  return !key.empty() &&
         (key == secret->host_key || key == secret->port_key || key == secret->uri_key);
}

bool IsOdoo(const Inspection& at) { return at.placement.spec.profile == api::ProfileType::kOdoo; }

// Whether a variable that nobody takes care of would lead the tenant to the source.
bool Overrides(const Inspection& at, const KnownVariable& known, const Variable& variable) {
  if (known.is_port) {
    if (!at.sides.target || !variable.value) return false;
    if (*variable.value == std::to_string(at.sides.target->port)) return false;
    // Only where the port of the Service is not what it should say anyway.
    if (*variable.value == std::to_string(kServicePort) && !at.connection().service_name.empty())
      return false;
  } else {
    if (variable.value && (variable.value->empty() || at.IsOwnService(*variable.value)))
      return false;
    // A database of somebody else's is none of our business, unless it beats Odoo's own file.
    const bool beats_file = IsOdoo(at) && known.reader != Reader::kOfficialImage;
    if (variable.value && !at.IsSource(*variable.value) && !beats_file) return false;
  }
  switch (known.reader) {
    case Reader::kLibpq:
      return true;
    case Reader::kOdoo:
      return IsOdoo(at);
    case Reader::kOfficialImage:
      // A key in the file wins, and db_host and db_port are always put there.
      return IsOdoo(at) && at.connection().config_files.empty();
    case Reader::kBitnamiImage:
      return false;  // See InspectBitnami.
  }
  return false;
}

std::string Remedy(const Variable& variable) {
  if (variable.literal) return "name it in spec.connection.env, or remove it from the container";
  if (variable.origin_kind == "Secret")
    return "it comes from Secret " + variable.origin_name + ", key " + variable.origin_key +
           ": name that in spec.connection.secret, or remove the variable";
  return "it comes from elsewhere: remove it, or let it name the Service of "
         "spec.connection.service";
}

bool Mentions(const std::string& value, const std::string& host) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(value.begin(), value.end(), host.begin(), host.end(), same) != value.end();
}

void InspectVariables(Inspection& at) {
  for (const Variable& variable : at.variables) {
    if (IsWired(at, variable)) continue;
    const KnownVariable* known = FindKnown(variable.name);
    if (known != nullptr && Overrides(at, *known, variable)) {
      at.Report(Severity::kBlocking, "EnvironmentOverridesWiring",
                "variable " + variable.name +
                    " is not part of the wiring and would lead the tenant elsewhere after the "
                    "move (Odoo 19 and libpq prefer it to a file): " +
                    Remedy(variable));
    } else if (variable.value && Mentions(*variable.value, at.sides.source.host)) {
      at.Report(Severity::kWarning, "SourceNamedElsewhere",
                "variable " + variable.name + " names the present server " + at.sides.source.host +
                    " and will go on doing so: if it is what the workload "
                    "connects by, " +
                    Remedy(variable));
    }
  }
}

// Words of command and arguments; a shell's script counts word by word.
std::vector<std::string> WordsOf(const Json& container) {
  std::vector<std::string> words;
  for (const char* list : {"command", "args"}) {
    for (const Json& argument : container[list].Items()) {
      const std::string text = argument.AsString();
      size_t begin = text.find_first_not_of(" \t\n\"'");
      while (begin != std::string::npos) {
        const size_t end = std::min(text.find_first_of(" \t\n\"'", begin), text.size());
        words.push_back(text.substr(begin, end - begin));
        begin = text.find_first_not_of(" \t\n\"'", end);
      }
    }
  }
  return words;
}

// What an argument says in the end: "$(NAME)", "$NAME" and "${NAME}" are looked up. Nothing when
// that is not known, true in `wired` when the wiring takes care of the variable.
std::optional<std::string> Expand(const Inspection& at, const std::string& text, bool& wired) {
  if (text.empty() || text.front() != '$') return text;
  const size_t begin = text.find_first_not_of("$({");
  const size_t end = std::min(text.find_first_of(")}", 1), text.size());
  const std::string name =
      begin == std::string::npos || begin >= end ? "" : text.substr(begin, end - begin);
  for (const Variable& variable : at.variables) {
    if (variable.name != name) continue;
    wired = IsWired(at, variable);
    return variable.value;
  }
  return std::nullopt;
}

void InspectArguments(Inspection& at, const Json& container) {
  if (!IsOdoo(at)) return;
  const std::vector<std::string> words = WordsOf(container);
  for (size_t i = 0; i < words.size(); ++i) {
    for (const char* option :
         {"--db_host", "--db_port", "--db_replica_host", "--db_replica_port"}) {
      const std::string name = option;
      std::string text;
      if (words[i] == name && i + 1 < words.size())
        text = words[i + 1];
      else if (words[i].starts_with(name + "="))
        text = words[i].substr(name.size() + 1);
      else
        continue;
      bool wired = false;
      const std::optional<std::string> value = Expand(at, text, wired);
      const bool follows_service =
          value && (name.ends_with("host") ? at.IsOwnService(*value)
                                           : *value == std::to_string(kServicePort) &&
                                                 !at.connection().service_name.empty());
      if (wired || follows_service) continue;
      at.Report(Severity::kBlocking, "ArgumentOverridesWiring",
                "argument " + name +
                    " beats every file and variable, and the operator does not edit arguments: "
                    "remove it and set the same in the environment or odoo.conf, or let it name "
                    "the Service of spec.connection.service");
    }
  }
}

const Variable* Find(const Inspection& at, std::string_view name) {
  for (const Variable& variable : at.variables)
    if (variable.name == name) return &variable;
  return nullptr;
}

bool IsSwitchedOn(const Inspection& at, std::string_view name) {
  const Variable* variable = Find(at, name);
  if (variable == nullptr || !variable->value) return false;
  const std::string& value = *variable->value;
  return value == "yes" || value == "true" || value == "1";
}

void InspectBitnami(Inspection& at, const Json& container) {
  const std::string image = container["image"].AsString();
  const Variable* host = Find(at, "ODOO_DATABASE_HOST");
  const bool bitnami =
      (image.find("bitnami") != std::string::npos && image.find("odoo") != std::string::npos) ||
      host != nullptr;
  if (!IsOdoo(at) || !bitnami) return;
  std::string missing;
  for (const char* name : {"ODOO_SKIP_BOOTSTRAP", "ODOO_SKIP_MODULES_UPDATE"})
    if (!IsSwitchedOn(at, name)) missing += (missing.empty() ? "" : " and ") + std::string(name);
  if (!missing.empty())
    at.Report(Severity::kWarning, "ModulesUpdatedAtStart",
              "Bitnami's image updates all modules at every start, which can take half an hour "
              "of closed doors and changes the database: set " +
                  missing + " to \"yes\"");
  if (host != nullptr && IsWired(at, *host) && at.connection().service_name.empty() &&
      at.connection().config_files.empty())
    at.Report(Severity::kBlocking, "EnvironmentIgnored",
              "Bitnami's image reads ODOO_DATABASE_HOST only while its volume is empty; after that "
              "the odoo.conf on the volume decides: let that file name a Service of "
              "spec.connection.service, whose name never changes");
}

void InspectEnvItem(const api::WiringEnv& env, const Objects& objects,
                    std::vector<Finding>& findings) {
  const std::string where = env.workload.kind + " " + env.workload.name;
  auto workload = objects.find({env.workload.kind, env.workload.name});
  const Json* container =
      workload == objects.end() ? nullptr : FindContainer(workload->second, env.container);
  if (container == nullptr) {
    findings.push_back({Severity::kBlocking, "ContainerNotFound",
                        where + " has no container " + env.container +
                            ", which spec.connection.env names: correct the name"});
    return;
  }
  for (const std::string* name : {&env.host, &env.port, &env.user, &env.password}) {
    if (name->empty()) continue;
    const Json* entry = FindVariable(*container, *name);
    if (entry == nullptr || !entry->Contains("valueFrom")) continue;
    // A password or user that comes from a Secret moves with the tenant's role: it stays right.
    if (name == &env.user || name == &env.password) continue;
    findings.push_back({Severity::kBlocking, "EnvironmentNotChangeable",
                        where + ", container " + env.container + ": variable " + *name +
                            " takes its value from elsewhere: name that Secret in "
                            "spec.connection.secret instead, or give the variable a literal "
                            "value"});
  }
}

// An item that says the host but leaves the port to a default cannot follow to another port.
void InspectPorts(const api::DatabasePlacement& placement, const Objects& objects,
                  const Sides& sides, std::vector<Finding>& findings) {
  if (!sides.target || sides.target->port == sides.source.port) return;
  if (!placement.spec.connection.service_name.empty()) return;
  const auto report = [&](const std::string& what) {
    findings.push_back({Severity::kBlocking, "PortNotWired",
                        what + " says a host but no port, and the target listens on port " +
                            std::to_string(sides.target->port) + ", not " +
                            std::to_string(sides.source.port) +
                            ": name its port in spec.connection as well"});
  };
  const api::Connection& connection = placement.spec.connection;
  if (connection.secret && !connection.secret->host_key.empty() &&
      connection.secret->port_key.empty())
    report("Secret " + connection.secret->name);
  for (const api::WiringEnv& env : connection.env)
    if (!env.host.empty() && env.port.empty() &&
        objects.contains({env.workload.kind, env.workload.name}))
      report(env.workload.kind + " " + env.workload.name + ", container " + env.container);
}

bool IsEmpty(const api::Connection& connection) {
  return connection.service_name.empty() && !connection.secret && connection.config_files.empty() &&
         connection.env.empty();
}

void Collect(const Json& container, std::set<ObjectName>& names) {
  for (const Json& source : container["envFrom"].Items()) {
    if (source.Contains("secretRef"))
      names.insert({"Secret", source["secretRef"]["name"].AsString()});
    if (source.Contains("configMapRef"))
      names.insert({"ConfigMap", source["configMapRef"]["name"].AsString()});
  }
  for (const Json& entry : container["env"].Items()) {
    const Json& from = entry["valueFrom"];
    if (from.Contains("secretKeyRef"))
      names.insert({"Secret", from["secretKeyRef"]["name"].AsString()});
    if (from.Contains("configMapKeyRef"))
      names.insert({"ConfigMap", from["configMapKeyRef"]["name"].AsString()});
  }
}

Status ReadInto(std::stop_token stop, Deadline deadline, const Access& access,
                const std::string& ns, const ObjectName& name, Objects& objects) {
  const std::optional<kube::Resource> resource = ResourceOfKind(name.kind);
  if (!resource || objects.contains(name)) return Ok();
  TRY_ASSIGN(std::optional<Json> object,
             access.client.Get(stop, deadline, *resource, {ns, name.name}));
  if (object) objects.emplace(name, std::move(*object));
  return Ok();
}

// The placement's own reconciler makes it, and a move records where it leads before it changes it.
Result<std::vector<Finding>> FindServiceTrouble(std::stop_token stop, Deadline deadline,
                                                const Access& access,
                                                const api::DatabasePlacement& placement) {
  std::vector<Finding> findings;
  const std::string& name = placement.spec.connection.service_name;
  if (name.empty()) return findings;
  TRY_ASSIGN(const ServiceObservation service,
             ObserveService(stop, deadline, access.client, placement.meta.namespace_name, name));
  if (!service.obstacle.empty())
    findings.push_back({Severity::kBlocking, "ServiceNotOurs", service.obstacle});
  else if (!service.exists || !service.server)
    findings.push_back({Severity::kBlocking, "ServiceNotReady",
                        "Service " + name +
                            " does not lead to a server yet: the placement makes it, look at its "
                            "conditions if it does not"});
  return findings;
}

}  // namespace

std::vector<Finding> CheckPrecedence(const api::DatabasePlacement& placement,
                                     const Objects& objects, const Sides& sides) {
  std::vector<Finding> findings;
  if (IsEmpty(placement.spec.connection)) {
    findings.push_back({Severity::kBlocking, "NoWiring",
                        "spec.connection of the DatabasePlacement names nothing that tells the "
                        "workloads where their database is: name a service, secret, configFiles "
                        "or env, or a move would leave them at the source"});
    return findings;
  }
  for (const api::WiringEnv& env : placement.spec.connection.env)
    InspectEnvItem(env, objects, findings);
  InspectPorts(placement, objects, sides, findings);
  for (const api::ObjectRef& ref : placement.spec.workloads) {
    auto workload = objects.find({ref.kind, ref.name});
    if (workload == objects.end()) continue;
    for (const Json* container : ContainersOf(workload->second)) {
      Inspection at{placement,
                    sides,
                    {ref.kind, ref.name},
                    (*container)["name"].AsString(),
                    VariablesOf(*container, objects),
                    findings};
      InspectVariables(at);
      InspectArguments(at, *container);
      InspectBitnami(at, *container);
    }
  }
  return findings;
}

std::vector<ObjectName> EnvironmentSources(const Objects& workloads) {
  std::set<ObjectName> names;
  for (const auto& [name, workload] : workloads)
    for (const Json* container : ContainersOf(workload)) Collect(*container, names);
  return {names.begin(), names.end()};
}

Result<std::vector<Finding>> FindPrecedenceTraps(std::stop_token stop, Deadline deadline,
                                                 const Access& access,
                                                 const api::DatabasePlacement& placement,
                                                 const Sides& sides) {
  const std::string& ns = placement.meta.namespace_name;
  Objects objects;
  for (const api::ObjectRef& ref : placement.spec.workloads)
    TRY(ReadInto(stop, deadline, access, ns, {ref.kind, ref.name}, objects));
  for (const api::WiringEnv& env : placement.spec.connection.env)
    TRY(ReadInto(stop, deadline, access, ns, {env.workload.kind, env.workload.name}, objects));
  for (const ObjectName& name : EnvironmentSources(objects))
    TRY(ReadInto(stop, deadline, access, ns, name, objects));
  TRY_ASSIGN(std::vector<Finding> findings, FindServiceTrouble(stop, deadline, access, placement));
  for (Finding& trap : CheckPrecedence(placement, objects, sides))
    findings.push_back(std::move(trap));
  return findings;
}

}  // namespace cutover::wiring
