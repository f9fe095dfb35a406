// SPDX-License-Identifier: Apache-2.0
#include "postgres/database.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <thread>

#include "postgres/fence.h"
#include "postgres/roles.h"
#include "postgres/sequences.h"
#include "tests/postgres/servers.h"

namespace cutover::pg {
namespace {

using testing::DropAtEnd;
using testing::MustConnect;
using testing::MustExec;
using testing::MustRead;
using testing::Servers;
using testing::Soon;
using testing::TestDatabase;
using testing::TestRole;
using testing::UniqueName;

/// A tenant on the source, and the target's server without it.
class TwoSides : public ::testing::Test {
 protected:
  DatabaseProperties Properties() { return **FindDatabase({}, Soon(), source_, database_.name()); }
  Status Create() {
    return CreateTargetDatabase({}, Soon(), Servers().target, Properties(), claim_);
  }
  ConnectOptions TargetOptions() { return Servers().target.WithDatabase(database_.name()); }
  Status CopyRoles() {
    TRY_ASSIGN(RoleSet roles, ReadReferencedRoles({}, Soon(), source_));
    TRY_ASSIGN(Connection target, Connection::Open({}, Soon(), TargetOptions()));
    return WithEpoch({}, Soon(), target, claim_, [&](Transaction& transaction, const Control&) {
      return CreateRoles({}, Soon(), transaction, roles, claim_.migration_uid);
    });
  }
  Status MoveTo(ControlState from, ControlState to) {
    TRY_ASSIGN(Connection target, Connection::Open({}, Soon(), TargetOptions()));
    return CompareAndSetState({}, Soon(), target, claim_, from, to);
  }
  ConnectOptions TenantOnTarget() {
    ConnectOptions options = TargetOptions();
    options.user = owner_.name();
    options.password = owner_.password();
    return options;
  }
  ~TwoSides() override {
    Connection server = MustConnect(Servers().target);
    MustExec(server, {"DROP DATABASE IF EXISTS " + database_.quoted() + " WITH (FORCE)"});
    auto left = DropCreatedRoles({}, Soon(), server, claim_.migration_uid);
    EXPECT_TRUE(left && left->empty());
  }

  TestRole owner_{Servers().source};
  TestDatabase database_{Servers().source, owner_.name(), "odd \"db\""};
  Connection source_ = MustConnect(database_.Options());
  Claim claim_{UniqueName("uid"), 1, Side::kTarget};
};

TEST_F(TwoSides, TheTargetDatabaseIsLikeTheSourceAndFencedFromItsFirstMoment) {
  Status created = Create();
  ASSERT_TRUE(created) << created.error().message;
  Connection target = MustConnect(TargetOptions());
  auto properties = FindDatabase({}, Soon(), target, database_.name());
  ASSERT_TRUE(properties && *properties);
  const DatabaseProperties source = Properties();
  EXPECT_EQ((*properties)->encoding, source.encoding);
  EXPECT_EQ((*properties)->collate, source.collate);
  EXPECT_EQ((*properties)->ctype, source.ctype);
  EXPECT_EQ((*properties)->locale_provider, source.locale_provider);
  Status proof = ProveFenced({}, Soon(), target);
  EXPECT_TRUE(proof) << proof.error().message;
  EXPECT_EQ((*ReadControl({}, Soon(), target))->state, ControlState::kPreparing);
}

TEST_F(TwoSides, CreatingIsRepeatableAfterACrashAtAnyStep) {
  Connection server = MustConnect(Servers().target);
  // Crashed right after CREATE DATABASE: only the provisional name says whose it is.
  MustExec(server, {"CREATE DATABASE " + QuoteIdentifier("cutover_new_" + claim_.migration_uid) +
                    " TEMPLATE template0"});
  ASSERT_TRUE(Create());
  ASSERT_TRUE(Create());
  EXPECT_EQ(
      MustRead(server, "SELECT datname FROM pg_database WHERE datname = ANY ($1::text[])",
               {std::vector<std::string>{database_.name(), "cutover_new_" + claim_.migration_uid}}),
      std::vector<std::string>{database_.name()});
}

TEST_F(TwoSides, ADatabaseOfSomebodyElseIsNeitherTakenNorDropped) {
  Connection server = MustConnect(Servers().target);
  MustExec(server, {"CREATE DATABASE " + database_.quoted()});
  Status created = Create();
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().reason, "DatabaseExists");
  Status dropped = DropDatabase({}, Soon(), Servers().target, database_.name(), claim_);
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().reason, "NotClaimed");
  EXPECT_EQ(
      MustRead(server, "SELECT datname FROM pg_database WHERE datname = $1", {database_.name()})
          .size(),
      1u);
}

