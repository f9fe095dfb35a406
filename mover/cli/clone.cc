// SPDX-License-Identifier: Apache-2.0
#include "mover/clone.h"

#include <openssl/evp.h>

#include <cstdio>
#include <string>
#include <vector>

#include "mover/cli/flags.h"
#include "mover/cli/verb.h"
#include "operator/base/check.h"

namespace cutover::mover::cli {
namespace {

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
    AddJobsFlag(*command(), jobs_);
    comparison_.AddTo(*command());
    command()->footer(std::string(kExamples) + "\n" + kConnectionsHelp + "\n" + kExitCodesHelp);
  }

  Outcome Run(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) override {
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

  /// What may differ between source and copy.
  void AddFidelityFlags() {
    command()->add_option("--accept", accept_,
                          "An object that may stay behind, as the refusal names it; may be given "
                          "several times");
    command()->add_option("--map-role", role_names_,
                          "SOURCE=TARGET: a role that has another name on the target; may be given "
                          "several times");
  }

  Result<CloneOptions> Options() const {
    CloneOptions options;
    TRY_ASSIGN(options.source, ParseConnection(source_, kSourcePasswordVariable));
    TRY_ASSIGN(pg::ConnectOptions admin, ParseConnection(target_, kTargetPasswordVariable));
    options.target = admin.WithDatabase(database_);
    if (!existing_) options.admin = admin;
    options.migration_uid = UidOfMove(options.source, options.target);
    options.jobs = jobs_;
    options.exclude_tables = comparison_.exclude_tables;
    options.accept = accept_;
    TRY_ASSIGN(options.role_names, ParseRoleNames(role_names_));
    options.level = comparison_.Level();
    options.verification_seconds_max = comparison_.seconds_max;
    return options;
  }

  Result<Report> Copy(std::stop_token stop, const PgPrograms& programs, Reporter& reporter) {
    TRY_ASSIGN(const CloneOptions options, Options());
    return CloneDatabase(stop, programs, options, reporter);
  }

  std::string source_;
  std::string target_;
  std::string database_;
  bool existing_ = false;
  std::vector<std::string> accept_;
  std::vector<std::string> role_names_;
  int jobs_ = 2;
  ComparisonFlags comparison_;
};

}  // namespace

std::unique_ptr<Verb> MakeCloneVerb(CLI::App& app) { return std::make_unique<CloneVerb>(app); }

}  // namespace cutover::mover::cli
