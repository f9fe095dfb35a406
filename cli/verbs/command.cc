// SPDX-License-Identifier: Apache-2.0
#include "cli/view/command.h"

#include <string>
#include <thread>

#include "cli/console.h"
#include "cli/verbs/verb.h"
#include "cli/view/phases.h"
#include "operator/api/tenant_migration.h"
#include "operator/base/random.h"
#include "operator/kube/error.h"

namespace cutover::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookInterval{300};
// A copy writes its status every two seconds; so many conflicts in a row are not bad luck.
constexpr int kWriteAttemptsMax = 20;

// What the person at the terminal says beside the name.
struct CommandFlags {
  std::string name;
  std::string timeout = "60s";
  bool yes = false;
  bool no_wait = false;
  bool accept_data_loss = false;
};

void AddFlags(CLI::App& command, CommandFlags& flags) {
  command.add_option("NAME", flags.name, "TenantMigration")->required();
  command.add_option("--timeout", flags.timeout, "How long to wait for the operator's answer")
      ->capture_default_str();
  command.add_flag("--no-wait", flags.no_wait, "Do not wait for the operator's answer");
}

// Looks until `decide` has something to say about the migration; nothing at the deadline.
template <class Decide>
Result<std::optional<Outcome>> Await(const Cluster& cluster, const std::string& name,
                                     Deadline deadline, Decide decide) {
  while (true) {
    Result<Json> object = cluster.Get(kube::kTenantMigration, name);
    if (object) {
      if (std::optional<Outcome> outcome = decide(ViewOf(*object))) return outcome;
    } else if (object.error().disposition == Disposition::kTerminal) {
      return tl::make_unexpected(std::move(object).error());
    }
    if (deadline.Expired()) return std::optional<Outcome>();
    std::this_thread::sleep_for(kLookInterval);
  }
}

ExitCode Tell(const std::optional<Outcome>& outcome, const CommandFlags& flags,
              const Cluster& cluster) {
  if (!outcome) {
    Note("the operator has not answered within " + flags.timeout +
         "; the command stands, and is taken up when it does. Is it up? kubectl cutover status " +
         flags.name + " -n " + cluster.ns());
    return kExitTimedOut;
  }
  if (outcome->done)
    Print(outcome->text + "\n");
  else
    Note(outcome->text);
  return outcome->done ? kExitGood : kExitAsksYou;
}

class CommandVerb : public Verb {
 public:
  CommandVerb(CLI::App& app, Command given, const char* purpose, const char* examples)
      : Verb(app, std::string(Name(given)).c_str(), purpose, examples), given_(given) {
    AddFlags(*command(), flags_);
    if (given != Command::kRetry)
      command()->add_flag("-y,--yes", flags_.yes, "Do not ask; whoever gives it knows");
    if (given == Command::kRollback)
      command()->add_flag("--accept-data-loss", flags_.accept_data_loss,
                          "Also where users' writes since the switch would be lost");
  }

  Result<ExitCode> Run(const ClusterFlags& where) override {
    TRY_ASSIGN(const std::chrono::seconds patience, ParseSpan(flags_.timeout));
    TRY_ASSIGN(const Cluster cluster, Cluster::Connect(where));
    TRY_ASSIGN(const std::string later, Give(cluster));
    Print(std::string(Name(given_)) + " given to " + cluster.ns() + "/" + flags_.name + "\n");
    if (!later.empty()) {
      Print("not answered at once: " + later + "\n");
      return kExitGood;
    }
    if (flags_.no_wait) return kExitGood;
    TRY_ASSIGN(auto outcome, Await(cluster, flags_.name, Deadline::After(patience),
                                   [this](const MigrationView& migration) {
                                     return OutcomeOf(given_, migration, token_,
                                                      RealClock().WallNow());
                                   }));
    return Tell(outcome, flags_, cluster);
  }

 private:
  Status Ask(const Prospect& prospect) const {
    if (prospect.consequences.empty() || flags_.yes) return Ok();
    if (prospect.loses_writes)
      return Confirm(prospect.consequences,
                     "This cannot be undone. Write the migration's name to go on:", flags_.name);
    return Confirm(prospect.consequences, "Go on? [y/N]", "y");
  }

  // Writes the command on condition of the object that was looked at when it was confirmed: should
  // the phase change meanwhile, it is looked at, and confirmed, anew. Returns why it is not
  // answered at once, or an empty string.
  Result<std::string> Give(const Cluster& cluster) {
    std::string confirmed_phase = "none";
    for (int attempt = 0; attempt < kWriteAttemptsMax; ++attempt) {
      TRY_ASSIGN(const Json object, cluster.Get(kube::kTenantMigration, flags_.name));
      const MigrationView migration = ViewOf(object);
      const Prospect prospect =
          Foresee(given_, migration, flags_.accept_data_loss, RealClock().WallNow());
      if (!prospect.refusal.empty()) return TerminalError("Refused", prospect.refusal);
      if (migration.phase != confirmed_phase) TRY(Ask(prospect));
      confirmed_phase = migration.phase;
      if (token_.empty())
        token_ = prospect.standing_token.empty() ? NewToken(cluster) : prospect.standing_token;
      Result<Json> written =
          cluster.Patch(kube::kTenantMigration, flags_.name, PatchFor(migration, prospect));
      if (written) return prospect.later;
      if (!kube::IsConflict(written.error())) return tl::make_unexpected(written.error());
    }
    return RetryError("Conflict", flags_.name + " changes too often to be written to: try again");
  }