TEST_F(TwoSides, UndoDropsDatabaseAndRolesAndMayBeRepeated) {
  ASSERT_TRUE(Create());
  ASSERT_TRUE(CopyRoles());
  ASSERT_TRUE(DropDatabase({}, Soon(), Servers().target, database_.name(), claim_));
  ASSERT_TRUE(DropDatabase({}, Soon(), Servers().target, database_.name(), claim_));
  Connection server = MustConnect(Servers().target);
  auto left = DropCreatedRoles({}, Soon(), server, claim_.migration_uid);
  ASSERT_TRUE(left);
  EXPECT_TRUE(left->empty());
  EXPECT_TRUE(
      MustRead(server, "SELECT 1 FROM pg_roles WHERE rolname = $1", {owner_.name()}).empty());
}

// As a server that dies in DROP DATABASE leaves it: its control row cannot be read any more.
TEST_F(TwoSides, WhatIsLeftOfADropThatWasCutShortIsDropped) {
  ASSERT_TRUE(Create());
  Connection server = MustConnect(Servers().target);
  EXPECT_FALSE(*IsHalfDropped({}, Soon(), server, database_.name()));
  MustExec(server, {"UPDATE pg_database SET datconnlimit = -2 WHERE datname = " +
                    QuoteLiteral(database_.name())});
  EXPECT_FALSE(Connection::Open({}, Soon(), Servers().target.WithDatabase(database_.name())));
  EXPECT_TRUE(*IsHalfDropped({}, Soon(), server, database_.name()));
  Status dropped = DropDatabase({}, Soon(), Servers().target, database_.name(), claim_);
  EXPECT_TRUE(dropped) << dropped.error().message;
  EXPECT_TRUE(
      MustRead(server, "SELECT 1 FROM pg_database WHERE datname = $1", {database_.name()}).empty());
}

TEST_F(TwoSides, AnOpenTargetIsNeverDropped) {
  ASSERT_TRUE(Create());
  ASSERT_TRUE(CopyRoles());
  ASSERT_TRUE(MoveTo(ControlState::kPreparing, ControlState::kCopied));
  ASSERT_TRUE(MoveTo(ControlState::kCopied, ControlState::kVerified));
  {
    Connection target = MustConnect(TargetOptions());
    ASSERT_TRUE(OpenDatabase({}, Soon(), target, claim_, Properties().access));
  }
  Status dropped = DropDatabase({}, Soon(), Servers().target, database_.name(), claim_);
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().reason, "StateMismatch");
}

TEST_F(TwoSides, ATargetFencedBeforeItOpenedIsOpenedByNobody) {
  ASSERT_TRUE(Create());
  ASSERT_TRUE(MoveTo(ControlState::kPreparing, ControlState::kCopied));
  ASSERT_TRUE(MoveTo(ControlState::kCopied, ControlState::kVerified));
  {
    Connection target = MustConnect(TargetOptions());
    Claim next = claim_;
    next.epoch += 1;
    Status fenced = Fence({}, Soon(), target, next);
    ASSERT_TRUE(fenced) << fenced.error().message;
    for (const Claim& late : {claim_, next}) {
      Status opened = OpenDatabase({}, Soon(), target, late, Properties().access);
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().reason, late.epoch == claim_.epoch ? "Deposed" : "StateMismatch");
    }
    claim_ = next;
  }
  EXPECT_TRUE(DropDatabase({}, Soon(), Servers().target, database_.name(), claim_));
}

