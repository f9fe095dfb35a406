// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/obstacles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cutover::mover {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const Obstacle kTrigger{"EVENT TRIGGER tell", "no superuser", "be one"};
const Obstacle kRole{"role bob", "another one", "rename it"};
const Obstacle kServer{"target server", "a standby", "use the primary", false};

TEST(WaiveObstacles, AllThatAreNotAcceptedAreNamedAtOnceWithTheirRemedies) {
  auto waived = WaiveObstacles({kTrigger, kRole, kServer}, {"role bob"});
  ASSERT_FALSE(waived);
  EXPECT_EQ(waived.error().reason, "Obstacles");
  EXPECT_EQ(waived.error().disposition, Disposition::kTerminal);
  EXPECT_THAT(waived.error().message,
              AllOf(HasSubstr("EVENT TRIGGER tell: no superuser; be one"),
                    HasSubstr("target server: a standby"), Not(HasSubstr("role bob"))));
}

TEST(WaiveObstacles, AcceptedOnesAreHandedBack) {
  auto waived = WaiveObstacles({kTrigger, kRole}, {"role bob", "EVENT TRIGGER tell"});
  ASSERT_TRUE(waived) << waived.error().message;
  EXPECT_THAT(*waived, ElementsAre(kTrigger, kRole));
  EXPECT_TRUE(WaiveObstacles({}, {}));
}

TEST(WaiveObstacles, SomeCannotBeAccepted) {
  auto waived = WaiveObstacles({kServer}, {"target server"});
  ASSERT_FALSE(waived);
  EXPECT_THAT(waived.error().message, HasSubstr("cannot be accepted"));
}

TEST(WaiveObstacles, AcceptingNothingThatIsThereIsAnError) {
  auto waived = WaiveObstacles({kRole}, {"role bob", "role bobb"});
  ASSERT_FALSE(waived);
  EXPECT_EQ(waived.error().reason, "NothingToAccept");
  EXPECT_THAT(waived.error().message,
              AllOf(HasSubstr("'role bobb'"), Not(HasSubstr("'role bob'"))));
}

RestoreItem Item(int id, const char* type, const char* name, std::vector<int> depends_on = {},
                 const char* sql = "") {
  RestoreItem item;
  item.dump_id = id;
  item.type = type;
  item.name = name;
  item.schema = "-";
  item.depends_on = std::move(depends_on);
  item.sql = sql;
  return item;
}

std::vector<int> Ids(const RestoreScript& script) {
  std::vector<int> ids;
  for (const RestoreItem& item : script.items) ids.push_back(item.dump_id);
  return ids;
}

TEST(LeaveOut, AnEntryGoesWithWhatHangsOnItAndNothingElse) {
  RestoreScript script;
  script.items = {Item(1, "EVENT TRIGGER", "tell"),
                  Item(2, "COMMENT", "EVENT TRIGGER tell", {1}),
                  Item(3, "EVENT TRIGGER", "tell me"),
                  Item(4, "TABLE", "t", {1}),
                  Item(5, "USER MAPPING", "USER MAPPING bob SERVER s"),
                  Item(6, "PUBLICATION", "p"),
                  Item(7, "PUBLICATION TABLE", "p t", {6, 4})};
  LeaveOut({kTrigger, {"USER MAPPING bob SERVER s", "", ""}, {"PUBLICATION p", "", ""}}, script);
  EXPECT_THAT(Ids(script), ElementsAre(3, 4));
}

TEST(LeaveOut, LabelsGoByTheirProvider) {
  RestoreScript script;
  script.items = {
      Item(1, "SECURITY LABEL", "TABLE t", {},
           "SECURITY LABEL FOR guard ON TABLE t IS 'a;b';\n"
           "SECURITY LABEL FOR \"other one\" ON COLUMN t.a IS 'x';\n"),
      Item(2, "SECURITY LABEL", "TABLE u", {}, "SECURITY LABEL FOR guard ON TABLE u IS 'y';\n")};
  LeaveOut({{"security labels of guard", "", ""}}, script);
  ASSERT_THAT(Ids(script), ElementsAre(1));
  EXPECT_EQ(script.items[0].sql, "SECURITY LABEL FOR \"other one\" ON COLUMN t.a IS 'x';\n");
}

TEST(LeaveOut, RolesSettingsAndExtensionsGoToo) {
  pg::RoleSet roles;
  roles.roles.resize(2);
  roles.roles[0].name = "bob";
  roles.roles[1].name = "alice";
  roles.roles[1].settings = {{"alice", "work_mem", "1"}, {"alice", "odd", "1"}};
  LeaveOut(std::vector<Obstacle>{kRole, {"setting odd of role alice", "", ""}}, roles);
  ASSERT_EQ(roles.roles.size(), 1u);
  EXPECT_EQ(roles.roles[0].settings.size(), 1u);
  pg::DatabaseProperties properties;
  properties.settings = {{"", "odd", "1"}, {"bob", "odd", "1"}};
  LeaveOut({{"database setting odd of role bob", "", ""}}, properties);
  EXPECT_THAT(properties.settings, ElementsAre(pg::StoredSetting{"", "odd", "1"}));
  std::vector<Extension> extensions(1);
  extensions[0].name = "pg_cron";
  LeaveOut({{"extension pg_cron", "", ""}}, extensions);
  EXPECT_THAT(extensions, IsEmpty());
}

}  // namespace
}  // namespace cutover::mover
