// SPDX-License-Identifier: Apache-2.0
#include "postgres/roles.h"

#include <gtest/gtest.h>

#include <functional>

namespace cutover::pg {
namespace {

Role Tenant() {
  Role role;
  role.name = "tenant";
  role.can_login = true;
  role.verifier = "SCRAM-SHA-256$4096:salt$stored:server";
  return role;
}

RoleVerdict VerdictOn(const Role& source, const std::vector<Role>& target) {
  auto findings = CompareRoles(RoleSet{{source}, {}}, RoleSet{target, {}});
  EXPECT_EQ(findings.size(), 1u);
  return findings.at(0).verdict;
}

TEST(CompareRoles, AbsentIsCreatedAndEqualIsKept) {
  EXPECT_EQ(VerdictOn(Tenant(), {}), RoleVerdict::kCreate);
  EXPECT_EQ(VerdictOn(Tenant(), {Tenant()}), RoleVerdict::kSame);
}

TEST(CompareRoles, ACommentDoesNotMakeAnotherRole) {
  Role other = Tenant();
  other.comment = "Created by Cutover, migration x";
  EXPECT_EQ(VerdictOn(Tenant(), {other}), RoleVerdict::kSame);
}

TEST(CompareRoles, AnyOtherAttributeOrPasswordIsAClash) {
  const std::vector<std::function<void(Role&)>> changes = {
      [](Role& role) { role.superuser = true; },   [](Role& role) { role.inherit = false; },
      [](Role& role) { role.create_role = true; }, [](Role& role) { role.create_database = true; },
      [](Role& role) { role.can_login = false; },  [](Role& role) { role.replication = true; },
      [](Role& role) { role.bypass_rls = true; },  [](Role& role) { role.connection_limit = 3; },
      [](Role& role) { role.verifier = "other"; }, [](Role& role) { role.valid_until = "2030"; }};
  for (size_t change = 0; change < changes.size(); ++change) {
    Role other = Tenant();
    changes[change](other);
    EXPECT_EQ(VerdictOn(Tenant(), {other}), RoleVerdict::kClash) << change;
  }
}

TEST(CompareRoles, TheMessageOfAClashHoldsNoVerifier) {
  Role other = Tenant();
  other.verifier = "SCRAM-SHA-256$4096:other";
  auto findings = CompareRoles(RoleSet{{Tenant()}, {}}, RoleSet{{other}, {}});
  EXPECT_EQ(findings.at(0).message.find("SCRAM"), std::string::npos);
}

TEST(CompareRoles, ASuperuserIsNeverCreated) {
  Role super = Tenant();
  super.superuser = true;
  EXPECT_EQ(VerdictOn(super, {}), RoleVerdict::kSuperuser);
}

}  // namespace
}  // namespace cutover::pg
