// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "reconcilers/migration/checks/sql_check.h"
#include "reconcilers/migration/decide.h"
#include "reconcilers/migration/preflight/checks.h"
#include "reconcilers/migration/preflight/facts.h"
#include "reconcilers/migration/profiles/profile.h"
#include "reconcilers/migration/status.h"
#include "reconcilers/wiring/base64.h"
#include "tests/postgres/servers.h"
#include "tests/unit/kube/fake_client.h"
#include "tests/unit/migration/builders.h"

namespace cutover::migration {
namespace {

using pg::testing::MustConnect;
using pg::testing::MustExec;
using pg::testing::MustRead;
using pg::testing::Servers;
using pg::testing::Soon;
using pg::testing::TestDatabase;
using pg::testing::TestRole;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const Profile& Odoo() { return ProfileOf(api::ProfileType::kOdoo); }

// As Odoo 17 makes them, as far as the profile looks; res_partner has an heir, whose rows are not
// partners of their own.
const std::vector<std::string>& OdooTables() {
  static const std::vector<std::string> statements = {
      "CREATE TABLE public.res_users (id serial PRIMARY KEY, active boolean)",
      "CREATE TABLE public.res_partner (id serial PRIMARY KEY, name varchar)",
      "CREATE TABLE public.partner_heir () INHERITS (public.res_partner)",
      "CREATE TABLE public.ir_module_module (id serial, name varchar, state varchar)",
      "CREATE TABLE public.ir_config_parameter (id serial, key varchar, value text)",
      "CREATE TABLE public.ir_attachment (id serial, type varchar, url varchar, res_field varchar, "
      "store_fname varchar, checksum varchar, file_size integer, public boolean)",
      "INSERT INTO public.res_users (active) VALUES (true), (true), (false)",
      "INSERT INTO public.res_partner (name) VALUES ('a'), ('b'), ('c')",
      "INSERT INTO public.partner_heir (name) VALUES ('d')",
      "INSERT INTO public.ir_module_module (name, state) VALUES ('base', 'installed'), "
      "('web', 'installed'), ('sale', 'uninstalled')",
      "INSERT INTO public.ir_config_parameter (key, value) VALUES ('database.secret', 'hunter2'), "
      "('database.uuid', 'u-1'), ('web.base.url', 'http://acme.example.test'), ('other', 'x')",
      "INSERT INTO public.ir_attachment (type, url, store_fname, checksum, file_size, public) "
      "VALUES "
      "('binary', '/web/assets/1/a.css', 'aa/1', 'c1', 10, true), "
      "('binary', NULL, 'bb/2', 'c2', 20, NULL), ('binary', NULL, 'cc/3', 'c3', 30, true), "
      "('url', NULL, NULL, 'c4', 40, true), ('binary', NULL, 'dd/5', 'c5', 99999999, true)"};
  return statements;
}

/// One tenant with Odoo's tables on both servers, as before and after a copy.
class OdooTenant : public ::testing::Test {
 protected:
  OdooTenant()
      : source_role_(Servers().source),
        target_role_(Servers().target),
        source_database_(Servers().source, source_role_.name()),
        target_database_(Servers().target, target_role_.name()),
        source_(MustConnect(source_database_.Options())),
        tenant_(MustConnect(source_role_.Options(source_database_.name()))),
        tenant_on_target_(MustConnect(target_role_.Options(target_database_.name()))) {
    MustExec(tenant_, OdooTables());
    MustExec(tenant_on_target_, OdooTables());
    context_.database = target_database_.name();
    context_.owner = target_role_.name();
    context_.tenant = target_role_.Options(target_database_.name());
    context_.source_admin = Servers().source;
    context_.target_admin = Servers().target;
  }

  Json Baseline() {
    auto baseline = Odoo().Baseline({}, Soon(), source_);
    EXPECT_TRUE(baseline) << baseline.error().message;
    return baseline ? *baseline : Json();
  }

  Result<std::string> Run(const std::string& name, const Json& baseline,
                          const Profile& profile = Odoo()) {
    for (const BuiltinCheck& check : profile.Checks(baseline))
      if (check.name == name) return check.run({}, Soon(), context_);
    return TerminalError("NoSuchCheck", name);
  }

