// SPDX-License-Identifier: Apache-2.0
#include "cli/view/redact.h"

#include <gtest/gtest.h>

namespace cutover::cli {
namespace {

TEST(Redact, PasswordsInTextsGoAndTheRestStays) {
  EXPECT_EQ(WithoutPasswords("postgresql://u:geheim@a:5432/db and amqp://x:y@z failed"),
            "postgresql://u:...@a:5432/db and amqp://x:...@z failed");
  EXPECT_EQ(WithoutPasswords("host=a password=geheim user=b"), "host=a password=(removed) user=b");
  EXPECT_EQ(WithoutPasswords("db_password = geheim\nworkers = 2"),
            "db_password = (removed)\nworkers = 2");
  EXPECT_EQ(WithoutPasswords("the tenant's password is refused"),
            "the tenant's password is refused");
  EXPECT_EQ(WithoutPasswords("http://odoo.acme.svc:8069/web/login"),
            "http://odoo.acme.svc:8069/web/login");
}

TEST(Redact, PasswordsGoHoweverTheyAreQuoted) {
  EXPECT_EQ(WithoutPasswords(R"({"user":"u","password":"ge heim","n":1})"),
            R"({"user":"u","password":(removed),"n":1})");
  EXPECT_EQ(WithoutPasswords(R"(said {\"password\": \"geheim, x\", \"n\": 1})"),
            R"(said {\"password\": (removed), \"n\": 1})");
  EXPECT_EQ(WithoutPasswords("STATEMENT: alter role u PASSWORD 'ge heim' login"),
            "STATEMENT: alter role u PASSWORD (removed) login");
  EXPECT_EQ(WithoutPasswords("password='ge heim"), "password=(removed)");
  EXPECT_EQ(WithoutPasswords("password ends here: the password"),
            "password ends here: the password");
}

TEST(Redact, OdoosMasterPasswordIsOne) {
  EXPECT_EQ(WithoutPasswords("admin_passwd = geheim\nworkers = 2"),
            "admin_passwd = (removed)\nworkers = 2");
}

TEST(Redact, ASettingWhoseNameSaysSoLosesItsWholeValue) {
  for (const char* name : {"admin_passwd", "db_password", "SECRET_KEY_BASE", "api-token", "s3.key",
                           "smtp_passwd", "  client_secret", "\"hmac_key\"", "\tlicense_keys"}) {
    const std::string line = std::string(name) + " = ge heim, und mehr";
    EXPECT_EQ(WithoutSecretSettings(line), std::string(name) + " = (removed)");
  }
  EXPECT_EQ(WithoutSecretSettings("admin_passwd\t=\tgeheim"), "admin_passwd\t=\t(removed)");
  EXPECT_EQ(WithoutSecretSettings("admin_passwd: geheim"), "admin_passwd: (removed)");
}

TEST(Redact, ASecretSettingInTheMidstOfALineLeavesTheOthers) {
  EXPECT_EQ(WithoutSecretSettings("host=a sslkey=geheim user=b"), "host=a sslkey=(removed) user=b");
  EXPECT_EQ(WithoutSecretSettings("url = https://a/?access_token=geheim"),
            "url = https://a/?access_token=(removed)");
  for (const char* line : {"db_host = a", "the key is under the mat", "", "key", "key ="})
    EXPECT_EQ(WithoutSecretSettings(line), line);
}

TEST(Redact, EnvironmentVariablesThatNameASecretLoseTheirValue) {
  const Json document = Json::Object(
      {{"env", Json::Array({Json::Object({{"name", "PGPASSWORD"}, {"value", "geheim"}}),
                            Json::Object({{"name", "PGUSER"}, {"value", "acme"}})})}});
  const std::string text = Redacted(document).Dump();
  EXPECT_EQ(text.find("geheim"), std::string::npos);
  EXPECT_NE(text.find("acme"), std::string::npos);
}

TEST(Redact, WhateverASecretHoldsGoesWhereverItStands) {
  const Json document = Json::Object(
      {{"items", Json::Array({Json::Object({{"kind", "Secret"},
                                            {"data", Json::Object({{"k", "Z2VoZWlt"}})},
                                            {"metadata", Json::Object({{"name", "s"}})}})})},
       {"adminPassword", "geheim"},
       {"passwordSecretRef", Json::Object({{"name", "odoo-db"}, {"key", "password"}})}});
  const std::string text = Redacted(document).Dump();
  EXPECT_EQ(text.find("geheim"), std::string::npos);
  EXPECT_EQ(text.find("Z2VoZWlt"), std::string::npos);
  EXPECT_NE(text.find("odoo-db"), std::string::npos);
}

TEST(Redact, CopiesOfTheObjectThatNobodyLooksAtAreLeftOut) {
  const Json document = Json::Object(
      {{"metadata",
        Json::Object(
            {{"managedFields", Json::Array({Json(1)})},
             {"annotations",
              Json::Object({{"kubectl.kubernetes.io/last-applied-configuration", "{}"}})}})}});
  EXPECT_EQ(Redacted(document).Dump(), "{\"metadata\":{\"annotations\":{}}}");
}

}  // namespace
}  // namespace cutover::cli
