# SPDX-License-Identifier: Apache-2.0
# The mover against real servers: 15 → 17 and 15 → 15 (another database of the same server).
# The other majors have a file of their own.
cutover_library(mover_test_tenant SOURCES mover/tenant.cc
                DEPS cutover::mover cutover::test_servers GTest::gtest)
cutover_postgres_test(mover_pg_test
  SOURCES mover_clone_pg_test.cc mover_verify_pg_test.cc mover_verify_places_pg_test.cc
          mover_backup_pg_test.cc mover_job_pg_test.cc mover_restore_pg_test.cc
  DEPS cutover::mover cutover::mover_test_tenant)
add_dependencies(mover_pg_test cutover-mover)  # Cases run the program.
target_compile_definitions(mover_pg_test PRIVATE CUTOVER_MOVER_BINARY="$<TARGET_FILE:cutover-mover>")
cutover_postgres_test(mover_majors_pg_test
  SOURCES mover_majors_pg_test.cc
  DEPS cutover::mover cutover::mover_test_tenant)
# Traps of docs/verification.md, each planted in a small database of its own.
cutover_library(mover_test_move SOURCES traps/move.cc traps/copying.cc DEPS cutover::mover_test_tenant)
cutover_postgres_test(mover_traps_pg_test
  SOURCES traps/catalog_database_traps_pg_test.cc traps/catalog_objects_traps_pg_test.cc
          traps/catalog_roles_traps_pg_test.cc traps/catalog_superusers_traps_pg_test.cc
          traps/copy_session_traps_pg_test.cc
          traps/copy_snapshot_traps_pg_test.cc traps/copy_tables_traps_pg_test.cc
          traps/copy_values_traps_pg_test.cc traps/indexes_traps_pg_test.cc
          mover_copied_chunks_pg_test.cc mover_wide_rows_pg_test.cc
  DEPS cutover::mover_test_move)
# Moves that are disturbed, by the program itself: killed, stopped, cut off, held, out of room.
cutover_library(mover_test_program SOURCES mover/program.cc mover/slow_move.cc
                DEPS cutover::mover_test_tenant)
cutover_postgres_test(mover_interruptions_pg_test
  SOURCES mover_interruptions_pg_test.cc mover_limits_pg_test.cc
  DEPS cutover::mover_test_program)
add_dependencies(mover_interruptions_pg_test cutover-mover)
target_compile_definitions(mover_interruptions_pg_test PRIVATE
                           CUTOVER_MOVER_BINARY="$<TARGET_FILE:cutover-mover>")
# Copies of a source that is written to, and what follows them.
cutover_library(mover_test_followed SOURCES mover/followed_move.cc DEPS cutover::mover_test_program)
cutover_postgres_test(mover_following_pg_test
  SOURCES mover_following_pg_test.cc
  DEPS cutover::mover_test_followed)
add_dependencies(mover_following_pg_test cutover-mover)
target_compile_definitions(mover_following_pg_test PRIVATE
                           CUTOVER_MOVER_BINARY="$<TARGET_FILE:cutover-mover>")
