// SPDX-License-Identifier: Apache-2.0
//
// Nonsense is refused at `kubectl apply` with a sentence that says what to change. Each row takes a
// sample that the API server accepts, spoils one thing, and gives a piece of the sentence.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kube/crd/crd_server.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::testing {
namespace {

using ::testing::HasSubstr;

struct Row {
  const char* spoil;    ///< Merge patch on the first sample of the kind.
  const char* refusal;  ///< Part of the answer.
  const char* reason;   ///< What would come of it otherwise.
};

void ExpectRefusals(const kube::Resource& resource, const std::string& samples,
                    const std::vector<Row>& rows) {
  CrdServer server;
  const Json sample = api::testing::LoadYaml("tests/unit/api/samples/" + samples).at(0);
  Answer accepted = server.Create(resource, sample, true);
  ASSERT_EQ(accepted.status, 201) << accepted.message();
  for (const Row& row : rows) {
    auto patch = Json::Parse(row.spoil);
    ASSERT_TRUE(patch) << row.spoil;
    Json spoiled = sample;
    Merge(spoiled, *patch);
    Answer answer = server.Create(resource, spoiled, true);
    // 422 from the schema and its rules, 400 from strict field validation.
    EXPECT_TRUE(answer.status == 422 || answer.status == 400)
        << row.spoil << " was answered with " << answer.status << "; " << row.reason;
    EXPECT_THAT(answer.message(), HasSubstr(row.refusal)) << row.reason;
  }
}

TEST(CrdRefusals, NonsenseAboutAServerIsRefusedInASentence) {
  ExpectRefusals(
      kube::kDatabaseServer, "database_server.yaml",
      {{R"({"spec":{"class":"Dedicated"}})", "a Dedicated server holds one tenant",
        "a second tenant would be scheduled onto it"},
       {R"({"spec":{"endpoint":{"host":"postgres://pg:5432/postgres"}}})",
        "host is a DNS name or an IP address only", "libpq would look up the whole text as a name"},
       {R"({"spec":{"endpoint":{"host":"pg.example.com:5432"}}})",
        "write the port into endpoint.port", "the port would be taken for part of the name"},
       {R"({"spec":{"endpoint":{"host":""}}})", "spec.endpoint.host",
        "libpq would connect to a local socket"},
       {R"({"spec":{"endpoint":{"caSecretRef":null}}})",
        "set endpoint.caSecretRef.name to a Secret with key ca.crt",
        "no connection could ever be verified"},
       {R"({"spec":{"endpoint":{"sslMode":"prefer"}}})", "in spite of caSecretRef",
        "somebody who names an authority believes it is used"},
       {R"({"spec":{"endpoint":{"sslMode":"on"}}})", R"(supported values: "disable")",
        "libpq knows no such mode"},
       {R"({"spec":{"endpoint":{"port":0}}})", "spec.endpoint.port", "nothing listens there"},
       {R"({"spec":{"endpoint":{"port":65536}}})", "spec.endpoint.port", "there is no such port"},
       {R"({"spec":{"endpoint":null}})", "spec.endpoint: Required value", "nowhere to connect to"},
       {R"({"spec":{"adminSecretRef":null}})", "spec.adminSecretRef: Required value",
        "nobody to connect as"},
       {R"({"spec":{"adminSecretRef":{"name":"Not A Name"}}})", "spec.adminSecretRef.name",
        "no Secret can be called that"},
       {R"({"spec":{"pooler":{"adminEndpoint":{"host":"pgbouncer:6432"}}}})",
        "write the port into pooler.adminEndpoint.port", "no resolver knows such a name"},
       {R"({"spec":{"pooler":{"adminSecretRef":null}}})",
        "spec.pooler.adminSecretRef: Required value", "the console admits nobody unnamed"},
       {R"({"spec":{"allowedNamespaces":{"names":null}}})",
        "to allow every namespace leave allowedNamespaces out",
        "an empty list could be read as nobody or as everybody"},
       {R"({"spec":{"allowedNamespaces":{"selector":{"matchLabels":{"a":"b"}}}}})",
        "set exactly one of allowedNamespaces.names and allowedNamespaces.selector",
        "either-or and both-and would be a matter of opinion"},
       {R"({"spec":{"allowedNamespaces":{"names":[]}}})", "at least 1 items", "as above"},
       {R"({"spec":{"allowedNamespaces":{"names":null,"selector":{"matchLabels":{}}}}})",
        "at least 1 properties", "a selector without labels would select every namespace"},
       {R"({"spec":{"allowedNamespaces":{"names":["acme","acme"]}}})", "Duplicate value",
        "one of two equal entries is a slip"},
       {R"({"spec":{"capacity":{"tenants":0}}})", "spec.capacity.tenants",
        "unschedulable is how a server is closed"},
       {R"({"spec":{"unschedulabel":true}})", R"(unknown field "spec.unschedulabel")",
        "a slip of the pen would leave the server open"},
       {R"({"spec":{"provision":{"version":"17"}}})", R"(unknown field "spec.provision")",
        "a field of a later version must not be accepted and ignored"}});
}

TEST(CrdRefusals, NonsenseAboutAPlacementIsRefusedInASentence) {
  ExpectRefusals(
      kube::kDatabasePlacement, "database_placement.yaml",
      {{R"({"spec":{"database":{"name":"postgres"}}})", "name the tenant's own database",
        "the server's own database would be fenced"},
       {R"({"spec":{"database":{"name":"template1"}}})", "belong to the server",
        "no new database could be made while it is fenced"},
       {R"({"spec":{"database":{"name":"acme\" OWNER \"eve"}}})",
        "a database name may have letters, digits", "names end up in connection strings"},
       {R"({"spec":{"database":{"name":"-acme"}}})", "rename the database before placing it",
        "programs would take it for an option"},
       {R"({"spec":{"database":{
           "name":"a123456789012345678901234567890123456789012345678901234567890123"}}})",
        "spec.database.name", "PostgreSQL would cut it short and name another database"},
       {R"({"spec":{"database":{"owner":"postgres"}}})",
        "give the database to a role of the tenant's own", "a superuser cannot be locked out"},
       {R"({"spec":{"database":{"owner":"pg_monitor"}}})", "names that begin with pg_",
        "PostgreSQL reserves them"},
       {R"({"spec":{"database":{"owner":"public"}}})", "cannot be a tenant's role",
        "PUBLIC is everybody"},
       {R"({"spec":{"database":{"owner":"a b"}}})", "a role name may have letters, digits",
        "names end up in connection strings"},
       {R"({"spec":{"database":{"passwordSecretRef":null}}})",
        "spec.database.passwordSecretRef: Required value",
        "checks and backups run as the tenant's role"},
       {R"({"spec":{"connection":{"service":null,"secret":null,"configFiles":null,"env":null}}})",
        "connection needs at least one of service, secret, configFiles and env",
        "the tenant could not follow its database"},
       {R"({"spec":{"connection":{"secret":{"keys":{"host":null,"uri":null}}}}})",
        "name at least the key that holds the host", "the Secret would never change"},
       {R"({"spec":{"connection":{"configFiles":[{"format":"OdooConf"}]}}})",
        "set exactly one of configMap and secret", "there would be no file"},
       {R"({"spec":{"connection":{"configFiles":[
           {"configMap":{"name":"a","key":"b"},"secret":{"name":"a","key":"b"}}]}}})",
        "set exactly one of configMap and secret", "one of the two would be ignored"},
       {R"({"spec":{"connection":{"configFiles":[
           {"configMap":{"name":"a","key":"b"},"format":"Env"}]}}})",
        R"(supported values: "OdooConf")", "the file would be edited by the wrong rules"},
       {R"({"spec":{"connection":{"configFiles":[{"volume":{"claimName":"a","path":"b"}}]}}})",
        R"(unknown field "spec.connection.configFiles[0].volume")", "comes in a later version"},
       {R"({"spec":{"connection":{"env":[
           {"workload":{"kind":"Deployment","name":"odoo"},"container":"odoo","port":"PORT"}]}}})",
        "spec.connection.env[0].host: Required value", "the entry would lead nobody anywhere"},
       {R"({"spec":{"connection":{"env":[
           {"workload":{"kind":"Deployment","name":"worker"},"container":"c","host":"HOST"}]}}})",
        "must be listed in workloads too", "it would run on against the source during the move"},
       {R"({"spec":{"workloads":[{"kind":"Deployment","name":"odoo"},
           {"kind":"Deployment","name":"odoo"}]}})",
        "Duplicate value", "its replica count would be recorded twice, the second time as 0"},
       {R"({"spec":{"workloads":[{"kind":"DaemonSet","name":"odoo"}]}})",
        R"(supported values: "Deployment", "StatefulSet", "CronJob")", "it cannot be stopped"},
       {R"({"spec":{"routes":[{"kind":"Service","name":"odoo"}]}})",
        R"(supported values: "Ingress", "HTTPRoute")", "it cannot show a maintenance page"},
       {R"({"spec":{"connection":{"service":{"name":"1db"}}}})", "spec.connection.service.name",
        "no Service can be called that"},
       {R"({"spec":{"serverName":null}})", "spec.serverName: Required value",
        "choosing a server comes in a later version"},
       {R"({"spec":{"profile":{"type":"Wordpress"}}})", R"(supported values: "Odoo", "Generic")",
        "nothing is known of it"},
       {R"({"spec":{"routs":[]}})", R"(unknown field "spec.routs")",
        "users would meet closed doors without a page"}});
}