  TestRole source_role_, target_role_;
  TestDatabase source_database_, target_database_;
  pg::Connection source_;  ///< The operator's.
  pg::Connection tenant_, tenant_on_target_;
  CheckContext context_;
};

TEST_F(OdooTenant, TheBaselineHoldsTheFiguresAndNeverTheSecret) {
  Json baseline = Baseline();
  EXPECT_EQ(baseline["figures"],
            Json::Object({{"activeUsers", 2}, {"partners", 3}, {"installedModules", 2}}));
  // The digest is checked against one made elsewhere: sha256sum of "hunter2".
  EXPECT_EQ(baseline["parameters"],
            Json::Object({{"database.secret",
                           "f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"},
                          {"database.uuid", "u-1"},
                          {"web.base.url", "http://acme.example.test"}}));
  EXPECT_EQ(baseline.Dump().find("hunter2"), std::string::npos);
  const Json& attachments = baseline["attachments"];
  ASSERT_EQ(attachments.Size(), 2u) << attachments.Dump();
  EXPECT_EQ(attachments.Members()[0].first, "3") << "public ones first";
  EXPECT_EQ(
      attachments["2"],
      Json::Object({{"storeFname", "bb/2"}, {"checksum", "c2"}, {"bytes", 20}, {"public", false}}));
}

TEST_F(OdooTenant, AnEqualCopyPassesAndEachDifferenceIsNamed) {
  Json baseline = Baseline();
  for (const char* check : {"profile/figures", "profile/parameters", "profile/attachments"}) {
    auto passed = Run(check, baseline);
    EXPECT_TRUE(passed) << check << ": " << passed.error().message;
  }
  MustExec(tenant_on_target_,
           {"DELETE FROM public.res_partner WHERE name = 'a'",
            "UPDATE public.ir_config_parameter SET value = 'else' WHERE key = 'database.secret'",
            "DELETE FROM public.ir_attachment WHERE id = 3"});
  auto figures = Run("profile/figures", baseline);
  ASSERT_FALSE(figures);
  EXPECT_EQ(figures.error().message, "partners is 2 and was 3 on the source");
  auto parameters = Run("profile/parameters", baseline);
  ASSERT_FALSE(parameters);
  EXPECT_THAT(parameters.error().message, HasSubstr("database.secret"));
  auto attachments = Run("profile/attachments", baseline);
  ASSERT_FALSE(attachments);
  EXPECT_THAT(attachments.error().message, HasSubstr("3 is missing"));
}

TEST_F(OdooTenant, FiguresAreReadAsTheTenantSoThatAWrongOwnerIsFound) {
  Json baseline = Baseline();
  pg::Connection admin = MustConnect(target_database_.Options());
  MustExec(admin, {"ALTER TABLE public.res_partner OWNER TO CURRENT_USER"});
  auto figures = Run("profile/figures", baseline);
  ASSERT_FALSE(figures);
  EXPECT_EQ(figures.error().reason, "InsufficientPrivilege");
}

TEST_F(OdooTenant, ATableOfAnotherVersionLeavesItsFigureOut) {
  MustExec(tenant_, {"DROP TABLE public.ir_attachment", "DROP TABLE public.ir_config_parameter",
                     "ALTER TABLE public.res_users DROP COLUMN active"});
  Json baseline = Baseline();
  EXPECT_EQ(baseline["figures"], Json::Object({{"partners", 3}, {"installedModules", 2}}));
  EXPECT_TRUE(baseline["parameters"].Empty());
  EXPECT_TRUE(baseline["attachments"].Empty());
}

TEST_F(OdooTenant, ModulesThatWaitForTheNextStartBlock) {
  auto none = Odoo().Preflight({}, Soon(), source_);
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
  MustExec(tenant_, {"UPDATE public.ir_module_module SET state = 'to upgrade' WHERE name = 'web'"});
  auto found = Odoo().Preflight({}, Soon(), source_);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ((*found)[0].reason, "ModulesPending");
  EXPECT_THAT((*found)[0].message, HasSubstr("web (to upgrade)"));
}

// A tenant must not get the operator, who is a superuser there, to run the tenant's own code.
TEST_F(OdooTenant, NoCodeOfTheTenantRunsWithTheOperatorsRights) {
  MustExec(tenant_,
           {"CREATE FUNCTION public.trap() RETURNS varchar LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'trapped %', current_user; END $$",
            "DROP TABLE public.ir_module_module",
            "CREATE VIEW public.ir_module_module AS SELECT 'base'::varchar AS name, "
            "public.trap() AS state",
            "CREATE TYPE public.mood AS ENUM ('a')",
            "CREATE FUNCTION public.mood_trap(public.mood) RETURNS boolean LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'trapped %', current_user; END $$",
            "CREATE CAST (public.mood AS boolean) WITH FUNCTION public.mood_trap(public.mood) "
            "AS IMPLICIT",
            "ALTER TABLE public.res_users DROP COLUMN active",
            "ALTER TABLE public.res_users ADD COLUMN active public.mood DEFAULT 'a'"});
  auto found = Odoo().Preflight({}, Soon(), source_);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ((*found)[0].reason, "NotAnOdooDatabase");
  EXPECT_EQ(Baseline()["figures"], Json::Object({{"partners", 3}}));
}

TEST_F(OdooTenant, TheSourceIsIdleWhenTheLastClientHasLeft) {
  context_.database = source_database_.name();
  auto busy = Run("profile/source-idle", Json());
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().reason, "SourceInUse");
  EXPECT_THAT(busy.error().message, HasSubstr(source_role_.name()));
  tenant_ = MustConnect(source_role_.Options("postgres"));
  std::optional<Result<std::string>> idle;
  // The server notices a closed socket later.
  for (const Deadline deadline = Soon(); !(idle && *idle) && !deadline.Expired();) {
    if (idle) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    idle = Run("profile/source-idle", Json());
  }
  EXPECT_TRUE(*idle);
}

TEST_F(OdooTenant, ADeadSourceDoesNotKeepTheTenantOut) {
  pg::ConnectOptions nowhere = Servers().source;
  nowhere.host = "127.0.0.1";
  nowhere.port = 1;
  context_.source_admin = nowhere;
  auto passed = Run("profile/source-idle", Json());
  ASSERT_TRUE(passed);
  EXPECT_THAT(*passed, HasSubstr("fence"));
}

TEST_F(OdooTenant, OurOwnSessionsAreNoProofThatTheTargetIsInUse) {
  pg::ConnectOptions workload = target_role_.Options(target_database_.name());
  workload.application_name = "odoo-1";
  tenant_on_target_ = MustConnect(workload);
  EXPECT_TRUE(Run("profile/target-in-use", Json()));
  auto check = ConnectForCheck({}, Soon(), *context_.tenant);
  ASSERT_TRUE(check);
  tenant_on_target_ = std::move(*check);
  bool in_use = true;
  // The server notices a closed socket later.
  for (const Deadline deadline = Soon(); in_use && !deadline.Expired();) {
    in_use = Run("profile/target-in-use", Json()).has_value();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_FALSE(in_use) << "nobody is left but a check";
}

TEST_F(OdooTenant, TheGenericProfileCountsTablesAndKnowsNoOdoo) {
  const Profile& generic = ProfileOf(api::ProfileType::kGeneric);
  auto baseline = generic.Baseline({}, Soon(), source_);
  ASSERT_TRUE(baseline);
  EXPECT_EQ((*baseline)["figures"], Json::Object({{"tables", 6}}));
  EXPECT_GT((*baseline)["databaseBytes"].AsInt(), 0);
  // Our own schema is in both databases during a move, and no table of the tenant's.
  pg::Connection admin = MustConnect(target_database_.Options());
  MustExec(admin, {"CREATE SCHEMA cutover", "CREATE TABLE cutover.control ()"});
  EXPECT_TRUE(Run("profile/figures", *baseline, generic));
  MustExec(tenant_on_target_, {"DROP TABLE public.partner_heir"});
  EXPECT_FALSE(Run("profile/figures", *baseline, generic));
}

// --- sql checks ----------------------------------------------------------------------------------

class SqlChecks : public OdooTenant {
 protected:
  std::string Ask(const std::string& query, const std::string& expected,
                  Deadline deadline = Soon()) {
    Status status = RunSqlCheck({}, deadline, *context_.tenant, {query, expected});
    return status ? "" : status.error().reason + ": " + status.error().message;
  }
};

TEST_F(SqlChecks, PassOnTheExpectedValueAsTheTenantSeesItsTables) {
  EXPECT_EQ(Ask("SELECT count(*) FROM res_users", "3"), "");
  EXPECT_EQ(Ask("SELECT current_user", target_role_.name()), "");
  EXPECT_EQ(Ask("SELECT NULL", ""), "");
  EXPECT_EQ(Ask("SELECT count(*) FROM res_users", "4"),
            "UnexpectedValue: the query gave \"3\" instead of \"4\"");
}

TEST_F(SqlChecks, ChangeNothingAndSayWhatIsWrongWithThem) {
  EXPECT_THAT(Ask("INSERT INTO res_users (active) VALUES (true) RETURNING id", "4"),
              HasSubstr("ReadOnly"));
  EXPECT_EQ(MustRead(tenant_on_target_, "SELECT count(*) FROM public.res_users").front(), "3");
  EXPECT_THAT(Ask("SELECT id FROM res_users", "1"), HasSubstr("3 rows instead of one"));
  EXPECT_THAT(Ask("SELECT 1; DROP TABLE res_users", "1"), HasSubstr("InvalidStatement"));
  EXPECT_THAT(Ask("SELECT x FROM nowhere", "1"), HasSubstr("nowhere"));
}

TEST_F(SqlChecks, CannotBecomeTheOperator) {
  EXPECT_THAT(Ask("SELECT set_config('role', '" + Servers().target.user + "', true)", ""),
              HasSubstr("InsufficientPrivilege"));
  EXPECT_EQ(Ask("SELECT set_config('role', 'none', true)", "none"), "");
  EXPECT_EQ(Ask("SELECT session_user", target_role_.name()), "");
}

TEST_F(SqlChecks, EndWithTheirTime) {
  auto started = std::chrono::steady_clock::now();
  EXPECT_NE(Ask("SELECT pg_sleep(60)", "", Deadline::After(std::chrono::milliseconds(700))), "");
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(40));
}

// --- preflight over real servers -----------------------------------------------------------------

class NoResolver final : public wiring::Resolver {
 public:
  Result<std::vector<std::string>> Resolve(std::stop_token, Deadline,
                                           const std::string& host) override {
    return RetryError("HostNotResolved", host);
  }
};

class PreflightOverServers : public OdooTenant {
 protected:
  PreflightOverServers() {
    placement_.meta.name = "acme";
    placement_.meta.namespace_name = "tenants";
    placement_.spec.database_name = source_database_.name();
    placement_.spec.owner = source_role_.name();
    placement_.spec.password_secret_ref = {"acme-db", "password"};
    migration_.spec.target_server_name = "target";
    migration_.spec.backup_mode = api::BackupMode::kSkip;
  }
  void SetUp() override {
    for (const char* name : {"source", "target"}) CreateServer(name);
  }

