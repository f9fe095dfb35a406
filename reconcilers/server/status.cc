// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/server/status.h"

#include <array>
#include <string>
#include <string_view>

#include "reconcilers/server/progress.h"

namespace cutover::server {
namespace {

using api::ConditionStatus;

constexpr char kReady[] = "Ready";

// Whether the server is fit for use, and whose move it is if not.
struct Verdict {
  ConditionStatus ready = ConditionStatus::kFalse;
  Progress progress = Progress::kStalled;
  std::string reason;
  std::string message;
};

// What is in the way of a connection, in the words of this resource.
struct Failure {
  std::string_view error_reason;
  std::string_view reason;
  Progress progress;
  std::string_view remedy;  ///< Empty where the error's own message says what to do.
};

constexpr std::string_view kSeeThatItRuns =
    "see that the server runs, that spec.endpoint leads to it, and that nothing in between refuses "
    "the operator";

constexpr std::array kFailures{
    Failure{"SecretMissing", "SecretMissing", Progress::kReconciling, ""},
    Failure{"SecretKeyMissing", "SecretKeyMissing", Progress::kReconciling, ""},
    Failure{"ConnectionFailed", "Unreachable", Progress::kReconciling, kSeeThatItRuns},
    Failure{"ConnectionLost", "Unreachable", Progress::kReconciling, kSeeThatItRuns},
    Failure{"DeadlineExceeded", "Unreachable", Progress::kReconciling, kSeeThatItRuns},
    Failure{"Stopped", "Unreachable", Progress::kReconciling, kSeeThatItRuns},
    Failure{"ServerStarting", "ServerStarting", Progress::kReconciling,
            "it is asked again until it has started"},
    Failure{"TlsFailed", "TlsFailed", Progress::kStalled,
            "correct spec.endpoint.sslMode or host, or the CA in the Secret of "
            "spec.endpoint.caSecretRef"},
    Failure{"AuthenticationFailed", "AuthenticationFailed", Progress::kStalled,
            "correct username and password in the Secret of spec.adminSecretRef, or the server's "
            "pg_hba.conf"},
    Failure{"InsufficientPrivilege", "PrivilegesMissing", Progress::kStalled,
            "give the role of spec.adminSecretRef what the server says it lacks"},
};

Verdict VerdictOf(const Error& error) {
  for (const Failure& failure : kFailures)
    if (failure.error_reason == error.reason)
      return {ConditionStatus::kFalse, failure.progress, std::string(failure.reason),
              error.message + (failure.remedy.empty() ? "" : ": " + std::string(failure.remedy))};
  const Progress progress =
      error.disposition == Disposition::kTerminal ? Progress::kStalled : Progress::kReconciling;
  return {ConditionStatus::kFalse, progress, error.reason, error.message};
}

std::string Grants(const std::vector<pg::MissingPrivilege>& missing) {
  std::string text;
  for (const pg::MissingPrivilege& privilege : missing)
    text += (text.empty() ? "" : "; ") + privilege.privilege + ": " + privilege.remedy;
  return text;
}

bool IsAnotherServer(const api::DatabaseServerStatus& known, const pg::ServerFacts& facts) {
  return !known.system_identifier.empty() && known.system_identifier != facts.system_identifier;
}

Verdict VerdictOf(const api::DatabaseServer& server, const pg::ServerFacts& facts) {
  if (IsAnotherServer(server.status, facts))
    return {ConditionStatus::kFalse, Progress::kStalled, "IdentityChanged",
            "the endpoint now leads to another PostgreSQL cluster (system identifier " +
                facts.system_identifier + ", known as " + server.status.system_identifier +
                "): correct spec.endpoint, or, if the server was replaced on purpose, delete this "
                "DatabaseServer and create it anew"};
  if (facts.in_recovery)
    return {ConditionStatus::kFalse, Progress::kStalled, "StandbyServer",
            "the endpoint leads to a standby: let it lead to the primary"};
  if (!facts.missing_privileges.empty())
    return {ConditionStatus::kFalse, Progress::kStalled, "PrivilegesMissing",
            "the admin role lacks privileges; " + Grants(facts.missing_privileges)};
  return {ConditionStatus::kTrue, Progress::kSettled, kReady,
          "PostgreSQL " + facts.version + " answers, and the admin role may do what a move needs"};
}

void RecordFacts(const pg::ServerFacts& facts, api::DatabaseServerStatus& status) {
  status.version = facts.version;
  status.system_identifier = facts.system_identifier;
  status.timeline = facts.timeline;
  status.wal_level = facts.wal_level;
  status.tenants = static_cast<int64_t>(facts.tenants.size());
  status.connections = SettledFigure(status.connections, facts.connections_used);
  status.connections_max = facts.connections_max;
}

api::Condition ReplicationCondition(const pg::ServerFacts& facts, int64_t generation) {
  if (facts.replication_obstacles.empty())
    return {"LogicalReplicationReady",
            ConditionStatus::kTrue,
            kReady,
            "logical replication is set up",
            generation,
            std::nullopt};
  std::string obstacles;
  for (const std::string& obstacle : facts.replication_obstacles)
    obstacles += (obstacles.empty() ? "" : "; ") + obstacle;
  return {"LogicalReplicationReady",
          ConditionStatus::kFalse,
          "NotConfigured",
          obstacles,
          generation,
          std::nullopt};
}

}  // namespace

api::DatabaseServerStatus DecideStatus(const api::DatabaseServer& server,
                                       const Result<pg::ServerFacts>& probe, WallTime now) {
  const int64_t generation = server.meta.generation;
  api::DatabaseServerStatus status = server.status;
  status.observed_generation = generation;
  const Verdict verdict = probe ? VerdictOf(server, *probe) : VerdictOf(probe.error());
  status.conditions.Set(
      {kReady, verdict.ready, verdict.reason, verdict.message, generation, std::nullopt}, now);
  if (probe && !IsAnotherServer(server.status, *probe)) {
    RecordFacts(*probe, status);
    status.conditions.Set(ReplicationCondition(*probe, generation), now);
  } else {
    status.conditions.Set(
        {"LogicalReplicationReady", ConditionStatus::kUnknown, "NotProbed",
         "the server could not be probed; see condition Ready", generation, std::nullopt},
        now);
  }
  SetProgress(verdict.progress, verdict.reason, verdict.message, generation, now,
              status.conditions);
  return status;
}

}  // namespace cutover::server