TEST(CrdRefusals, Trap82_FilesThatWouldBeMovedBesideTheDatabaseAreRefused) {
  ExpectRefusals(kube::kDatabasePlacement, "database_placement.yaml",
                 {{R"({"spec":{"files":{"claimName":"a","path":"/"}}})",
                   R"(unknown field "spec.files")", "files would stay behind"}});
}

TEST(CrdRefusals, NonsenseAboutAMigrationIsRefusedInASentence) {
  ExpectRefusals(
      kube::kTenantMigration, "tenant_migration.yaml",
      {{R"({"metadata":{"name":"a-name-of-forty-one-characters-is-too-long"}})",
        "use at most 40 lower-case letters", "the maintenance page's Service could not be made"},
       {R"({"metadata":{"name":"move.2"}})", "metadata.name becomes part of the names",
        "a Service's name has no dots"},
       {R"({"spec":{"strategy":"Hybrid"}})", R"(supported values: "Offline", "Online")",
        "users would be stopped who were promised to work on"},
       {R"({"spec":{"rehearsal":true}})", R"(unknown field "spec.rehearsal")",
        "a rehearsal would turn out to be the real thing"},
       {R"({"spec":{"backup":null}})", "spec.backup: Required value",
        "somebody has to choose to go without"},
       {R"({"spec":{"backup":{"claimName":null}}})", "or set backup.mode to Skip",
        "there would be nowhere to write to"},
       {R"({"spec":{"backup":{"mode":"Skip"}}})", "remove backup.claimName",
        "somebody who names a claim believes in a backup"},
       {R"({"spec":{"verification":{"level":"None"}}})", R"(supported values: "Counts", "Rows")",
        "nothing switches unverified"},
       {R"({"spec":{"cutover":{"window":{"end":null}}}})",
        "spec.cutover.window.end: Required value", "the window would never close"},
       {R"({"spec":{"cutover":{"window":{"start":null}}}})",
        "spec.cutover.window.start: Required value", "the window would never open"},
       {R"({"spec":{"cutover":{"window":{"end":"2026-11-21T21:59:59Z"}}}})",
        "set cutover.window.end to a later time", "the migration would wait for ever"},
       {R"({"spec":{"cutover":{"window":{"start":"tonight"}}}})", "spec.cutover.window.start",
        "nobody knows when that is"},
       {R"({"spec":{"cutover":{"window":{"start":"2026-11-21T21:00:00"}}}})",
        "spec.cutover.window.start", "without a zone it is another moment for everybody"},
       {R"({"spec":{"cutover":{"window":{"start":"2026-13-41T21:00:00Z"}}}})",
        "spec.cutover.window.start", "there is no such day"},
       {R"({"spec":{"cutover":{"switch":"Pooler"}}})", "or cutover.switch to Restart",
        "clients would wait for as long as the copy takes"},
       {R"({"spec":{"copy":{"replicaIdentity":"Default"}}})",
        R"(supported values: "Refuse", "SetFull")", "updates would fail on the source"},
       {R"({"spec":{"cutover":{"maxWritePauseSeconds":-1}}})", "maxWritePauseSeconds",
        "every attempt would be over before it begins"},
       {R"({"spec":{"cutover":{"approval":"Maybe"}}})",
        R"(supported values: "Automatic", "Manual")", "nobody knows whether to wait"},
       {R"({"spec":{"hypercare":{"onFailedChecks":"Rollback"}}})",
        "or hypercare.onFailedChecks to Hold", "the tenant would come back without the latest"},
       {R"({"spec":{"target":{"serverName":null}}})", "spec.target.serverName: Required value",
        "choosing a server comes in a later version"},
       {R"({"spec":{"target":{"class":"Dedicated"}}})", R"(unknown field "spec.target.class")",
        "as above"},
       {R"({"spec":{"source":{"serverName":"PG 1"}}})", "spec.source.serverName",
        "no server can have that name, so the tenant could be on none of it"},
       {R"({"spec":{"source":{"retentionSeconds":-1}}})", "spec.source.retentionSeconds",
        "the source would be dropped before the move"},
       {R"({"spec":{"source":{"reclaimPolicy":"Drop"}}})",
        R"(supported values: "Retain", "Delete")", "nobody drops a database on a guess"},
       {R"({"spec":{"suspend":"yes"}})", "spec.suspend", "a migration would run that should not"},
       {R"({"spec":{"cutover":{"maintenancePage":{"retryAfterSeconds":0}}}})", "retryAfterSeconds",
        "every browser would come back at once"}});
}