  void CreateServer(const std::string& name) {
    Json ready = Json::Object(
        {{"type", "Ready"}, {"status", "True"}, {"reason", "Probed"}, {"message", ""}});
    Json spec = Json::Object({{"class", "Shared"},
                              {"endpoint", Json::Object({{"host", name + ".example.test"}})},
                              {"adminSecretRef", Json::Object({{"name", name}})}});
    Json object = Json::Object({{"apiVersion", "cutover.dev/v1alpha1"},
                                {"kind", "DatabaseServer"},
                                {"metadata", Json::Object({{"name", name}})},
                                {"spec", spec},
                                {"status", Json::Object({{"conditions", Json::Array({ready})}})}});
    ASSERT_TRUE(client_.Create({}, Soon(), kube::kDatabaseServer, object));
  }

  PreflightFacts Gather() {
    PreflightInputs inputs{
        .migration = migration_,
        .placement = placement_,
        .source_server_name = backwards_ ? "target" : "source",
        .now = std::chrono::system_clock::now(),
        .access = {client_, resolver_, "cutover-system"},
        .admin_options = [this](std::stop_token, Deadline,
                                const api::DatabaseServer& server) -> Result<pg::ConnectOptions> {
          return server.meta.name == "source" ? source_admin_ : target_admin_;
        },
        .profile = Odoo()};
    return GatherPreflight({}, Soon(), inputs);
  }

