// SPDX-License-Identifier: Apache-2.0
#include "mover/clone.h"

#include <openssl/evp.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "mover/cli/flags.h"
#include "mover/cli/rate_signals.h"
#include "mover/cli/verb.h"
#include "mover/copy/throttle.h"
#include "mover/dry_run.h"
#include "mover/process/source_snapshot.h"
#include "mover/process/throttle_watch.h"
#include "operator/base/check.h"
#include "postgres/snapshot.h"

namespace cutover::mover::cli {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(30);

constexpr char kExamples[] =
    "EXAMPLES\n"
    "  Copy a database to another server, where it is created, and prove the copy:\n"
    "    cutover-mover clone --source postgresql://admin@old/shop --target "
    "postgresql://admin@new/postgres \\\n"
    "      --database shop --jobs 4 --report shop.txt\n"
    "  Under another name, owned by another role, without an event trigger that cannot come "
    "along:\n"
    "    cutover-mover clone --source … --target … --database shop_test --map-role shop=shop_test "
    "\\\n"
    "      --accept \"EVENT TRIGGER tell\"\n"
    "  The source is only read. The copy opens to its users when it is proven, not before; a run\n"
    "  that was interrupted is repeated by the same command.";

/// The same for the same move, so that a run recognizes what an interrupted one has left.
std::string UidOfMove(const pg::ConnectOptions& source, const pg::ConnectOptions& target) {
  const std::string text = source.Describe() + " " + target.Describe();
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(EVP_Digest(text.data(), text.size(), hash, &size, EVP_sha256(), nullptr) == 1);
  std::string uid = "cli-";
  for (int i = 0; i < 8; ++i) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned>(hash[i]));
    uid += pair;
  }
  return uid;
}

class CloneVerb : public Verb {
 public:
  explicit CloneVerb(CLI::App& app)
      : Verb(app.add_subcommand("clone", "Copy a database and prove the copy")) {
    AddSidesFlags();
    AddFidelityFlags();
    AddFollowFlag();
    AddThrottleFlags();
    AddJobsFlag(*command(), jobs_);
    AddLockFlag(*command(), lock_seconds_max_);
    comparison_.AddTo(*command());
    command()->footer(std::string(kExamples) + "\n" + kConnectionsHelp + "\n" + kExitCodesHelp);
  }

  Outcome Run(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) override {
    if (dry_run_) return Plan(stop, programs);
    return OutcomeOfReport(stop, "Clone", Copy(stop, programs, reporter), comparison_.report_file);
  }

 private:
  void AddSidesFlags() {
    command()->add_option("--source", source_, "The database to copy")->required();
    command()
        ->add_option("--target", target_, "An admin database of the target's server")
        ->required();
    command()->add_option("--database", database_, "Name of the copy")->required();
    command()->add_flag(
        "--existing", existing_,
        "The database was created already and is empty; leave owner and access to others");
  }

  void AddFollowFlag() {
    command()
        ->add_option(
            "--slot", slot_,
            "Advanced: make a logical replication slot (pgoutput) of this name on the "
            "source and copy under its snapshot, while users write. It stays when the copy "
            "is proven, for a subscription of your own: docs/following.md")
        ->needs("--existing");  // Nobody but the stream may write to the copy.
  }

  /// What may differ between source and copy.
  void AddFidelityFlags() {
    command()->add_option("--archive", archive_,
                          "A directory that takes an archive of the excluded tables' rows, which "
                          "pg_restore reads");
  }

  /// How much of the source's server the copy may take.
  void AddThrottleFlags() {
    command()
        ->add_option("--max-rate", rate_mebibytes_per_second_,
                     "MiB a second that are read from the source at most; SIGUSR1 halves it while "
                     "the copy runs, SIGUSR2 doubles it (default: no limit)")
        ->check(CLI::NonNegativeNumber);
    command()->add_option("--throttle-query", throttle_query_,
                          "SQL that is asked on the source once a second; the copy stands still "
                          "while its first value is true or not 0");
    command()->add_flag("--dry-run", dry_run_,
                        "Print what would be copied, in which order and parts, and how long "
                        "reading takes at least; write nothing");
  }

  Outcome Plan(std::stop_token stop, const PgPrograms& programs) {
    auto plan = [&]() -> Result<Json> {
      TRY_ASSIGN(const CloneOptions options, Options());
      return PlanClone(stop, programs, options);
    };
    Result<Json> planned = plan();
    if (!planned) return OutcomeOf(stop, "Plan", planned.error());
    return {kExitProven, std::move(*planned)};
  }

  Result<CloneOptions> Options() const {
    CloneOptions options;
    TRY_ASSIGN(options.source, ParseConnection(source_, kSourcePasswordVariable));
    TRY_ASSIGN(pg::ConnectOptions admin, ParseConnection(target_, kTargetPasswordVariable));
    options.target = admin.WithDatabase(database_);
    if (!existing_) options.admin = admin;
    options.migration_uid = UidOfMove(options.source, options.target);
    options.jobs = jobs_;
    options.lock_seconds_max = lock_seconds_max_;
    options.exclude_tables = comparison_.exclude_tables;
    options.archive_directory = archive_;
    options.accept = comparison_.accept;
    TRY_ASSIGN(options.role_names, ParseRoleNames(comparison_.role_names));
    options.level = comparison_.Level();
    options.verification_seconds_max = comparison_.seconds_max;
    return options;
  }

  Result<Report> Copy(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) {
    TRY_ASSIGN(CloneOptions options, Options());
    Throttle throttle;
    options.throttle = &throttle;
    const RateSignals rate(int64_t{rate_mebibytes_per_second_} << 20);
    const ThrottleWatch::ReadSettings settings = [&]() -> std::optional<ThrottleSettings> {
      return ThrottleSettings{rate.rate(), throttle_query_};
    };
    TRY_ASSIGN(auto watch,
               ThrottleWatch::Start(stop, options.source, *settings(), settings, throttle));
    if (slot_.empty()) return CloneDatabase(stop, programs, options, reporter);
    return CopyFollowed(stop, programs, std::move(options), reporter);
  }

  /// The slot is left to whoever follows the copy, if that is proven.
  Result<Report> CopyFollowed(std::stop_token stop, const PgPrograms& programs,
                              CloneOptions options, Reporter& reporter) {
    SourceSnapshot snapshot(options.source, {slot_, "", false});
    TRY(snapshot.Take(stop));
    options.followed = true;
    options.snapshot = snapshot.id();
    options.on_copied = [&snapshot] { snapshot.LetGo(); };
    options.confirm = [&](std::stop_token s) -> Status {
      const Deadline deadline = Deadline::After(kConnectTimeout);
      TRY_ASSIGN(pg::Connection source, pg::Connection::Open(s, deadline, options.source));
      return pg::CheckSlotUnread(s, deadline, source, slot_, snapshot.slot_begins_at());
    };
    TRY_ASSIGN(Report report, CloneDatabase(stop, programs, options, reporter));
    if (report.equal()) snapshot.KeepSlots();
    return report;
  }

  std::string source_;
  std::string target_;
  std::string database_;
  bool existing_ = false;
  std::string slot_;
  int rate_mebibytes_per_second_ = 0;
  std::string throttle_query_;
  bool dry_run_ = false;
  std::string archive_;
  int jobs_ = 2;
  int lock_seconds_max_ = kLockSecondsMax;
  ComparisonFlags comparison_;
};

}  // namespace

std::unique_ptr<Verb> MakeCloneVerb(CLI::App& app) { return std::make_unique<CloneVerb>(app); }

}  // namespace cutover::mover::cli
