// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/wiring/precedence.h"

#include <gtest/gtest.h>

#include "reconcilers/wiring/base64.h"

namespace cutover::wiring {
namespace {

const Sides kSides{{"source.db.svc", 5432}, HostPort{"target.db.svc", 5432}};

enum class Wired { kFile, kFileAndEnv, kFileAndService, kEnv, kService, kSecret };

struct TrapCase {
  const char* reason;
  api::ProfileType profile;
  Wired wired;
  const char* container;  // JSON members of the container besides its name.
  std::vector<std::pair<Severity, std::string>> expected;
};

constexpr auto kOdoo = api::ProfileType::kOdoo;
constexpr auto kGeneric = api::ProfileType::kGeneric;
constexpr auto kBlocks = Severity::kBlocking;
constexpr auto kWarns = Severity::kWarning;

api::Connection ConnectionOf(Wired wired, const std::string& host_variable) {
  api::Connection connection;
  if (wired == Wired::kFile || wired == Wired::kFileAndEnv || wired == Wired::kFileAndService)
    connection.config_files.push_back({{"ConfigMap", "conf"}, "odoo.conf", "OdooConf"});
  if (wired == Wired::kFileAndEnv || wired == Wired::kEnv)
    connection.env.push_back({{"Deployment", "web"}, "main", host_variable, "", "", ""});
  if (wired == Wired::kService || wired == Wired::kFileAndService) connection.service_name = "db";
  if (wired == Wired::kSecret)
    connection.secret = api::WiringSecret{"creds", "host", "", "", "", "", ""};
  return connection;
}

Objects WorldWith(const std::string& container) {
  Objects objects;
  objects[{"Deployment", "web"}] = *Json::Parse(
      R"({"kind":"Deployment","spec":{"template":{"spec":{"containers":[{"name":"main")" +
      (container.empty() ? "" : "," + container) + "}]}}}}");
  Json creds = *Json::Parse(R"({"kind":"Secret"})");
  creds.Set("data", Json::Object({{"host", EncodeBase64("source.db.svc")},
                                  {"PGHOST", EncodeBase64("source.db.svc")}}));
  objects[{"Secret", "creds"}] = creds;
  objects[{"Secret", "other"}] = creds;
  return objects;
}

class PrecedenceTraps : public ::testing::TestWithParam<TrapCase> {};

TEST_P(PrecedenceTraps, AreFoundAndNothingElseIs) {
  const TrapCase& c = GetParam();
  api::DatabasePlacement placement;
  placement.meta.namespace_name = "tenants";
  placement.spec.profile = c.profile;
  placement.spec.workloads = {{"Deployment", "web"}};
  const bool bitnami = std::string(c.container).find("ODOO_DATABASE_HOST") != std::string::npos;
  placement.spec.connection = ConnectionOf(c.wired, bitnami ? "ODOO_DATABASE_HOST" : "PGHOST");
  std::vector<std::pair<Severity, std::string>> found;
  for (const Finding& finding : CheckPrecedence(placement, WorldWith(c.container), kSides)) {
    found.emplace_back(finding.severity, finding.reason);
    EXPECT_FALSE(finding.message.empty());
  }
  EXPECT_EQ(found, c.expected) << c.reason;
}

INSTANTIATE_TEST_SUITE_P(
    Table, PrecedenceTraps,
    ::testing::Values(
        TrapCase{"a file alone", kOdoo, Wired::kFile, "", {}},
        TrapCase{"PGHOST beats the file of Odoo 19",
                 kOdoo,
                 Wired::kFile,
                 R"("env":[{"name":"PGHOST","value":"source.db.svc"}])",
                 {{kBlocks, "EnvironmentOverridesWiring"}}},
        TrapCase{"so does one that names a third server",
                 kOdoo,
                 Wired::kFile,
                 R"("env":[{"name":"PGHOST","value":"elsewhere"}])",
                 {{kBlocks, "EnvironmentOverridesWiring"}}},
        TrapCase{"unless the wiring takes care of it",
                 kOdoo,
                 Wired::kFileAndEnv,
                 R"("env":[{"name":"PGHOST","value":"source.db.svc"}])",
                 {}},
        TrapCase{"or it names our Service",
                 kOdoo,
                 Wired::kFileAndService,
                 R"("env":[{"name":"PGHOST","value":"db.tenants"}])",
                 {}},
        TrapCase{"the replica's variable as well",
                 kOdoo,
                 Wired::kFileAndEnv,
                 R"("env":[{"name":"PGHOST","value":"x"},{"name":"PGHOST_REPLICA","value":"y"}])",
                 {{kBlocks, "EnvironmentOverridesWiring"}}},
        TrapCase{"HOST of the official image gives way to the file's key",
                 kOdoo,
                 Wired::kFile,
                 R"("env":[{"name":"HOST","value":"pg-old"}])",
                 {}},
        TrapCase{"though naming the source there is worth a word",
                 kOdoo,
                 Wired::kFile,
                 R"("env":[{"name":"HOST","value":"source.db.svc"}])",
                 {{kWarns, "SourceNamedElsewhere"}}},
        TrapCase{"and without a file it is the truth",
                 kOdoo,
                 Wired::kService,
                 R"("env":[{"name":"HOST","value":"source.db.svc"}])",
                 {{kBlocks, "EnvironmentOverridesWiring"}}},
        TrapCase{"PGHOST from a Secret that is not wired",
                 kOdoo,
                 Wired::kFile,
                 R"("env":[{"name":"PGHOST","valueFrom":
                    {"secretKeyRef":{"name":"other","key":"host"}}}])",
                 {{kBlocks, "EnvironmentOverridesWiring"}}},
        TrapCase{"PGHOST from the Secret that is",
                 kOdoo,
                 Wired::kSecret,
                 R"("env":[{"name":"PGHOST","valueFrom":
                    {"secretKeyRef":{"name":"creds","key":"host"}}}])",
                 {}},
        TrapCase{"a whole Secret as environment",
                 kOdoo,
                 Wired::kFile,
                 R"("envFrom":[{"secretRef":{"name":"other"}}])",
                 {{kWarns, "SourceNamedElsewhere"}, {kBlocks, "EnvironmentOverridesWiring"}}},
        TrapCase{
            "an argument beats everything",
            kOdoo,
            Wired::kFileAndEnv,
            R"("args":["odoo","--db_host=source.db.svc"],"env":[{"name":"PGHOST","value":"s"}])",
            {{kBlocks, "ArgumentOverridesWiring"}}},
        TrapCase{"also in a shell's script",
                 kOdoo,
                 Wired::kFile,
                 R"("command":["sh","-c","exec odoo --db_host source.db.svc -d x"])",
                 {{kBlocks, "ArgumentOverridesWiring"}}},
        TrapCase{"unless it names our Service",
                 kOdoo,
                 Wired::kService,
                 R"("args":["--db_host","db","--db_port=5432"])",
                 {}},
        TrapCase{
            "or passes on a wired variable",
            kOdoo,
            Wired::kEnv,
            R"~("args":["--db_host=$(PGHOST)"],"env":[{"name":"PGHOST","value":"source.db.svc"}])~",
            {}},
        TrapCase{"a port that the target does not have",
                 kOdoo,
                 Wired::kFileAndEnv,
                 R"("env":[{"name":"PGHOST","value":"s"},{"name":"PGPORT","value":"6432"}])",
                 {{kBlocks, "EnvironmentOverridesWiring"}}},
        TrapCase{"a port that it has",
                 kOdoo,
                 Wired::kFileAndEnv,
                 R"("env":[{"name":"PGHOST","value":"s"},{"name":"PGPORT","value":"5432"}])",
                 {}},
        TrapCase{"Bitnami updates all modules unless told not to",
                 kOdoo,
                 Wired::kService,
                 R"("image":"bitnami/odoo:18","env":[{"name":"ODOO_DATABASE_HOST","value":"db"},
                    {"name":"ODOO_SKIP_BOOTSTRAP","value":"yes"}])",
                 {{kWarns, "ModulesUpdatedAtStart"}}},
        TrapCase{"told not to",
                 kOdoo,
                 Wired::kService,
                 R"("env":[{"name":"ODOO_DATABASE_HOST","value":"db"},
                    {"name":"ODOO_SKIP_BOOTSTRAP","value":"yes"},
                    {"name":"ODOO_SKIP_MODULES_UPDATE","value":"yes"}])",
                 {}},
        TrapCase{"Bitnami ignores its environment on a filled volume",
                 kOdoo,
                 Wired::kEnv,
                 R"("env":[{"name":"ODOO_DATABASE_HOST","value":"source.db.svc"},
                    {"name":"ODOO_SKIP_BOOTSTRAP","value":"yes"},
                    {"name":"ODOO_SKIP_MODULES_UPDATE","value":"yes"}])",
                 {{kBlocks, "EnvironmentIgnored"}}},
        TrapCase{"a wired variable that comes from elsewhere",
                 kOdoo,
                 Wired::kEnv,
                 R"("env":[{"name":"PGHOST","valueFrom":{"secretKeyRef":{"name":"x","key":"y"}}}])",
                 {{kBlocks, "EnvironmentNotChangeable"}}},
        TrapCase{"libpq's variable of any program",
                 kGeneric,
                 Wired::kSecret,
                 R"("env":[{"name":"PGHOST","value":"source.db.svc"}])",
                 {{kBlocks, "EnvironmentOverridesWiring"}}},
        TrapCase{"another database of a generic workload is its own business",
                 kGeneric,
                 Wired::kSecret,
                 R"("env":[{"name":"PGHOST","value":"metrics-db"}])",
                 {}},
        TrapCase{"HOST means nothing to a generic workload",
                 kGeneric,
                 Wired::kSecret,
                 R"("env":[{"name":"HOST","value":"0.0.0.0"}])",
                 {}},
        TrapCase{"a URL that names the source",
                 kGeneric,
                 Wired::kSecret,
                 R"("env":[{"name":"DATABASE_URL","value":"postgres://u:pw@source.db.svc/d"}])",
                 {{kWarns, "SourceNamedElsewhere"}}}));