  std::vector<std::string> Reasons() {
    std::vector<std::string> reasons;
    for (const Finding& finding : CheckPreflight(Gather())) reasons.push_back(finding.reason);
    return reasons;
  }

  kube::FakeClient client_;
  NoResolver resolver_;
  api::DatabasePlacement placement_;
  api::TenantMigration migration_;
  bool backwards_ = false;
  pg::ConnectOptions source_admin_ = Servers().source;
  pg::ConnectOptions target_admin_ = Servers().target;
};

TEST_F(PreflightOverServers, EverythingIsReadFromBothServers) {
  PreflightFacts facts = Gather();
  ASSERT_TRUE(facts.source.known()) << facts.source.error().message;
  ASSERT_TRUE(facts.target.known()) << facts.target.error().message;
  EXPECT_EQ(facts.source->server.version_number / 10000, 15);
  EXPECT_EQ(facts.target->server.version_number / 10000, 17);
  EXPECT_TRUE(facts.source->admin_owns_database);
  EXPECT_TRUE(facts.source->unfenceable_roles.empty());
  EXPECT_TRUE(facts.source->roles.known());
  EXPECT_FALSE(facts.target->database_exists);
  EXPECT_EQ(facts.target->locale_problem, "");
  EXPECT_TRUE(facts.profile.known());
  std::vector<std::string> reasons = Reasons();
  for (const char* reason :
       {"OlderMajor", "SameServer", "SuperuserOwner", "OwnerMismatch", "TargetExists",
        "LocaleMissing", "ExtensionMissing", "RoleClash", "MissingPrivilege"})
    EXPECT_THAT(reasons, Not(Contains(reason)));
  // The one thing that is missing: the tenant's Secret.
  EXPECT_THAT(reasons, Contains("PasswordSecretNotFound"));
}

TEST_F(PreflightOverServers, ATenantWhoIsOrMayBecomeASuperuserIsHopeless) {
  pg::Connection admin = MustConnect(Servers().source);
  TestRole group(Servers().source, "SUPERUSER", "group");
  MustExec(admin, {"GRANT " + group.quoted() + " TO " + source_role_.quoted()});
  PreflightFacts facts = Gather();
  ASSERT_TRUE(facts.source.known());
  EXPECT_EQ(facts.source->unfenceable_roles, std::vector{group.name()});
  EXPECT_THAT(CheckPreflight(facts),
              Contains(::testing::Field(&Finding::severity, Severity::kHopeless)));
}

/// Of `findings`, those for this reason.
std::vector<std::string> MessagesOf(const std::vector<Finding>& findings, const char* reason) {
  std::vector<std::string> messages;
  for (const Finding& finding : findings)
    if (finding.reason == reason && finding.severity == Severity::kBlocking)
      messages.push_back(finding.message);
  return messages;
}

TEST_F(PreflightOverServers, MembersOfTheOperatorsRoleBlockUntilTheRemedyIsRun) {
  // Roles of this case's own: others prove fences meanwhile.
  TestRole source_admin(Servers().source, "SUPERUSER", "operator");
  TestRole target_admin(Servers().target, "SUPERUSER", "operator");
  source_admin_ = source_admin.Options("postgres");
  target_admin_ = target_admin.Options("postgres");
  EXPECT_TRUE(MessagesOf(CheckPreflight(Gather()), "AdminHasMembers").empty());
  for (bool at_source : {true, false}) {
    const pg::ConnectOptions& server = at_source ? Servers().source : Servers().target;
    SCOPED_TRACE(at_source ? "source" : "target");
    pg::Connection admin = MustConnect(server);
    TestRole group(server, "", "staff");
    TestRole direct(server, "", "direct"), indirect(server, "", "indirect");
    // Membership that gives nothing but the right to give more counts as well.
    const std::string with =
        admin.major_version() < 16 ? "" : " WITH ADMIN TRUE, INHERIT FALSE, SET FALSE";
    const std::string role = at_source ? source_admin.quoted() : target_admin.quoted();
    MustExec(admin, {"ALTER ROLE " + group.quoted() + " NOLOGIN",
                     "GRANT " + group.quoted() + " TO " + indirect.quoted(),
                     "GRANT " + role + " TO " + group.quoted(),
                     "GRANT " + role + " TO " + direct.quoted() + with});
    const PreflightFacts facts = Gather();
    std::vector<std::string> messages = MessagesOf(CheckPreflight(facts), "AdminHasMembers");
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_THAT(messages[0], HasSubstr("(" + direct.name() + ", " + indirect.name() + ")"));
    const auto& members = at_source ? facts.source->admin_members : facts.target->admin_members;
    for (const AdminMember& member : members) MustExec(admin, {member.revoke});
    EXPECT_TRUE(MessagesOf(CheckPreflight(Gather()), "AdminHasMembers").empty());
  }
}

TEST_F(PreflightOverServers, ASubscriptionThatWritesIntoTheSourceBlocksUntilItIsDisabled) {
  const std::string name = pg::testing::UniqueName("feed");
  // Connects to nobody yet, and is enabled as far as the catalog goes.
  MustExec(source_, {"CREATE SUBSCRIPTION " + name +
                         " CONNECTION 'host=127.0.0.1 port=1 dbname=nowhere' PUBLICATION p WITH "
                         "(connect = false)",
                     "ALTER SUBSCRIPTION " + name + " ENABLE"});
  std::vector<std::string> messages = MessagesOf(CheckPreflight(Gather()), "SubscriptionsWrite");
  MustExec(source_, {"ALTER SUBSCRIPTION " + name + " DISABLE"});
  std::vector<std::string> reasons = Reasons();
  MustExec(source_,
           {"ALTER SUBSCRIPTION " + name + " SET (slot_name = NONE)", "DROP SUBSCRIPTION " + name});
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0], HasSubstr("ALTER SUBSCRIPTION \"" + name + "\" DISABLE"));
  EXPECT_THAT(reasons, Not(Contains("SubscriptionsWrite")));
  EXPECT_THAT(reasons, Contains("SubscriptionsStop"));
}