TEST(CrdRefusals, NonsenseAboutACopyIsRefusedInASentence) {
  ExpectRefusals(
      kube::kTenantMigration, "tenant_migration.yaml",
      {{R"({"spec":{"copy":{"jobs":17}}})", "less than or equal to 16",
        "the source would be overrun with connections"},
       {R"({"spec":{"copy":{"jobs":0}}})", "greater than or equal to 1", "nothing would be copied"},
       {R"({"spec":{"copy":{"excludeTables":["a"]}}})", "spec.copy.excludeTables[0]",
        "nobody knows in which schema it is"},
       {R"({"spec":{"copy":{"excludeTables":["public.a","public.a"]}}})", "Duplicate value",
        "one of two equal entries is a slip"},
       {R"({"spec":{"backup":{"mode":"Skip","claimName":null},"copy":{"excludeTables":["public.a"],)"
        R"("accept":["rows of public.b"]}}})",
        "the rows of excluded tables would be nowhere: set backup.mode to Required",
        "they would be lost without anybody having said so"},
       {R"({"spec":{"copy":{"excludeTables":["public.a"]}}})",
        "stays on the source alone: set source.reclaimPolicy to Retain",
        "the last rows would be dropped with the source"},
       {R"({"spec":{"copy":{"maxRateMebibytesPerSecond":-1}}})", "maxRateMebibytesPerSecond",
        "nothing would be read"},
       {R"({"spec":{"copy":{"throttleQuery":""}}})", "spec.copy.throttleQuery",
        "an empty name is a slip"},
       {R"({"spec":{"copy":{"throttleQuery":"SELECT rolpassword FROM pg_authid"}}})",
        "spec.copy.throttleQuery", "it would be asked with the admin's rights"},
       {R"({"spec":{"copy":{"accept":[""]}}})", "spec.copy.accept[0]", "it would accept nothing"}});
}