TEST_F(TwoSides, ADropThatFrozeInItsMiddleDoesNothingOnceAnotherLeaderDrops) {
  ASSERT_TRUE(Create());
  // Holds every drop where it looks for subscriptions: after its mark, before DROP DATABASE.
  Connection elsewhere = MustConnect(Servers().target);
  MustExec(elsewhere, {"BEGIN", "LOCK TABLE pg_subscription IN ACCESS EXCLUSIVE MODE"});
  auto drop = [this](int64_t epoch) {
    Claim claim = claim_;
    claim.epoch = epoch;
    return DropDatabase({}, Soon(), Servers().target, database_.name(), claim);
  };
  auto wait_for = [&elsewhere](const std::string& condition) {
    for (const Deadline deadline = Soon(); !deadline.Expired();) {
      if (MustRead(elsewhere, "SELECT (" + condition + ")::text").front() == "true") return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  };
  const std::string held =
      "SELECT count(*) FROM pg_locks WHERE relation = 'pg_subscription'::regclass AND NOT granted";
  // Of this database alone: other cases drop theirs at the same time.
  const std::string dropping =
      "SELECT coalesce(min(pid), 0) FROM pg_locks WHERE locktype = 'advisory' AND granted"
      " AND classid = 4853715 AND objid = (hashtext('" +
      database_.name() + "')::bigint & 4294967295)::oid";
  std::future<Status> frozen = std::async(std::launch::async, drop, claim_.epoch);
  ASSERT_TRUE(wait_for("(" + dropping + ") > 0 AND (" + held + ") > 0"));
  std::string first = MustRead(elsewhere, dropping).front();
  std::future<Status> later = std::async(std::launch::async, drop, claim_.epoch + 1);
  EXPECT_TRUE(wait_for("(" + dropping + ") <> " + first)) << "the first session goes on";
  MustExec(elsewhere, {"COMMIT"});
  EXPECT_FALSE(frozen.get());
  Status dropped = later.get();
  EXPECT_TRUE(dropped) << dropped.error().message;
}

TEST_F(TwoSides, OnlyAVerifiedTargetOpensAndThenTheTenantHasItsPasswordAndItsAccess) {
  MustExec(source_, {"GRANT TEMPORARY ON DATABASE " + database_.quoted() + " TO " +
                         owner_.quoted() + " WITH GRANT OPTION",
                     "ALTER DATABASE " + database_.quoted() + " CONNECTION LIMIT 33"});
  ASSERT_TRUE(Create());
  Status roles = CopyRoles();
  ASSERT_TRUE(roles) << roles.error().message;
  const DatabaseAccess access = Properties().access;
  Connection target = MustConnect(TargetOptions());
  Status too_early = OpenDatabase({}, Soon(), target, claim_, access);
  ASSERT_FALSE(too_early);
  EXPECT_EQ(too_early.error().reason, "StateMismatch");
  EXPECT_FALSE(Connection::Open({}, Soon(), TenantOnTarget()));
  ASSERT_TRUE(MoveTo(ControlState::kPreparing, ControlState::kCopied));
  ASSERT_TRUE(MoveTo(ControlState::kCopied, ControlState::kVerified));
  Status opened = OpenDatabase({}, Soon(), target, claim_, access);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(*ReadAccess({}, Soon(), target, database_.name()), access);
  auto tenant = Connection::Open({}, Soon(), TenantOnTarget());
  ASSERT_TRUE(tenant) << tenant.error().message;
}

TEST_F(TwoSides, StoredSettingsAndCommentAreCarriedAndRefusedOnesReported) {
  MustExec(source_, {"COMMENT ON DATABASE " + database_.quoted() + " IS 'it''s mine'",
                     "ALTER DATABASE " + database_.quoted() +
                         " SET search_path = \"$user\", public, \"odd, one\"",
                     "ALTER ROLE " + owner_.quoted() + " IN DATABASE " + database_.quoted() +
                         " SET work_mem = '17MB'",
                     // As policies ask for; a reserved word.
                     "ALTER DATABASE " + database_.quoted() + " SET app.\"current_user\" = ''",
                     // Gone in 17, so the target must refuse it.
                     "ALTER DATABASE " + database_.quoted() + " SET force_parallel_mode = off"});
  ASSERT_TRUE(Create());
  ASSERT_TRUE(CopyRoles());
  Connection target = MustConnect(TargetOptions());
  const DatabaseProperties source = Properties();
  std::vector<SkippedSetting> skipped;
  Status applied = WithEpoch(
      {}, Soon(), target, claim_, [&](Transaction& transaction, const Control&) -> Status {
        TRY_ASSIGN(skipped, ApplyDatabaseProperties({}, Soon(), transaction, source));
        return Ok();
      });
  ASSERT_TRUE(applied) << applied.error().message;
  DatabaseProperties reached = **FindDatabase({}, Soon(), target, database_.name());
  EXPECT_EQ(reached.comment, "it's mine");
  ASSERT_EQ(skipped.size(), 1u);
  EXPECT_EQ(skipped[0].setting.name, "force_parallel_mode");
  std::vector<StoredSetting> expected = source.settings;
  std::erase(expected, skipped[0].setting);
  EXPECT_EQ(reached.settings, expected);
}

TEST_F(TwoSides, ARoleThatIsAnotherOneOnTheTargetIsAClashAndStaysUntouched) {
  Connection server = MustConnect(Servers().target);
  MustExec(server, {"CREATE ROLE " + owner_.quoted() + " LOGIN CREATEDB PASSWORD 'another'"});
  const std::string verifier_query = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
  const auto before = MustRead(server, verifier_query, {owner_.name()});
  ASSERT_TRUE(Create());
  Status copied = CopyRoles();
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().reason, "RoleClash");
  EXPECT_EQ(copied.error().message.find("SCRAM"), std::string::npos);
  EXPECT_EQ(MustRead(server, verifier_query, {owner_.name()}), before);
  MustExec(server, {"DROP ROLE " + owner_.quoted()});
}

