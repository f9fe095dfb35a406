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

std::vector<std::string> WithheldOf(const RoleSet& source, const RoleSet& target) {
  std::vector<std::string> objects;
  for (const WithheldPower& power : FindWithheld(source, target, "uid"))
    objects.push_back(power.object);
  return objects;
}

TEST(FindWithheld, NamesEachPowerOfARoleThatWouldBeCreated) {
  using Objects = std::vector<std::string>;
  EXPECT_EQ(WithheldOf({{Tenant()}, {}}, {}), Objects());
  Role mighty = Tenant();
  mighty.create_database = mighty.create_role = mighty.replication = mighty.bypass_rls = true;
  const Objects all = {"CREATEROLE of role tenant", "REPLICATION of role tenant",
                       "BYPASSRLS of role tenant"};
  EXPECT_EQ(WithheldOf({{mighty}, {}}, {}), all) << "CREATEDB is none";
  Role ours = Tenant();
  ours.comment = "Created by Cutover, migration uid";
  EXPECT_EQ(WithheldOf({{mighty}, {}}, {{ours}, {}}), all) << "whatever it has by now";
  EXPECT_EQ(WithheldOf({{mighty}, {}}, {{mighty}, {}}), Objects()) << "it has them there already";
  mighty.superuser = true;
  EXPECT_EQ(WithheldOf({{mighty}, {}}, {}), Objects()) << "it is not copied";
}

TEST(FindWithheld, NamesAMembershipThatIsNewInARoleThatWasThereBefore) {
  using Objects = std::vector<std::string>;
  Role group;
  group.name = "group";
  const RoleSet source{{Tenant(), group}, {{"group", "tenant"}, {"pg_monitor", "tenant"}}};
  EXPECT_EQ(WithheldOf(source, {}), Objects());
  EXPECT_EQ(WithheldOf(source, {{group}, {}}), Objects{"membership of tenant in group"});
  EXPECT_EQ(WithheldOf(source, {{group, Tenant()}, {}}), Objects()) << "none is given";
  group.comment = "Created by Cutover, migration uid";
  EXPECT_EQ(WithheldOf(source, {{group}, {}}), Objects()) << "it came with this tenant";
}

TEST(CompareRoles, ASuperuserIsNeverCreated) {
  Role super = Tenant();
  super.superuser = true;
  EXPECT_EQ(VerdictOn(super, {}), RoleVerdict::kSuperuser);
}

}  // namespace
}  // namespace cutover::pg