TEST(CrdRefusals, NonsenseAboutChecksIsRefusedInASentence) {
  ExpectRefusals(
      kube::kTenantMigration, "tenant_migration.yaml",
      {{R"({"spec":{"checks":[{"name":"a","when":["Smoke"]}]}})", "set exactly one of http, sql,",
        "a check without a question always passes"},
       {R"({"spec":{"checks":[{"name":"a","when":["Smoke"],"http":{"url":"http://a.b.svc/"},
           "sql":{"query":"SELECT 1","expected":"1"}}]}})",
        "a check asks one question", "one of the two would be ignored"},
       {R"({"spec":{"checks":[
           {"name":"a","when":["Smoke"],"sql":{"query":"SELECT 1","expected":"1"}},
           {"name":"a","when":["Smoke"],"sql":{"query":"SELECT 2","expected":"2"}}]}})",
        "Duplicate value", "messages could not tell which of them failed"},
       {R"({"spec":{"checks":[{"name":"a","when":[],"http":{"url":"http://a.b.svc/"}}]}})",
        "at least 1 items", "a check that is never asked would pass for one that succeeded"},
       {R"({"spec":{"checks":[{"name":"a","http":{"url":"http://a.b.svc/"}}]}})",
        "spec.checks[0].when: Required value", "as above"},
       {R"({"spec":{"checks":[{"name":"a","when":["Always"],"http":{"url":"http://a.b.svc/"}}]}})",
        R"(supported values: "Preflight", "Smoke", "Hypercare")", "as above"},
       {R"({"spec":{"checks":[{"name":"a","when":["Smoke"],"http":{"url":"https://a.b.svc/"}}]}})",
        "write the url as http://service.namespace.svc:port/path", "checks speak no TLS"},
       {R"({"spec":{"checks":[{"name":"a","when":["Smoke"],"http":{"url":"a.b.svc:8069"}}]}})",
        "a check speaks plain HTTP", "that is no URL"},
       {R"({"spec":{"checks":[{"name":"a","when":["Smoke"],"http":{"url":"http://u:p@a.svc/"}}]}})",
        "must not carry a user or a password", "passwords do not belong into a spec"},
       {R"({"spec":{"hypercare":{"durationSeconds":0}}})", "take Hypercare out of the check's when",
        "the check would never be asked"}});
}