TEST_F(PreflightOverServers, APublicationForAllTablesBlocksWhileSomebodyReadsFromTheDatabase) {
  const std::string slot = pg::testing::UniqueName("warehouse");
  MustExec(source_, {"CREATE PUBLICATION everything FOR ALL TABLES"});
  EXPECT_TRUE(MessagesOf(CheckPreflight(Gather()), "AllTablesPublished").empty());
  EXPECT_THAT(Reasons(), Contains("AllTablesPublished"));
  pg::ConnectOptions replicating = Servers().source.WithDatabase(source_database_.name());
  replicating.keywords.emplace_back("replication", "database");
  std::vector<std::string> messages;
  {
    // A temporary slot is taken by its session until that ends.
    pg::Connection reader = MustConnect(replicating);
    MustExec(reader, {"CREATE_REPLICATION_SLOT " + slot + " TEMPORARY LOGICAL pgoutput"});
    messages = MessagesOf(CheckPreflight(Gather()), "AllTablesPublished");
    MustExec(source_, {"DROP PUBLICATION everything",
                       "CREATE PUBLICATION everything FOR TABLE public.res_partner"});
    EXPECT_THAT(Reasons(), Not(Contains("AllTablesPublished")));
  }
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0], HasSubstr("whoever reads slots " + slot));
}

