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

TEST(LeaveOut, TakesOutWhatIsAcceptedByItsNameAndNothingElse) {
  Role tenant = Tenant(), other = Tenant();
  other.name = "other";
  tenant.settings = {{"tenant", "gone", "1"}, {"tenant", "work_mem", "5MB"}};
  tenant.labels = {{"absent", "secret"}, {"there", "secret"}};
  RoleSet roles{{tenant, other}, {}};
  LeaveOut({"role other", "setting gone of role tenant", "setting work_mem of role other",
            "security labels of absent"},
           roles);
  ASSERT_EQ(roles.roles.size(), 1u);
  EXPECT_EQ(roles.roles[0].settings, (std::vector<StoredSetting>{{"tenant", "work_mem", "5MB"}}));
  EXPECT_EQ(roles.roles[0].labels, (std::vector<SecurityLabel>{{"there", "secret"}}));
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

TEST(FindWithheld, NamesAMembershipOfARoleThatIsTheSameByItsNameOnly) {
  using Objects = std::vector<std::string>;
  Role group, readers;
  group.name = "group";
  readers.name = "readers";
  const RoleSet source{{readers, group}, {{"group", "readers"}}};
  EXPECT_EQ(WithheldOf(source, {}), Objects());
  EXPECT_EQ(WithheldOf(source, {{readers}, {}}), Objects{"membership of readers in group"});
  readers.comment = "Created by Cutover, migration uid";
  EXPECT_EQ(WithheldOf(source, {{readers}, {}}), Objects()) << "it came with this tenant";
}

TEST(FindTakenByName, NamesRolesThatNoPasswordProvesToBeTheSame) {
  auto taken = [](const Role& source, const Role& target) {
    return !FindTakenByName({{source}, {}}, {{target}, {}}, "uid").empty();
  };
  EXPECT_FALSE(taken(Tenant(), Tenant()));
  EXPECT_TRUE(FindTakenByName({{Tenant()}, {}}, {}, "uid").empty()) << "it is created";
  Role nobody = Tenant(), bare = Tenant(), unread = Tenant(), other = Tenant();
  nobody.can_login = false;
  EXPECT_TRUE(taken(nobody, nobody)) << "its members use it, whatever its password";
  bare.verifier.clear();
  EXPECT_TRUE(taken(bare, bare));
  unread.verifier_known = false;
  EXPECT_TRUE(taken(unread, Tenant()));
  EXPECT_TRUE(taken(Tenant(), unread));
  other.verifier = "other";
  EXPECT_FALSE(taken(Tenant(), other)) << "a clash is another matter";
  nobody.comment = "Created by Cutover, migration uid";
  EXPECT_FALSE(taken(nobody, nobody)) << "it came with this tenant";
  nobody.comment = "Created by Cutover, migration other";
  EXPECT_TRUE(taken(nobody, nobody));
}

TEST(CompareRoles, ASuperuserIsNeverCreated) {
  Role super = Tenant();
  super.superuser = true;
  EXPECT_EQ(VerdictOn(super, {}), RoleVerdict::kSuperuser);
}

Role Group(const std::string& comment = "") {
  Role role;
  role.name = "group";
  role.comment = comment;
  return role;
}

/// What becomes of `membership`, tenant in group, when the target has these roles and memberships.
MembershipVerdict Judge(const std::vector<Role>& target,
                        Membership membership = {"group", "tenant"},
                        const std::vector<Membership>& given = {}) {
  const RoleSet source{{Tenant(), Group()}, {membership}};
  auto verdicts = JudgeMemberships(source, RoleSet{target, given}, "ours");
  EXPECT_EQ(verdicts.size(), 1u);
  return verdicts.at(0);
}

TEST(JudgeMemberships, AreOursToGiveWhereTheMoveBringsTheGroup) {
  const std::string mark = "Created by Cutover, migration ours";
  Role ours = Tenant();
  ours.comment = mark;
  EXPECT_EQ(Judge({}), MembershipVerdict::kGrant);
  EXPECT_EQ(Judge({Tenant()}), MembershipVerdict::kGrant);
  EXPECT_EQ(Judge({Tenant(), Group(mark)}), MembershipVerdict::kGrant);
  EXPECT_EQ(Judge({Group()}), MembershipVerdict::kOfStranger);
  EXPECT_EQ(Judge({ours, Group()}), MembershipVerdict::kOfStranger);
  EXPECT_EQ(Judge({Tenant(), Group()}), MembershipVerdict::kLeft);
}

TEST(JudgeMemberships, OfARoleThatNoPasswordProvesAreAStrangers) {
  Role readers;
  readers.name = "readers";
  const RoleSet source{{readers, Group()}, {{"group", "readers"}}};
  auto judge = [&](const RoleSet& target) { return JudgeMemberships(source, target, "ours")[0]; };
  EXPECT_EQ(judge({{readers}, {}}), MembershipVerdict::kToStranger);
  EXPECT_EQ(judge({{readers, Group("Created by Cutover, migration ours")}, {}}),
            MembershipVerdict::kToStranger);
  EXPECT_EQ(judge({{readers, Group()}, {}}), MembershipVerdict::kLeft);
  EXPECT_EQ(judge({{readers, Group()}, {{"group", "readers", false, true, true}}}),
            MembershipVerdict::kThere);
}

TEST(JudgeMemberships, IsNeverGivenInWhatReachesBeyondTheDatabase) {
  Role super = Group();
  super.reaches_beyond = true;
  EXPECT_EQ(Judge({super}), MembershipVerdict::kReachesBeyond);
  EXPECT_EQ(Judge({Tenant(), super}), MembershipVerdict::kReachesBeyond);
  Membership in_superuser{"group", "tenant"};
  in_superuser.of_superuser = true;
  EXPECT_EQ(Judge({}, in_superuser), MembershipVerdict::kReachesBeyond);
  EXPECT_EQ(Judge({Group()}, in_superuser), MembershipVerdict::kReachesBeyond);
  EXPECT_EQ(Judge({}, {"pg_monitor", "tenant"}), MembershipVerdict::kReachesBeyond);
}

TEST(JudgeMemberships, IsThereOnlyWithAllThatItMay) {
  const Membership wanted{"group", "tenant", true, false, true};
  auto judge = [&wanted](const std::vector<Membership>& given) {
    return Judge({Tenant(), Group()}, wanted, given);
  };
  EXPECT_EQ(judge({{"group", "tenant", true, true, true}}), MembershipVerdict::kThere);
  EXPECT_EQ(
      judge({{"group", "tenant", true, false, false}, {"group", "tenant", false, true, true}}),
      MembershipVerdict::kThere);
  EXPECT_EQ(judge({{"group", "tenant", false, false, true}}), MembershipVerdict::kLeft);
  EXPECT_EQ(judge({{"group", "other", true, true, true}}), MembershipVerdict::kLeft);
}

TEST(JudgeMemberships, AsksNothingOfARoleThatClashes) {
  Role other = Tenant();
  other.can_login = false;
  EXPECT_EQ(Judge({other, Group()}), MembershipVerdict::kNotAsked);
}

TEST(MissingSettings, AreThoseThatAreAbsentOrOtherwise) {
  Role source = Tenant(), target = Tenant();
  source.settings = {{"tenant", "same", "1"}, {"tenant", "other", "1"}, {"tenant", "absent", "1"}};
  target.settings = {{"tenant", "same", "1"}, {"tenant", "other", "2"}, {"tenant", "more", "1"}};
  const std::vector<StoredSetting> missing = MissingSettings(source, target);
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_EQ(missing[0].name, "other");
  EXPECT_EQ(missing[1].name, "absent");
}

TEST(StillLeftBehind, AreThoseWhomTheTargetHasNotInTheSameGroup) {
  RoleSet source, target;
  source.left_behind = {{"readers", {"alice", "bob"}}, {"writers", {"alice"}}};
  target.memberships = {{"readers", "alice"}, {"writers", "alice"}};
  const std::vector<MembersLeftBehind> left = StillLeftBehind(source, target);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].group, "readers");
  EXPECT_EQ(left[0].members, std::vector<std::string>{"bob"});
}

}  // namespace
}  // namespace cutover::pg