TEST(CrdRefusals, NonsenseAboutThresholdsIsRefusedInASentence) {
  ExpectRefusals(
      kube::kTenantMigration, "tenant_migration.yaml",
      {{R"({"spec":{"checks":[{"name":"a","when":["Hypercare"],"intervalSeconds":1,
           "http":{"url":"http://a.b.svc/"}}]}})",
        "greater than or equal to 5", "users' requests would stand behind ours"},
       {R"({"spec":{"checks":[{"name":"a","when":["Hypercare"],"failureThreshold":0,
           "http":{"url":"http://a.b.svc/"}}]}})",
        "greater than or equal to 1", "it would have failed before it was asked"},
       {R"({"spec":{"checks":[{"name":"a","when":["Hypercare"],"maxLatencyMilliseconds":9,
           "job":{"cronJobRef":{"name":"a"}}}]}})",
        "only the latency of http and sql is measured", "the bound would never hold anything back"},
       {R"({"spec":{"checks":[{"name":"a","when":["Preflight"],
           "job":{"cronJobRef":{"name":"a"}}}]}})",
        "which is not there in Preflight", "it would be told a place that does not exist"},
       {R"({"spec":{"checks":[{"name":"a","when":["Smoke"],"job":{"image":"x"}}]}})",
        R"(unknown field "spec.checks[0].job.image")",
        "another image would run than was asked for"},
       {R"({"spec":{"checks":[{"name":"a","when":["Hypercare"],
           "prometheus":{"url":"http://p.a.svc:9090","query":"up"}}]}})",
        "any value would do: set min or max", "it could not fail"},
       {R"({"spec":{"checks":[{"name":"a","when":["Hypercare"],
           "prometheus":{"url":"http://p.a.svc:9090","query":"up","min":"2","max":"1.5"}}]}})",
        "exchange the two", "it could not pass"},
       {R"({"spec":{"checks":[{"name":"a","when":["Hypercare"],
           "prometheus":{"url":"http://p.a.svc:9090","query":"up","min":"1e3"}}]}})",
        "prometheus.min", "people read 1e3 in more than one way"},
       {R"({"spec":{"checks":[{"name":"a","when":["Hypercare"],
           "prometheus":{"url":"https://p.a.svc:9090","query":"up","min":"1"}}]}})",
        "write the url as http://service.namespace.svc:port", "checks speak no TLS"}});
}

}  // namespace
}  // namespace cutover::testing
