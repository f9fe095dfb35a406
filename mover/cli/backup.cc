// SPDX-License-Identifier: Apache-2.0
#include "mover/backup/backup.h"

#include <string>

#include "mover/cli/flags.h"
#include "mover/cli/verb.h"

namespace cutover::mover::cli {
namespace {

constexpr char kExamples[] =
    "EXAMPLES\n"
    "  cutover-mover backup --source postgresql://shop@old/shop --directory /backup/shop --jobs 2\n"
    "  cutover-mover backup --check /backup/shop";

class BackupVerb : public Verb {
 public:
  explicit BackupVerb(CLI::App& app)
      : Verb(app.add_subcommand("backup", "Take a backup, or check one")) {
    auto* check =
        command()->add_option("--check", check_directory_, "Read a backup to its last byte");
    auto* directory = command()->add_option("--directory", directory_, "Where the backup will be");
    auto* source = command()->add_option("--source", source_, "The database to back up");
    source->needs(directory)->excludes(check);
    directory->needs(source)->excludes(check);
    command()->add_option("--migration-uid", migration_uid_,
                          "Whose backup it is; one of the same is not taken twice");
    AddJobsFlag(*command(), jobs_);
    AddLockFlag(*command(), lock_seconds_max_);
    command()->callback([this] {
      if (check_directory_.empty() && directory_.empty())
        throw CLI::RequiredError("--check, or --source and --directory");
    });
    command()->footer(std::string(kExamples) + "\n" + kConnectionsHelp + "\n" + kExitCodesHelp);
  }

  Outcome Run(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) override {
    Result<Manifest> manifest = check_directory_.empty()
                                    ? Take(stop, programs, reporter)
                                    : CheckBackup(stop, programs, check_directory_);
    if (!manifest) return OutcomeOf(stop, "Backup", manifest.error());
    return {kExitProven, EncodeManifest(*manifest)};
  }

 private:
  Result<Manifest> Take(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) {
    BackupOptions options;
    TRY_ASSIGN(options.source, ParseConnection(source_, kSourcePasswordVariable));
    options.directory = directory_;
    options.migration_uid = migration_uid_;
    options.jobs = jobs_;
    options.lock_seconds_max = lock_seconds_max_;
    return TakeBackup(stop, programs, options, reporter);
  }

  std::string source_;
  std::string directory_;
  std::string check_directory_;
  std::string migration_uid_;
  int jobs_ = 2;
  int lock_seconds_max_ = kLockSecondsMax;
};

}  // namespace

std::unique_ptr<Verb> MakeBackupVerb(CLI::App& app) { return std::make_unique<BackupVerb>(app); }

}  // namespace cutover::mover::cli
