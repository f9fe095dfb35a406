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

// As us, since the tenant may not write there. His statement neither waits for it nor fails by it:
// whoever drops the table holds it, and what goes wrong is caught. That takes a subtransaction, of
// which a server has few for each session (its snapshots' cache ends at 64), so a transaction notes
// each command once. Temporary tables are nobody's business, and what is no change of structure is
// none of ours. No text of statements: passwords stand in some.
constexpr const char* kMakeFunction = R"(
  CREATE TABLE IF NOT EXISTS cutover.ddl (
    at timestamptz NOT NULL, role name NOT NULL, command text NOT NULL, object text);
  REVOKE ALL ON cutover.ddl FROM PUBLIC;
  CREATE OR REPLACE FUNCTION cutover.note_ddl() RETURNS event_trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $note$
  DECLARE
    noted text := coalesce(current_setting('cutover.noted', true), '');
    first text;
  BEGIN
    IF tg_tag IN ('REFRESH MATERIALIZED VIEW', 'REINDEX', 'COMMENT', 'SECURITY LABEL')
       OR tg_event = 'sql_drop' AND tg_tag NOT LIKE 'DROP %'
       OR strpos(noted, '/' || tg_tag || '/') > 0 THEN
      RETURN;
    END IF;
    IF tg_event = 'sql_drop' THEN
      SELECT object_identity INTO first FROM pg_event_trigger_dropped_objects()
       WHERE original AND NOT is_temporary LIMIT 1;
    ELSE
      SELECT coalesce(object_identity, object_type) INTO first
        FROM pg_event_trigger_ddl_commands()
       WHERE schema_name IS DISTINCT FROM 'pg_temp'
         AND coalesce(object_identity, '') !~ '\mpg_temp\.' LIMIT 1;
    END IF;
    IF first IS NULL THEN
      RETURN;
    END IF;
    PERFORM set_config('cutover.noted', noted || '/' || tg_tag || '/', true);
    BEGIN
      LOCK TABLE cutover.ddl IN ROW EXCLUSIVE MODE NOWAIT;
      INSERT INTO cutover.ddl VALUES (clock_timestamp(), session_user, tg_tag, left(first, 200));
    EXCEPTION WHEN OTHERS THEN
      NULL;
    END;
  END $note$;
  REVOKE ALL ON FUNCTION cutover.note_ddl() FROM PUBLIC)";

constexpr const char* kHasNotes = R"(
  SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = 'cutover' AND c.relname = 'ddl')";

constexpr const char* kReadNotes = R"(
  SELECT regexp_replace(concat_ws(' ', command, object), '[[:cntrl:]]', '?', 'g'),
         regexp_replace(role, '[[:cntrl:]]', '?', 'g'),
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

Status StopWatchingDdl(std::stop_token stop, Deadline deadline, Connection& connection,
                       const Claim& claim) {
  const std::string name = StreamName(claim.migration_uid, Direction::kForward);
  return WithEpoch(
      stop, deadline, connection, claim, [&](Transaction& transaction, const Control&) -> Status {
        TRY(SilenceEventTriggers(stop, deadline, transaction));
        for (const char* suffix : {"", "_drop"})
          TRY(transaction.Exec(stop, deadline,
                               "DROP EVENT TRIGGER IF EXISTS " + QuoteIdentifier(name + suffix)));
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