TEST(Precedence, MessagesNeverRepeatValues) {
  api::DatabasePlacement placement;
  placement.spec.workloads = {{"Deployment", "web"}};
  placement.spec.connection = ConnectionOf(Wired::kSecret, "");
  for (const Finding& finding : CheckPrecedence(
           placement,
           WorldWith(
               R"("env":[{"name":"DATABASE_URL","value":"postgres://u:hunter2@source.db.svc/d"}])"),
           kSides))
    EXPECT_EQ(finding.message.find("hunter2"), std::string::npos);
}

TEST(Precedence, APlacementWithoutWiringCannotBeMoved) {
  const std::vector<Finding> findings = CheckPrecedence({}, {}, kSides);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].reason, "NoWiring");
  EXPECT_EQ(findings[0].severity, Severity::kBlocking);
}

TEST(Precedence, AnEnvItemWhoseContainerIsMissingIsFound) {
  api::DatabasePlacement placement;
  placement.spec.connection = ConnectionOf(Wired::kEnv, "PGHOST");
  const std::vector<Finding> findings = CheckPrecedence(placement, {}, kSides);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].reason, "ContainerNotFound");
}

TEST(Precedence, AHostWithoutItsPortCannotFollowToAnotherPort) {
  api::DatabasePlacement placement;
  placement.spec.connection = ConnectionOf(Wired::kSecret, "");
  const Sides other_port{{"source.db.svc", 5432}, HostPort{"target.db.svc", 6432}};
  std::vector<Finding> findings = CheckPrecedence(placement, {}, other_port);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].reason, "PortNotWired");
  placement.spec.connection.service_name = "db";
  EXPECT_TRUE(CheckPrecedence(placement, {}, other_port).empty());
}

TEST(Precedence, EnvironmentSourcesAreAllThatContainersReadFrom) {
  Objects workloads;
  workloads[{"CronJob", "c"}] = *Json::Parse(
      R"({"kind":"CronJob","spec":{"jobTemplate":{"spec":{"template":{"spec":{
          "initContainers":[{"name":"i","envFrom":[{"configMapRef":{"name":"a"}}]}],
          "containers":[{"name":"c","env":[
            {"name":"X","valueFrom":{"configMapKeyRef":{"name":"b","key":"k"}}},
            {"name":"Y","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}}]}]}}}}}})");
  const std::vector<ObjectName> expected{{"ConfigMap", "a"}, {"ConfigMap", "b"}, {"Secret", "s"}};
  EXPECT_EQ(EnvironmentSources(workloads), expected);
}

}  // namespace
}  // namespace cutover::wiring