  Json PatchFor(const MigrationView& migration, const Prospect& prospect) const {
    Json annotations = Json::Object({{std::string(Annotation(given_)), token_}});
    if (prospect.loses_writes) annotations.Set(api::kAcceptDataLossAnnotation, token_);
    return Json::Object(
        {{"metadata", Json::Object({{"resourceVersion", migration.meta.resource_version},
                                    {"annotations", std::move(annotations)}})}});
  }

  // When, and by whom: what is asked once stays on record in the annotation and in status.handled.
  static std::string NewToken(const Cluster& cluster) {
    return FormatTime(RealClock().WallNow()) + " by " + cluster.WhoAmI() + " " + RandomHex(2);
  }

  const Command given_;
  CommandFlags flags_;
  std::string token_;
};

class SuspendVerb : public Verb {
 public:
  SuspendVerb(CLI::App& app, bool suspend, const char* purpose, const char* examples)
      : Verb(app, suspend ? "suspend" : "resume", purpose, examples), suspend_(suspend) {
    AddFlags(*command(), flags_);
  }

  Result<ExitCode> Run(const ClusterFlags& where) override {
    TRY_ASSIGN(const std::chrono::seconds patience, ParseSpan(flags_.timeout));
    TRY_ASSIGN(const Cluster cluster, Cluster::Connect(where));
    TRY_ASSIGN(const Json object, cluster.Get(kube::kTenantMigration, flags_.name));
    const MigrationView before = ViewOf(object);
    if (IsEnd(before.phase))
      return TerminalError("Refused", before.FullName() + " is over (" + before.phase + ")");
    TRY_ASSIGN(const Json written,
               cluster.Patch(kube::kTenantMigration, flags_.name,
                             Json::Object({{"spec", Json::Object({{"suspend", suspend_}})}})));
    if (flags_.no_wait) return kExitGood;
    const int64_t generation = written.At({"metadata", "generation"}).AsInt();
    TRY_ASSIGN(auto outcome, Await(cluster, flags_.name, Deadline::After(patience),
                                   [&](const MigrationView& migration) {
                                     return OutcomeOfChange(migration, generation);
                                   }));
    return Tell(outcome, flags_, cluster);
  }

 private:
  std::optional<Outcome> OutcomeOfChange(const MigrationView& migration, int64_t generation) const {
    if (migration.observed_generation < generation) return std::nullopt;
    const std::string where = migration.FullName() + ", " + migration.phase;
    if (!suspend_) return Outcome{true, "goes on: " + where};
    if (migration.ReadyReason() == "Suspended") return Outcome{true, "held: " + where};
    if (migration.phase == Name(api::Phase::kPending) ||
        migration.phase == Name(api::Phase::kPreflight))
      return Outcome{true, "goes no further than Preflight: " + where};
    return Outcome{true, "taken up, but not held yet: " + where +
                             " is not held up, since users are stopped or it is going back"};
  }

  const bool suspend_;
  CommandFlags flags_;
};

}  // namespace

std::unique_ptr<Verb> MakeApproveVerb(CLI::App& app) {
  return std::make_unique<CommandVerb>(
      app, Command::kApprove, "Let the users be stopped, where spec.cutover.approval is Manual",
      "    kubectl cutover approve acme-to-dedicated -n acme\n"
      "  In a pipeline, without a question:\n"
      "    kubectl cutover approve acme-to-dedicated -n acme --yes --timeout 2m");
}

std::unique_ptr<Verb> MakeAbortVerb(CLI::App& app) {
  return std::make_unique<CommandVerb>(app, Command::kAbort,
                                       "Undo everything, before the users are switched",
                                       "    kubectl cutover abort acme-to-dedicated -n acme");
}

std::unique_ptr<Verb> MakeRollbackVerb(CLI::App& app) {
  return std::make_unique<CommandVerb>(
      app, Command::kRollback, "Go back to the source, after the users were switched",
      "    kubectl cutover rollback acme-to-dedicated -n acme\n"
      "  Where nothing carries users' writes back, and staying would be worse:\n"
      "    kubectl cutover rollback acme-to-dedicated -n acme --accept-data-loss");
}

std::unique_ptr<Verb> MakeRetryVerb(CLI::App& app) {
  return std::make_unique<CommandVerb>(app, Command::kRetry,
                                       "Try a migration again that has failed or was aborted",
                                       "    kubectl cutover retry acme-to-dedicated -n acme");
}

std::unique_ptr<Verb> MakeSuspendVerb(CLI::App& app) {
  return std::make_unique<SuspendVerb>(app, true,
                                       "Hold a migration before its next phase, while users work",
                                       "    kubectl cutover suspend acme-to-dedicated -n acme");
}

std::unique_ptr<Verb> MakeResumeVerb(CLI::App& app) {
  return std::make_unique<SuspendVerb>(app, false, "Let a suspended migration go on",
                                       "    kubectl cutover resume acme-to-dedicated -n acme");
}

}  // namespace cutover::cli
