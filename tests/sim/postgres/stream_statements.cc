// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>

#include "postgres/control.h"
#include "postgres/stream_names.h"
#include "tests/sim/postgres/statement.h"
#include "tests/sim/postgres/stream.h"

namespace cutover::sim {
namespace {

using Words = std::vector<std::string>;

// A look at a subscription lets so many changes through that wait: whoever looks again and again
// sees them arrive, without time that passes.
constexpr int kChangesPerLook = 4;

Outcome Nothing(const Statement&) { return Table(); }

std::string Position(int64_t position) {
  char text[32];
  std::snprintf(text, sizeof text, "%X/%X", static_cast<unsigned>(position >> 32),
                static_cast<unsigned>(position));
  return text;
}

int64_t ParsePosition(const std::string& text) {
  unsigned high = 0, low = 0;
  if (std::sscanf(text.c_str(), "%X/%X", &high, &low) != 2) return 0;
  return static_cast<int64_t>(uint64_t{high} << 32 | low);
}

size_t IndexOf(const Words& words, std::string_view word) {
  return static_cast<size_t>(std::find(words.begin(), words.end(), word) - words.begin());
}

// The value in "name = value", or "name=value"; empty without it.
std::string ValueOf(const Words& words, std::string_view name) {
  size_t at = IndexOf(words, name) + 2;
  return at < words.size() && words[at - 1] == "=" ? words[at] : "";
}

// Statements of one round trip, each by itself.
Outcome Each(const Statement& statement) {
  std::string_view rest = statement.sql;
  while (!rest.empty()) {
    size_t end = std::min(rest.find("; "), rest.size());
    auto done = RunStatement(statement.server, statement.backend, std::string(rest.substr(0, end)),
                             statement.params);
    if (!done) return done;
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  return Table();
}

// --- slots --------------------------------------------------------------------------------------

const Slot* FindSlot(const Statement& statement, const std::string& name) {
  auto found = statement.seen().slots.find(name);
  return found == statement.seen().slots.end() ? nullptr : &found->second;
}

Outcome IsOurSlot(const Statement& statement) {
  const Slot* slot = FindSlot(statement, statement.Text(0));
  if (slot == nullptr) return Table();
  return Table{{Flag(slot->database == statement.backend.database)}};
}

// What has been written since the slot's position.
int64_t KeptFor(const Statement& statement, const Slot& slot) {
  return (EndOfLog(statement.here()) - slot.position) * statement.server.bytes_per_change;
}

Outcome RetainedByWatch(const Statement& statement) {
  const Slot* slot = FindSlot(statement, statement.Text(0));
  return slot == nullptr ? Table() : Table{{Number(KeptFor(statement, *slot))}};
}

// active_pid, confirmed_flush_lsn IS NULL, database = current_database()
Outcome SlotToDrop(const Statement& statement) {
  const Slot* slot = FindSlot(statement, statement.Text(0));
  if (slot == nullptr) return Table();
  return Table{{{}, "f", Flag(slot->database == statement.backend.database)}};
}

// Of kUnderEpoch: whether the control row is of the epoch that the statement was sent under.
bool IsUnderEpoch(const Statement& statement) {
  if (statement.sql.find(pg::kUnderEpoch) == statement.sql.npos) return true;
  const auto& control = statement.here().control;
  return control && std::to_string(control->epoch) == statement.Text(1);
}

Outcome CreateSlot(const Statement& statement) {
  const std::string name = statement.Text(0);
  if (!IsUnderEpoch(statement)) return Table();
  if (FindSlot(statement, name) != nullptr)
    return Fail("42710", "replication slot \"" + name + "\" already exists");
  statement.server.ChangeAtOnce(
      statement.backend, [name, database = statement.backend.database](ServerState& state) {
        const DatabaseState* there = state.Find(database);
        if (there == nullptr) return;
        state.slots.try_emplace(name, Slot{database, EndOfLog(*there), EndOfLog(*there), false});
      });
  return Table{{name}};
}

Outcome DropSlot(const Statement& statement) {
  const std::string name = statement.Text(0);
  if (FindSlot(statement, name) == nullptr || !IsUnderEpoch(statement)) return Table();
  statement.server.ChangeAtOnce(statement.backend,
                                [name](ServerState& state) { state.slots.erase(name); });
  return Table{{""}};
}

Outcome DropThatVerySlot(const Statement& statement) {
  const Slot* slot = FindSlot(statement, statement.Text(0));
  if (slot == nullptr || Position(slot->position) != statement.Text(1)) return Table();
  return DropSlot(statement);
}

// slot_name, database, restart_lsn
Outcome FindStreamSlots(const Statement& statement) {
  Table table;
  for (const auto& [name, slot] : statement.seen().slots)
    if (pg::IsOfStream(name)) table.push_back({name, slot.database, Position(slot.position)});
  return table;
}

Outcome Lost(const std::string& name) {
  return Fail("55000", "can no longer get changes from replication slot \"" + name + "\"");
}

Outcome AdvanceSlot(const Statement& statement) {
  const std::string name = statement.Text(0);
  const int64_t to = ParsePosition(statement.Text(1));
  const Slot* slot = FindSlot(statement, name);
  if (slot == nullptr) return Table();
  if (slot->lost) return Lost(name);
  if (slot->position < to)
    statement.server.ChangeAtOnce(statement.backend, [name, to](ServerState& state) {
      auto found = state.slots.find(name);
      if (found != state.slots.end()) found->second.position = to;
    });
  return Table{{"t"}};
}

Outcome EndOfLogNow(const Statement& statement) {
  return Table{{Position(EndOfLog(statement.here()))}};
}

Outcome ConfirmedPosition(const Statement& statement) {
  const Slot* slot = FindSlot(statement, statement.Text(0));
  return slot == nullptr ? Table() : Table{{Position(slot->position)}};
}

// What the watch of changed rows asks: is it still good?
Outcome LookAtWatch(const Statement& statement) {
  const Slot* slot = FindSlot(statement, statement.Text(0));
  if (slot == nullptr || slot->database != statement.backend.database) return Table();
  return Table{{Position(EndOfLog(statement.here())), Flag(slot->lost), Position(slot->position)}};
}

Cell Seconds(WallTime at) {
  return std::to_string(std::chrono::duration<double>(at.time_since_epoch()).count());
}

Outcome ObservePublisher(const Statement& statement) {
  const std::string name = statement.Text(0);
  const DatabaseState& here = statement.here();
  if (statement.sql.find("FROM cutover.ledger") != std::string::npos && !here.has_schema)
    return Fail("42P01", "relation \"cutover.ledger\" does not exist");
  const Slot* slot = FindSlot(statement, name);
  int64_t lag = slot == nullptr ? 0 : KeptFor(statement, *slot);
  Cell subscriber;
  for (const char* direction : {"forward", "reverse"}) {
    auto record = here.ledger.find({"subscriber-timeline", direction});
    if (record != here.ledger.end() &&
        statement.sql.find("name = '" + std::string(direction)) != std::string::npos)
      subscriber = record->second;
  }
  return Table{{Flag(statement.seen().roles.contains(name)), Flag(here.publications.contains(name)),
                Flag(slot != nullptr), "f",
                slot == nullptr ? "" : (slot->lost ? "lost" : "reserved"), Number(lag), "-1",
                Number(lag), Seconds(statement.server.WallNow()), "f", subscriber}};
}

// Rows that others than the forward stream have written since the slot's position.
Outcome ReadRogueWrites(const Statement& statement) {
  const std::string name = statement.Text(0);
  const Slot* slot = FindSlot(statement, name);
  if (slot == nullptr) return Fail("42704", "replication slot \"" + name + "\" does not exist");
  if (slot->lost) return Lost(name);
  const DatabaseState& here = statement.here();
  auto stream = here.subscriptions.find(statement.Text(3));
  const std::string ours =
      stream == here.subscriptions.end() ? "" : "pg_" + std::to_string(stream->second.oid);
  int64_t found = 0, end = ParsePosition(statement.Text(1));
  for (const LogEntry* entry = here.log.get(); entry != nullptr && entry->position > slot->position;
       entry = entry->before.get())
    if (entry->position <= end && entry->kind == LogEntry::Kind::kRow &&
        (entry->origin.empty() || entry->origin != ours))
      ++found;
  Cell table = found > 0 ? Cell("public.orders") : Cell();
  return Table{{"f", {}, Number(found), table}};
}

// --- publications, heartbeat, marker ------------------------------------------------------------

Outcome HasStreamTables(const Statement& statement) {
  return Table{{Flag(statement.here().has_stream_tables)}};
}

Outcome CreateStreamTables(const Statement& statement) {
  return statement.ChangeHere([](DatabaseState& database) { database.has_stream_tables = true; });
}

Outcome PublicationExists(const Statement& statement) {
  return statement.here().publications.contains(statement.Text(0)) ? Table{{"1"}} : Table();
}

// What is not published yet: everything or nothing.
Outcome MissingTables(const Statement& statement) {
  if (statement.here().publications.contains(statement.Text(0))) return Table();
  return Table{{"public", "orders", "t", "f"},
               {"cutover", "heartbeat", "t", "f"},
               {"cutover", "marker", "t", "f"}};
}

Outcome CreatePublication(const Statement& statement) {
  return statement.ChangeHere([name = Tokens(statement.sql)[2]](DatabaseState& database) {
    database.publications.insert(name);
  });
}

Outcome DropPublication(const Statement& statement) {
  const std::string name = Tokens(statement.sql)[4];
  if (!statement.here().publications.contains(name)) return Table();
  return statement.ChangeHere(
      [name](DatabaseState& database) { database.publications.erase(name); });
}

// Those two lock the control row, and write only if it holds this very claim.
Outcome WriteAsHeld(const Statement& statement, LogEntry entry) {
  const DatabaseState& here = statement.here();
  if (!here.has_schema || !here.has_stream_tables)
    return Fail("42P01", "relation \"cutover.marker\" does not exist");
  if (!statement.server.Lock(statement.backend, "control/" + statement.backend.database))
    return Fail("55P03", "canceling statement due to lock timeout");
  const auto& row = here.control;
  bool held = row && row->migration_uid == statement.Text(0) &&
              row->epoch == std::stoll(statement.Text(1)) && row->side == statement.Text(2);
  if (!held) return Table();
  statement.backend.affected = 1;
  return statement.ChangeHere([entry](DatabaseState& database) {
    if (entry.kind == LogEntry::Kind::kHeartbeat)
      database.heartbeats[entry.side] = entry.beaten_at;
    else
      database.markers[entry.side] = entry.number;
    Log(database, entry);
  });
}

Outcome WriteHeartbeat(const Statement& statement) {
  return WriteAsHeld(statement, {.kind = LogEntry::Kind::kHeartbeat,
                                 .side = statement.Text(2),
                                 .at = statement.server.clock().WallNow(),
                                 .beaten_at = statement.server.WallNow()});
}

Outcome WriteMarker(const Statement& statement) {
  auto last = statement.here().markers.find(statement.Text(2));
  int64_t number = std::stoll(statement.Text(3));
  if (last != statement.here().markers.end()) number = std::max(number, last->second);
  return WriteAsHeld(statement, {.kind = LogEntry::Kind::kMarker,
                                 .number = number,
                                 .side = statement.Text(2),
                                 .at = statement.server.clock().WallNow()});
}

// --- subscriptions ------------------------------------------------------------------------------

const Subscription* FindSubscription(const Statement& statement, const std::string& name) {
  const auto& subscriptions = statement.here().subscriptions;
  auto found = subscriptions.find(name);
  return found == subscriptions.end() ? nullptr : &found->second;
}

Outcome ReadSubscription(const Statement& statement) {
  const Subscription* found = FindSubscription(statement, statement.Text(0));
  if (found == nullptr) return Table();
  return Table{{Number(found->oid), Flag(found->enabled)}};
}

// "host='h' port=1 dbname='d' user='u' password='p' …"
void Address(Subscription& subscription, const std::string& conninfo) {
  Words words = Tokens(conninfo);
  subscription.host = ValueOf(words, "host");
  subscription.port = std::stoi(ValueOf(words, "port"));
  subscription.database = ValueOf(words, "dbname");
  subscription.user = ValueOf(words, "user");
  subscription.password = ValueOf(words, "password");
}

// Of the roles of a stream, by name and password.
std::optional<std::string> Refusal(const Subscription& subscription) {
  ModelServer* server = ModelNetwork::Find(subscription.host, subscription.port);
  if (server == nullptr) return "connection refused";
  auto role = server->state().roles.find(subscription.user);
  if (role == server->state().roles.end() || role->second.password != subscription.password)
    return "password authentication failed for user \"" + subscription.user + "\"";
  if (!server->state().MayConnect(subscription.user, subscription.database))
    return "permission denied for database \"" + subscription.database + "\"";
  return std::nullopt;
}

// One that is made for a try has no slot and is rolled back to its savepoint, so nothing is made.
Outcome CreateSubscription(const Statement& statement) {
  Words words = Tokens(statement.sql);
  const std::string name = words[2];
  if (FindSubscription(statement, name) != nullptr)
    return Fail("42710", "subscription \"" + name + "\" already exists");
  Subscription made;
  Address(made, words[4]);
  if (auto refusal = Refusal(made))
    return Fail("08006", "could not connect to the publisher: " + *refusal);
  made.slot = ValueOf(words, "slot_name");
  if (made.slot == "NONE") return Table();
  if (made.slot.empty()) made.slot = name;
  made.publication = words[6];
  made.enabled = ValueOf(words, "enabled") == "true";
  made.only_local = ValueOf(words, "origin") == "none";
  return statement.Change([name, made, database = statement.backend.database](ServerState& state) {
    DatabaseState* edited = state.Edit(database);
    if (edited == nullptr) return;
    Subscription& subscription = edited->subscriptions[name] = made;
    subscription.oid = ++state.oids;
  });
}

Outcome AlterSubscription(const Statement& statement) {
  Words words = Tokens(statement.sql);
  if (words[3] == "SET") return Table();  // Dropping it tells the publisher nothing here.
  if (FindSubscription(statement, words[2]) == nullptr)
    return Fail("42704", "subscription \"" + words[2] + "\" does not exist");
  return statement.ChangeHere([words](DatabaseState& database) {
    auto found = database.subscriptions.find(words[2]);
    if (found == database.subscriptions.end()) return;
    if (words[3] == "CONNECTION")
      Address(found->second, words[4]);
    else
      found->second.enabled = words[3] == "ENABLE";
  });
}

Outcome SubscriptionNames(const Statement& statement) {
  std::vector<std::string> names;
  for (const auto& [name, subscription] : statement.here().subscriptions) names.push_back(name);
  return Column(names);
}

Outcome DropSubscription(const Statement& statement) {
  return statement.ChangeHere([name = Tokens(statement.sql)[2]](DatabaseState& database) {
    database.subscriptions.erase(name);
  });
}

Outcome AdvanceOrigin(const Statement& statement) {
  return statement.ChangeHere(
      [origin = statement.Text(0), to = ParsePosition(statement.Text(1))](DatabaseState& database) {
        for (auto& [name, subscription] : database.subscriptions)
          if ("pg_" + std::to_string(subscription.oid) == origin)
            subscription.progress = std::max(subscription.progress, to);
      });
}

Outcome ObserveSubscriber(const Statement& statement) {
  const bool with_tables = statement.sql.find("FROM cutover.marker") != std::string::npos;
  if (with_tables && !statement.here().has_stream_tables)
    return Fail("42P01", "relation \"cutover.marker\" does not exist");
  const WallTime now = statement.server.clock().WallNow();
  ApplyStreams(statement.server, now, kChangesPerLook);
  const DatabaseState& here = statement.here();
  const Subscription* found = FindSubscription(statement, statement.Text(0));
  Cell oid = found == nullptr ? Cell() : Number(found->oid);
  std::vector<Cell> row = {oid,
                           Flag(found != nullptr && found->enabled),
                           Flag(found != nullptr && Works(*found)),
                           Number(statement.seen().timeline),
                           Number(found == nullptr ? 0 : found->apply_errors),
                           {},
                           {},
                           {}};
  if (with_tables) {
    auto marker = here.markers.find(statement.Text(1));
    if (marker != here.markers.end()) row[5] = Number(marker->second);
    auto beaten = here.heartbeats.find(statement.Text(1));
    if (beaten != here.heartbeats.end()) row[6] = Seconds(beaten->second);
    auto address = here.ledger.find({"subscription-address", statement.Text(1)});
    if (address != here.ledger.end()) row[7] = Json::Parse(address->second)->AsString();
  }
  return Table{row};
}

Outcome NoLogFile(const Statement&) { return Table{{{}, "f"}}; }

Outcome Fingerprint(const Statement& statement) {
  return Table{{"structure-" + std::to_string(statement.here().content.structure)}};
}

// The whole of it is one table.
Outcome ReadStructure(const Statement& statement) {
  return Table{{"1259/1", "table public.orders",
                "{\"column\":\"" + std::to_string(statement.here().content.structure) + "\"}"}};
}

Outcome ReadTableFiles(const Statement& statement) {
  const std::string number = std::to_string(statement.here().content.rewritings);
  return Table{{"1259/1", "table public.orders",
                "{\"file\":\"" + number + "\",\"stamp\":\"" + number + "\"}"}};
}

// What DDL does to the model is two numbers, which also tell what of the catalogs is new.
Outcome Mark(const Statement& statement) {
  const Content& content = statement.here().content;
  return Table{{std::to_string(content.structure) + " " + std::to_string(content.rewritings)}};
}

Outcome OldestTransaction(const Statement&) { return Table{{"1"}}; }

// --- the probe ----------------------------------------------------------------------------------

Outcome Place(const Statement& statement) {
  return Table{{statement.server.name() + " " + statement.backend.database}};
}

Outcome CreateProbeSchema(const Statement& statement) {
  return statement.ChangeHere([name = Tokens(statement.sql)[2]](DatabaseState& database) {
    database.probes.try_emplace(name, false);
  });
}

Outcome DropProbeSchema(const Statement& statement) {
  const std::string name = Tokens(statement.sql)[4];
  if (!statement.here().probes.contains(name)) return Table();
  return statement.ChangeHere([name](DatabaseState& database) { database.probes.erase(name); });
}

Outcome WriteProbe(const Statement& statement) {
  const std::string name = Tokens(statement.sql)[2];
  if (!statement.here().probes.contains(name))
    return Fail("42P01", "relation \"" + name + ".probe\" does not exist");
  return statement.ChangeHere([name](DatabaseState& database) { database.probes[name] = true; });
}

Outcome ReadProbe(const Statement& statement) {
  const Subscription* found = FindSubscription(statement, Tokens(statement.sql)[2]);
  if (found == nullptr || !Works(*found)) return Table();
  const ModelServer* publisher = ModelNetwork::Find(found->host, found->port);
  const auto& probes = publisher->state().Find(found->database)->probes;
  auto row = probes.find(found->publication);
  return row != probes.end() && row->second ? Table{{"1"}} : Table();
}

// kind, name, identity
Outcome FindProbes(const Statement& statement) {
  constexpr std::string_view kPrefix = "cutover_probe_";
  const ServerState& state = statement.seen();
  Table table;
  auto add = [&](const char* kind, const std::string& name, const std::string& identity) {
    if (name.starts_with(kPrefix)) table.push_back({kind, name, identity});
  };
  for (const std::string& name : statement.here().publications) add("publication", name, "");
  for (const auto& [name, role] : state.roles) add("role", name, role.password);
  for (const auto& [name, row] : statement.here().probes) add("schema", name, "");
  for (const auto& [name, slot] : state.slots) add("slot", name, Position(slot.position));
  for (const auto& [name, subscription] : statement.here().subscriptions)
    add("subscription", name, std::to_string(subscription.oid));
  return table;
}

Outcome ProbeSubscription(const Statement& statement) {
  return FindSubscription(statement, statement.Text(0)) == nullptr ? Table() : Table{{"1"}};
}

std::vector<Known> OfStreams() {
  return {
      {"pg_log_standby_snapshot", NoLogFile},
      {"SELECT plugin = 'pgoutput'", IsOurSlot},
      {"SELECT coalesce(pg_wal_lsn_diff(", RetainedByWatch},
      {"SELECT active_pid, confirmed_flush_lsn IS NULL", SlotToDrop},
      {"pg_create_logical_replication_slot($1", CreateSlot},
      {"SELECT pg_terminate_backend(active_pid)", Nothing},
      {"SELECT slot_name, database, coalesce(restart_lsn", FindStreamSlots},
      {"coalesce(restart_lsn::text, '') = $2", DropThatVerySlot},
      {"pg_drop_replication_slot(", DropSlot},
      {"SELECT pg_replication_slot_advance(slot_name,", AdvanceSlot},
      {"SELECT pg_current_wal_flush_lsn(), wal_status", LookAtWatch},
      {"SELECT pg_current_wal_flush_lsn()", EndOfLogNow},
      {"SELECT confirmed_flush_lsn FROM pg_replication_slots", ConfirmedPosition},
      {"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1),", ObservePublisher},
      {"pg_logical_slot_peek_binary_changes($1::text::name", ReadRogueWrites},
      {"SELECT to_regclass('cutover.heartbeat')", HasStreamTables},
      {"CREATE TABLE IF NOT EXISTS cutover.heartbeat", CreateStreamTables},
      {"EXISTS (SELECT FROM pg_language WHERE lanname", Nothing},  // We are no superuser.
      {"c.relname = 'ddl'", Nothing},
      {"DROP EVENT TRIGGER IF EXISTS ", Nothing},
      {"INSERT INTO cutover.heartbeat", WriteHeartbeat},
      {"INSERT INTO cutover.marker", WriteMarker},
      {"SELECT FROM pg_publication WHERE pubname = $1", PublicationExists},
      {"c.relname IN ('heartbeat', 'marker')", MissingTables},
      {"CREATE PUBLICATION ", CreatePublication},
      {"DROP PUBLICATION IF EXISTS ", DropPublication},
      {"(SELECT i.relname FROM pg_index x", Nothing},  // Every table has a key.
      {"SELECT s.subname FROM pg_subscription s", SubscriptionNames},
      {"SELECT oid FROM pg_subscription WHERE subname = $1", ReadSubscription},
      {"SELECT s.oid, s.subenabled", ReadSubscription},
      {"SELECT s.oid, coalesce(s.subenabled", ObserveSubscriber},
      {"CREATE SUBSCRIPTION ", CreateSubscription},
      {"ALTER SUBSCRIPTION ", AlterSubscription},
      {"DROP SUBSCRIPTION ", DropSubscription},
      {"SAVEPOINT tried", Nothing},
      {"SELECT pg_terminate_backend(w.pid)", Nothing},  // A disabled one has no worker any more.
      {"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename", Nothing},
      {"SELECT pg_replication_origin_advance($1", AdvanceOrigin},
      {"SELECT FROM pg_largeobject_metadata LIMIT 1", Nothing},
      {"pg_current_logfile()", NoLogFile},
      {"more AS (SELECT * FROM files)", ReadTableFiles},
      {"pg_identify_object(class, object, 0)", ReadStructure},
      {"WITH spaces AS MATERIALIZED", Fingerprint},
      {"SELECT string_agg(concat(n, ' ', new)", Mark},
      {"SELECT pg_snapshot_xmin(pg_current_snapshot())::xid", OldestTransaction},
      {"pg_stat_get_tuples_inserted(c.oid)", Nothing},  // It has no materialized views.
  };
}

// Nothing is ever in the way of a stream.
constexpr std::string_view kObstacles[] = {
    "WITH RECURSIVE parts AS",
    "SELECT quote_ident(s.subname)",
    "SELECT quote_ident(t.tgname)",
    "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)",
    "SELECT quote_ident(pubname)",
    "SELECT slot_name::text FROM pg_replication_slots",
    "SELECT quote_literal(gid)",
    "SELECT DISTINCT format_type(",
    "SELECT 'role ' || quote_ident(usename)",
    "SELECT f FROM unnest(ARRAY['pg_replication_origin_advance(text, pg_lsn)'",
};

}  // namespace

const std::vector<Known>& StreamStatements() {
  static const std::vector<Known> ordered = [] {
    std::vector<Known> all = {
        {"LIKE 'cutover\\_probe\\_%'", FindProbes},
        {"; CREATE TABLE ", Each},
        {" DISABLE; ALTER SUBSCRIPTION ", Each},
        {"; DROP SCHEMA IF EXISTS ", Each},
        {"; DROP ROLE ", Each},
        {"system_identifier || ' ' ||", Place},
        {"CREATE SCHEMA \"", CreateProbeSchema},
        {".probe (n integer)", Nothing},
        {"DROP SCHEMA IF EXISTS ", DropProbeSchema},
        {".probe VALUES (1)", WriteProbe},
        {"SELECT FROM \"", ReadProbe},
        {"SELECT FROM pg_subscription s", ProbeSubscription},
    };
    for (const Known& known : OfStreams()) all.push_back(known);
    for (std::string_view obstacle : kObstacles) all.push_back({obstacle, Nothing});
    return all;
  }();
  return ordered;
}

}  // namespace cutover::sim
