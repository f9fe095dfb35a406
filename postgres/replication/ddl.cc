// SPDX-License-Identifier: Apache-2.0
#include "postgres/event_triggers.h"
#include "postgres/replication/stream.h"

namespace cutover::pg {
namespace {

// Named in a message; what came before those is counted.
constexpr int kNotesTold = 3;

// One row where it is to be made, and may be: event triggers are a superuser's.
constexpr const char* kMayMake = R"(
  SELECT FROM pg_roles
   WHERE rolname = current_user AND rolsuper
     AND EXISTS (SELECT FROM pg_language WHERE lanname = 'plpgsql')
     AND NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = $1))";

// As us, since the tenant may not write there. Whatever fails in it, his statement does not: what
// is missed is a sentence for a person, and nothing else. His temporary tables are nobody's
// business. No text of statements: passwords stand in some.
constexpr const char* kMakeFunction = R"(
  CREATE TABLE IF NOT EXISTS cutover.ddl (
    at timestamptz NOT NULL, role name NOT NULL, command text NOT NULL, object text);
  REVOKE ALL ON cutover.ddl FROM PUBLIC;
  CREATE OR REPLACE FUNCTION cutover.note_ddl() RETURNS event_trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $note$
  BEGIN
    IF tg_event = 'sql_drop' THEN
      INSERT INTO cutover.ddl
      SELECT clock_timestamp(), session_user, tg_tag, left(min(object_identity), 200)
        FROM pg_event_trigger_dropped_objects() WHERE original AND NOT is_temporary
      HAVING count(*) > 0;
    ELSE
      INSERT INTO cutover.ddl
      SELECT clock_timestamp(), session_user, tg_tag, left((array_agg(object_identity))[1], 200)
        FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'pg_temp'
      HAVING count(*) > 0;
    END IF;
  EXCEPTION WHEN OTHERS THEN
    NULL;
  END $note$;
  REVOKE ALL ON FUNCTION cutover.note_ddl() FROM PUBLIC)";

constexpr const char* kHasNotes = R"(
  SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'cutover' AND c.relname = 'ddl')";

constexpr const char* kReadNotes = R"(
  SELECT concat_ws(' ', command, object), role,
         to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), count(*) OVER ()
    FROM cutover.ddl ORDER BY at DESC, ctid DESC LIMIT $1)";

}  // namespace

Status WatchDdl(std::stop_token stop, Deadline deadline, Connection& connection,
                const Claim& claim) {
  const std::string name = StreamName(claim.migration_uid, Direction::kForward);
  return WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY_ASSIGN(Rows may, transaction.Query(stop, deadline, kMayMake, {name}));
        if (may.empty()) return Ok();
        TRY(SilenceEventTriggers(stop, deadline, transaction));
        TRY(transaction.Exec(stop, deadline, kMakeFunction));
        for (const auto& [suffix, event] :
             {std::pair("", "ddl_command_end"), std::pair("_drop", "sql_drop")})
          TRY(transaction.Exec(stop, deadline,
                               "CREATE EVENT TRIGGER " + QuoteIdentifier(name + suffix) + " ON " +
                                   event + " EXECUTE FUNCTION cutover.note_ddl()"));
        return Ok();
      });
}

Result<std::string> DescribeDdl(std::stop_token stop, Deadline deadline, Connection& connection) {
  TRY_ASSIGN(Rows there, connection.Query(stop, deadline, kHasNotes));
  if (there.empty()) return std::string();
  TRY_ASSIGN(Rows notes,
             connection.Query(stop, deadline, kReadNotes, {std::to_string(kNotesTold)}));
  std::string text;
  for (Row note : notes)
    text += (text.empty() ? "" : ", ") + note.Text(0) + " by role " + note.Text(1) + " at " +
            note.Text(2);
  const int64_t before = notes.empty() ? 0 : notes[0].Int(3) - kNotesTold;
  return before > 0 ? text + ", and " + std::to_string(before) + " before" : text;
}

}  // namespace cutover::pg