TEST_F(PreflightOverServers, WhatStandsInTheWayOnTheServersIsFoundAtOnce) {
  TestRole other(Servers().source, "", "other");
  pg::Connection admin_on_target = MustConnect(Servers().target);
  MustExec(admin_on_target, {"CREATE DATABASE " + pg::QuoteIdentifier(source_database_.name())});
  pg::testing::DropAtEnd drop(Servers().target, source_database_.name());
  MustExec(source_,
           {"ALTER DATABASE " + source_database_.quoted() + " OWNER TO " + other.quoted()});
  {
    pg::Connection tenant = MustConnect(source_role_.Options(source_database_.name()));
    MustExec(tenant, {"BEGIN; UPDATE public.res_partner SET name = 'x'; PREPARE TRANSACTION '" +
                      source_database_.name() + "'"});
  }
  std::vector<std::string> reasons = Reasons();
  MustExec(source_,
           {"ROLLBACK PREPARED '" + source_database_.name() + "'",
            "ALTER DATABASE " + source_database_.quoted() + " OWNER TO " + source_role_.quoted()});
  EXPECT_THAT(reasons, Contains("TargetExists"));
  EXPECT_THAT(reasons, Contains("OwnerMismatch"));
  EXPECT_THAT(reasons, Contains("PreparedTransactions"));
}