TEST_F(TwoSides, CopyingRolesTwiceFindsThemTheSame) {
  ASSERT_TRUE(Create());
  ASSERT_TRUE(CopyRoles());
  Status again = CopyRoles();
  EXPECT_TRUE(again) << again.error().message;
}

TEST_F(TwoSides, ReferencedRolesAreThoseOfTheTenantAndNoOthers) {
  TestRole grantee(Servers().source, "", "grantee");
  TestRole member(Servers().source, "", "member");
  TestRole group(Servers().source, "", "group");
  TestRole neighbour(Servers().source, "", "neighbour");
  MustExec(source_,
           {"CREATE TABLE public.t (a int)", "ALTER TABLE public.t OWNER TO " + owner_.quoted(),
            "GRANT SELECT ON public.t TO " + grantee.quoted(),
            "GRANT " + owner_.quoted() + " TO " + member.quoted(),
            "GRANT " + group.quoted() + " TO " + owner_.quoted(),
            "GRANT " + group.quoted() + " TO " + neighbour.quoted(),
            "GRANT pg_monitor TO " + owner_.quoted()});
  auto roles = ReadReferencedRoles({}, Soon(), source_);
  ASSERT_TRUE(roles) << roles.error().message;
  std::vector<std::string> names;
  for (const Role& role : roles->roles) names.push_back(role.name);
  std::vector<std::string> expected = {owner_.name(), grantee.name(), member.name(), group.name()};
  std::sort(names.begin(), names.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(names, expected);
  const auto verdicts = JudgeMemberships(*roles, RoleSet{}, claim_.migration_uid);
  EXPECT_EQ(std::count(verdicts.begin(), verdicts.end(), MembershipVerdict::kReachesBeyond), 1);
  // So that the roles of this case, which end before the database, can.
  MustExec(source_, {"DROP TABLE public.t"});
}

// A closed database is the admin's.
// As where the database is closed, and as a managed service's admin is set up: he owns what is ours
// there, and is a member of every tenant's owner.
TEST_F(TwoSides, NeitherMembersNorGroupsOfTheAdminAreTheTenants) {
  TestRole admin(Servers().source, "CREATEROLE", "admin");
  TestRole colleague(Servers().source, "", "colleague");
  TestRole neighbour(Servers().source, "", "neighbour");
  MustExec(source_,
           {"CREATE TABLE public.t (a int)", "ALTER TABLE public.t OWNER TO " + owner_.quoted(),
            "GRANT " + admin.quoted() + " TO " + colleague.quoted(),
            "GRANT " + neighbour.quoted() + ", " + owner_.quoted() + " TO " + admin.quoted(),
            "ALTER DATABASE " + database_.quoted() + " OWNER TO " + admin.quoted(),
            "CREATE SCHEMA ours AUTHORIZATION " + admin.quoted()});
  Connection session = MustConnect(admin.Options(database_.name()));
  auto names = ReadReferencedRoleNames({}, Soon(), session);
  MustExec(source_, {"ALTER DATABASE " + database_.quoted() + " OWNER TO " + owner_.quoted(),
                     "DROP SCHEMA ours", "DROP TABLE public.t"});
  ASSERT_TRUE(names) << names.error().message;
  EXPECT_EQ(*names, std::vector<std::string>{owner_.name()});
}

// Roles of names that are another tenant's and a superuser's on the target, which whoever owns the
// source's server can make; that they are not the same ones there may have been accepted.
TEST_F(TwoSides, NothingThatReachesBeyondTheDatabaseIsGivenOnASharedServer) {
  TestRole neighbour(Servers().target, "", "neighbour");
  TestRole superuser(Servers().target, "SUPERUSER", "superuser");
  MustExec(source_,
           {"CREATE ROLE " + neighbour.quoted(), "CREATE ROLE " + superuser.quoted() + " SUPERUSER",
            "GRANT " + neighbour.quoted() + ", " + superuser.quoted() + " TO " + owner_.quoted() +
                " WITH ADMIN OPTION",
            "ALTER ROLE " + owner_.quoted() + " CREATEROLE REPLICATION BYPASSRLS"});
  ASSERT_TRUE(Create());
  auto roles = ReadReferencedRoles({}, Soon(), source_);
  MustExec(source_, {"DROP ROLE " + neighbour.quoted() + ", " + superuser.quoted()});
  ASSERT_TRUE(roles) << roles.error().message;
  ASSERT_EQ(roles->memberships.size(), 2u);
  std::erase_if(roles->roles, [&](const Role& role) { return role.name == neighbour.name(); });
  Connection target = MustConnect(TargetOptions());
  auto create = [&](Powers powers) {
    return WithEpoch({}, Soon(), target, claim_, [&](Transaction& transaction, const Control&) {
      return CreateRoles({}, Soon(), transaction, *roles, claim_.migration_uid, powers);
    });
  };
  auto groups = [&] {
    return MustRead(target,
                    "SELECT roleid::regrole FROM pg_auth_members WHERE member = $1::regrole",
                    {owner_.quoted()});
  };
  for (int time = 0; time < 2; ++time) {
    const Status created = create(Powers::kWithhold);
    ASSERT_TRUE(created) << created.error().message;
    EXPECT_EQ(MustRead(target,
                       "SELECT rolcreaterole OR rolreplication OR rolbypassrls OR rolsuper"
                       " FROM pg_roles WHERE rolname = $1",
                       {owner_.name()})[0],
              "f");
    EXPECT_TRUE(groups().empty()) << groups()[0];
  }
  // Where the server is the tenant's alone they come; whoever is a superuser there is one.
  MustExec(target, {"DROP ROLE " + owner_.quoted()});
  ASSERT_TRUE(create(Powers::kBring));
  EXPECT_EQ(groups(), std::vector<std::string>{neighbour.name()});
}

TEST_F(TwoSides, MembershipsAndSettingsOfRolesAreCopied) {
  TestRole group(Servers().source, "", "group");
  MustExec(source_, {"GRANT " + group.quoted() + " TO " + owner_.quoted() + " WITH ADMIN OPTION",
                     "ALTER ROLE " + owner_.quoted() + " SET work_mem = '9MB'",
                     "ALTER ROLE " + owner_.quoted() + " SET app.\"user\" = 'nobody'",
                     "ALTER ROLE " + owner_.quoted() +
                         " CREATEDB CONNECTION LIMIT 12 "
                         "VALID UNTIL '2040-01-01 00:00:00+00'"});
  ASSERT_TRUE(Create());
  Status copied = CopyRoles();
  ASSERT_TRUE(copied) << copied.error().message;
  Connection target = MustConnect(TargetOptions());
  auto there = ReadRoles({}, Soon(), target, {owner_.name(), group.name()});
  auto here = ReadRoles({}, Soon(), source_, {owner_.name(), group.name()});
  ASSERT_TRUE(there && here);
  for (const RoleFinding& finding : CompareRoles(*here, *there))
    EXPECT_EQ(finding.verdict, RoleVerdict::kSame) << finding.message;
  EXPECT_EQ(there->memberships, here->memberships);
  ASSERT_EQ(there->roles.size(), 2u);
  auto settings_of_owner = [&](const RoleSet& set) {
    for (const Role& role : set.roles) {
      if (role.name == owner_.name()) return role.settings;
    }
    return std::vector<StoredSetting>();
  };
  EXPECT_EQ(settings_of_owner(*there), settings_of_owner(*here));
  EXPECT_EQ(settings_of_owner(*there).size(), 2u);
}

// Servers before 14 take any name; its author is superuser on the source, and not here.
TEST(StoredSettings, AreNoStatementsWhateverTheirNames) {
  TestRole tenant(Servers().OfMajor(13), "", "t");  // The statement has to fit a name.
  Connection source = MustConnect(Servers().OfMajor(13));
  MustExec(source, {"ALTER ROLE " + tenant.quoted() + " SET \"a.b TO 1; ALTER ROLE " +
                    tenant.name() + " SUPERUSER; --\" = 'x'"});
  auto read = ReadRoles({}, Soon(), source, {tenant.name()});
  ASSERT_TRUE(read && read->roles.size() == 1 && read->roles[0].settings.size() == 1);
  const std::vector<StoredSetting> settings = read->roles[0].settings;
  read->roles[0].name = UniqueName("moved");
  const std::string uid = UniqueName("uid");
  {
    auto transaction = Transaction::Begin({}, Soon(), source);
    ASSERT_TRUE(transaction);
    Status created = CreateRoles({}, Soon(), *transaction, *read, uid);
    ASSERT_TRUE(created) << created.error().message;
    ASSERT_TRUE(transaction->Commit({}, Soon()));
  }
  EXPECT_EQ(MustRead(source, "SELECT rolsuper FROM pg_roles WHERE rolname = $1", {tenant.name()}),
            std::vector<std::string>{"f"});
  auto moved = ReadRoles({}, Soon(), source, {read->roles[0].name});
  ASSERT_TRUE(moved && moved->roles.size() == 1 && moved->roles[0].settings.size() == 1);
  EXPECT_EQ(moved->roles[0].settings[0].name, settings[0].name);
  EXPECT_EQ(moved->roles[0].settings[0].value, settings[0].value);
  auto left = DropCreatedRoles({}, Soon(), source, uid);
  EXPECT_TRUE(left && left->empty());
}

TEST_F(TwoSides, WhatRolesWereGivenOnTheSourceSinceTheyWereCreatedComesWithTheNextTry) {
  TestRole group(Servers().source, "", "group");
  ASSERT_TRUE(Create());
  ASSERT_TRUE(CopyRoles());
  MustExec(source_, {"GRANT " + group.quoted() + " TO " + owner_.quoted(),
                     "ALTER ROLE " + owner_.quoted() + " SET work_mem = '9MB'"});
  Status copied = CopyRoles();
  ASSERT_TRUE(copied) << copied.error().message;
  Connection target = MustConnect(TargetOptions());
  auto there = ReadRoles({}, Soon(), target, {owner_.name(), group.name()});
  auto here = ReadRoles({}, Soon(), source_, {owner_.name(), group.name()});
  ASSERT_TRUE(there && here);
  EXPECT_EQ(there->memberships, here->memberships);
  EXPECT_EQ(there->memberships.size(), 1u);
  for (const Role& role : there->roles)
    EXPECT_EQ(role.settings.size(), role.name == owner_.name() ? 1u : 0u);
}

TEST_F(TwoSides, SequencesArriveWithTheirPositionOwnedOrNot) {
  const std::vector<std::string> make = {
      "CREATE TABLE public.t (a serial, b int GENERATED ALWAYS AS IDENTITY)",
      "CREATE SEQUENCE public.ir_sequence_001", "CREATE SEQUENCE public.\"Odd\" INCREMENT -5",
      "CREATE SEQUENCE public.untouched"};
  MustExec(source_, make);
  MustExec(source_, {"INSERT INTO public.t SELECT FROM generate_series(1, 10)",
                     "SELECT setval('public.ir_sequence_001', 41, true)",
                     "SELECT setval('public.\"Odd\"', -7, false)"});
  ASSERT_TRUE(Create());
  Connection target = MustConnect(TargetOptions());
  MustExec(target, make);
  auto source = ReadSequences({}, Soon(), source_);
  ASSERT_TRUE(source) << source.error().message;
  ASSERT_EQ(source->size(), 5u);
  EXPECT_EQ(CompareSequences(*source, *ReadSequences({}, Soon(), target)).size(), 4u);
  Status set = WithEpoch({}, Soon(), target, claim_, [&](Transaction& transaction, const Control&) {
    return SetSequences({}, Soon(), transaction, *source);
  });
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_TRUE(CompareSequences(*source, *ReadSequences({}, Soon(), target)).empty());
  EXPECT_EQ(MustRead(target, "SELECT nextval('public.\"Odd\"')"), std::vector<std::string>{"-7"});
  EXPECT_EQ(MustRead(target, "SELECT nextval('public.ir_sequence_001')"),
            std::vector<std::string>{"42"});
}

// What only one side has is no reason to leave all others where they were.
TEST_F(TwoSides, OfSequencesThatDifferThoseAreSetThatExist) {
  MustExec(source_,
           {"CREATE SEQUENCE public.ir_sequence_001", "CREATE SEQUENCE public.later",
            "CREATE SEQUENCE public.\"A table there\"", "CREATE SEQUENCE public.wide",
            "SELECT setval('public.ir_sequence_001', 41)", "SELECT setval('public.wide', 40000)"});
  ASSERT_TRUE(Create());
  Connection target = MustConnect(TargetOptions());
  MustExec(target,
           {"CREATE SEQUENCE public.ir_sequence_001", "CREATE TABLE public.\"A table there\" ()",
            "CREATE SEQUENCE public.wide AS smallint"});
  auto source = ReadSequences({}, Soon(), source_);
  ASSERT_TRUE(source) << source.error().message;
  std::vector<std::string> missing;
  Status set = WithEpoch(
      {}, Soon(), target, claim_, [&](Transaction& transaction, const Control&) -> Status {
        TRY_ASSIGN(missing, SetSequencesThatExist({}, Soon(), transaction, *source));
        return Ok();
      });
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(missing,
            std::vector<std::string>({R"("public"."A table there")", R"("public"."later")"}));
  EXPECT_EQ(MustRead(target, "SELECT nextval('public.ir_sequence_001')"),
            std::vector<std::string>{"42"});
  EXPECT_EQ(MustRead(target, "SELECT last_value FROM public.wide"),
            std::vector<std::string>{"32767"});
}

// As rows that a stream has brought leave them: the numbers were given out elsewhere.
TEST_F(TwoSides, SequencesBehindTheirRowsAreFoundAndNoneIsToGoBack) {
  MustExec(source_,
           {"CREATE SEQUENCE public.by_default", "CREATE SEQUENCE public.nobodys",
            "CREATE SEQUENCE public.down INCREMENT -1", "CREATE SEQUENCE public.round CYCLE",
            "CREATE TABLE public.t (a serial, b int GENERATED BY DEFAULT AS IDENTITY,"
            " c bigint DEFAULT nextval('public.by_default'),"
            " d bigint DEFAULT nextval('public.down'), e int DEFAULT nextval('public.round'),"
            " ahead serial, spent smallserial,"
            " word text DEFAULT 'N' || nextval('public.nobodys'))",
            "CREATE TABLE public.empty (a serial)",
            "INSERT INTO public.t VALUES (41, 42, 43, -44, 45, 46, 32767, 'N47')",
            "SELECT setval('public.t_a_seq', 40)", "SELECT setval('public.t_ahead_seq', 100)"});
  auto ahead = FindRowsAhead({}, Soon(), source_, std::chrono::seconds(30));
  ASSERT_TRUE(ahead) << ahead.error().message;
  EXPECT_EQ(ahead->positions, (std::vector<SequencePosition>{{"public", "by_default", 43, true},
                                                             {"public", "down", -44, true},
                                                             {"public", "t_a_seq", 41, true},
                                                             {"public", "t_b_seq", 42, true}}))
      << "of one whose last number is a row's already, nothing would be left";
  EXPECT_TRUE(ahead->unread.empty());
  MustExec(source_, {"SELECT setval('public.t_a_seq', 41, false)"});
  ahead = FindRowsAhead({}, Soon(), source_, std::chrono::seconds(30));
  ASSERT_TRUE(ahead) << ahead.error().message;
  EXPECT_EQ(ahead->positions.size(), 4u) << "41 would come again";
  MustExec(source_, {"SELECT setval('public.t_a_seq', 41, true)"});
  ahead = FindRowsAhead({}, Soon(), source_, std::chrono::seconds(30));
  ASSERT_TRUE(ahead) << ahead.error().message;
  EXPECT_EQ(ahead->positions.size(), 3u);
}

TEST_F(TwoSides, ARowThatWasNumberedByHandBeyondItsSequenceOrItsColumnExhaustsNone) {
  MustExec(source_,
           {"CREATE SEQUENCE public.wide", "CREATE SEQUENCE public.tens INCREMENT 10 MAXVALUE 1000",
            "CREATE SEQUENCE public.down INCREMENT -1 MINVALUE -100",
            "CREATE TABLE public.t (grown serial, narrow int DEFAULT nextval('public.wide'),"
            " tens int DEFAULT nextval('public.tens'), down int DEFAULT nextval('public.down'))",
            "ALTER TABLE public.t ALTER grown TYPE bigint",
            "INSERT INTO public.t VALUES (9999999999, 2147483647, 991, -1000), (6, 7, 11, -8)"});
  auto ahead = FindRowsAhead({}, Soon(), source_, std::chrono::seconds(30));
  ASSERT_TRUE(ahead) << ahead.error().message;
  EXPECT_EQ(ahead->positions, (std::vector<SequencePosition>{{"public", "down", -8, true},
                                                             {"public", "t_grown_seq", 6, true},
                                                             {"public", "tens", 11, true},
                                                             {"public", "wide", 7, true}}));
  EXPECT_TRUE(ahead->unread.empty());
}

// Whoever plans a query runs what is constant in the table's indexes.
TEST_F(TwoSides, WhileNumbersAreReadNothingIsWrittenAndAnIndexFindsWhatItsAuthorsPathHas) {
  MustExec(source_,
           {"CREATE TABLE public.ran (as_whom text)",
            "CREATE FUNCTION public.run() RETURNS void LANGUAGE sql"
            " AS 'INSERT INTO public.ran VALUES (current_user)'",
            "CREATE FUNCTION public.planted() RETURNS int IMMUTABLE LANGUAGE plpgsql"
            " AS 'BEGIN PERFORM public.run(); RETURN 1; END'",
            "CREATE TABLE public.t (a serial)", "CREATE INDEX ON public.t ((a + public.planted()))",
            "INSERT INTO public.t VALUES (7)", "DELETE FROM public.ran",
            "CREATE FUNCTION public.one() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION public.of_path() RETURNS int IMMUTABLE LANGUAGE plpgsql"
            " AS 'BEGIN RETURN 1; END'",
            "CREATE TABLE public.u (a serial)", "CREATE INDEX ON public.u ((a + public.of_path()))",
            "INSERT INTO public.u VALUES (8)",
            "CREATE OR REPLACE FUNCTION public.of_path() RETURNS int IMMUTABLE LANGUAGE plpgsql"
            " AS 'BEGIN RETURN one(); END'"});
  Connection fresh = MustConnect(database_.Options());  // Nothing has been kept in it yet.
  auto ahead = FindRowsAhead({}, Soon(), fresh, std::chrono::seconds(30));
  ASSERT_TRUE(ahead) << ahead.error().message;
  EXPECT_EQ(MustRead(source_, "SELECT count(*) FROM public.ran")[0], "0");
  EXPECT_EQ(ahead->unread, std::vector<std::string>{R"("public"."t"."a")"});
  EXPECT_EQ(ahead->positions, (std::vector<SequencePosition>{{"public", "u_a_seq", 8, true}}));
  MustExec(fresh, {"INSERT INTO public.ran VALUES ('us')"});  // The session is as it was.
}

TEST_F(TwoSides, AColumnThatTakesTooLongLeavesTheOthersTheirNumbers) {
  MustExec(source_, {"CREATE TABLE public.t (a serial)", "INSERT INTO public.t VALUES (7)",
                     "CREATE TABLE public.u (a serial)", "INSERT INTO public.u VALUES (8)",
                     "CREATE TABLE public.v (a serial)", "INSERT INTO public.v VALUES (9)"});
  Connection user = MustConnect(source_.options());
  MustExec(user, {"BEGIN", "LOCK TABLE public.v"});
  const std::vector<SequencePosition> others{{"public", "t_a_seq", 7, true},
                                             {"public", "u_a_seq", 8, true}};
  auto ahead = FindRowsAhead({}, Soon(), source_, std::chrono::milliseconds(3000));
  ASSERT_TRUE(ahead) << ahead.error().message;
  EXPECT_EQ(ahead->positions, others);
  EXPECT_EQ(ahead->unread, std::vector<std::string>{R"("public"."v"."a")"});
  EXPECT_EQ(MustRead(source_, "SHOW statement_timeout"), std::vector<std::string>{"0"});
  MustExec(user, {"COMMIT"});
  ahead = FindRowsAhead({}, Soon(), source_, std::chrono::seconds(30));
  ASSERT_TRUE(ahead) << ahead.error().message;
  EXPECT_EQ(ahead->positions.size(), 3u);
}

}  // namespace
}  // namespace cutover::pg