/// Condition PreflightPassed, as whoever asks for the migration's status is told of the servers.
class PreflightTold : public PreflightOverServers {
 protected:
  std::string Told() {
    api::TenantMigration migration = testing::MigrationIn(api::Phase::kPreflight);
    Observation seen = testing::At(1);
    seen.preflight = CheckPreflight(Gather());
    const auto status = Advance(migration, seen, Decide(migration, seen));
    const api::Condition* told = status.conditions.Find("PreflightPassed");
    if (told == nullptr || told->status == api::ConditionStatus::kTrue) return "";
    return told->reason + ": " + told->message;
  }
  void SetPassword(const std::string& password) {
    const Json metadata = Json::Object({{"name", "acme-db"}, {"namespace", "tenants"}});
    const Json data = Json::Object({{"password", wiring::EncodeBase64(password)}});
    const Json secret = Json::Object({{"metadata", metadata}, {"data", data}});
    ASSERT_TRUE(client_.Delete({}, Soon(), kube::kSecret, {"tenants", "acme-db"}));
    ASSERT_TRUE(client_.Create({}, Soon(), kube::kSecret, secret));
  }
};

TEST_F(PreflightTold, APasswordThatTheSourceRefuses) {
  SetPassword("not " + source_role_.password());
  EXPECT_THAT(Told(), AllOf(HasSubstr("PreflightFailed: "),
                            HasSubstr("password authentication failed for user"),
                            HasSubstr("correct key password of Secret acme-db")));
  SetPassword(source_role_.password());
  EXPECT_THAT(Told(), Not(HasSubstr("acme-db")));
}

// Gone from PostgreSQL with version 17.
TEST_F(PreflightTold, AnExtensionThatTheTargetDoesNotHave) {
  MustExec(source_, {"CREATE EXTENSION adminpack"});
  EXPECT_THAT(Told(), AllOf(HasSubstr("PreflightFailed: "), HasSubstr("extension adminpack "),
                            HasSubstr("is not available on DatabaseServer target"),
                            HasSubstr("drop it from")));
  MustExec(source_, {"DROP EXTENSION adminpack"});
  EXPECT_THAT(Told(), Not(HasSubstr("adminpack")));
}

TEST_F(PreflightTold, ATableThatWhoeverBacksUpMayNotRead) {
  migration_.spec.backup_mode = api::BackupMode::kRequired;
  MustExec(source_, {"ALTER TABLE public.res_partner OWNER TO CURRENT_USER"});
  EXPECT_THAT(Told(),
              AllOf(HasSubstr("PreflightFailed: "),
                    HasSubstr("cannot read all of public.res_partner, public.res_partner_id_seq: "),
                    HasSubstr("role " + source_role_.name())));
  MustExec(source_, {"GRANT SELECT ON public.res_partner, public.res_partner_id_seq TO " +
                     source_role_.quoted()});
  EXPECT_THAT(Told(), Not(HasSubstr("res_partner")));
}

TEST_F(PreflightOverServers, TheWayToAnOlderMajorIsHopeless) {
  backwards_ = true;
  placement_.spec.database_name = target_database_.name();
  placement_.spec.owner = target_role_.name();
  migration_.spec.target_server_name = "source";
  std::vector<Finding> findings = CheckPreflight(Gather());
  EXPECT_THAT(findings, Contains(::testing::Field(&Finding::reason, "OlderMajor")));
}

TEST_F(PreflightOverServers, AnUnknownDatabaseBlocksAndIsNotHopeless) {
  placement_.spec.database_name = "no_such_database";
  for (const Finding& finding : CheckPreflight(Gather()))
    EXPECT_NE(finding.severity, Severity::kHopeless) << finding.reason;
  EXPECT_THAT(Reasons(), Contains("DatabaseNotFound"));
}

TEST_F(PreflightOverServers, TryingTheLocaleLeavesNothingBehind) {
  PreflightFacts facts = Gather();
  ASSERT_TRUE(facts.target.known()) << facts.target.error().message;
  pg::Connection admin = MustConnect(Servers().target);
  EXPECT_EQ(MustRead(admin, "SELECT count(*) FROM pg_collation WHERE collname = 'cutover_probe'"),
            std::vector<std::string>{"0"});
}

}  // namespace
}  // namespace cutover::migration
