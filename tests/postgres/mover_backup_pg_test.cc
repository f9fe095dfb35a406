// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "mover/backup/backup.h"
#include "tests/postgres/mover/tenant.h"

namespace cutover::mover::testing {
namespace {

namespace fs = std::filesystem;
using pg::testing::Servers;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() : tenant_(Servers().target) {
    directory_ = fs::temp_directory_path() / pg::testing::UniqueName("backup");
    options_.source = tenant_.Source();
    options_.directory = directory_ / "b";
    options_.migration_uid = "6f1c";
    fs::create_directories(directory_);
  }
  ~BackupTest() override { fs::remove_all(directory_); }

  Result<Manifest> Take() {
    Reporter silent(Reporter::Output::kSilent);
    return TakeBackup({}, Programs(), options_, silent);
  }

  /// Flips one bit of the biggest file: data, not the table of contents.
  void Damage() {
    fs::path biggest;
    for (const auto& entry : fs::directory_iterator(options_.directory + "/data")) {
      if (biggest.empty() || entry.file_size() > fs::file_size(biggest)) biggest = entry.path();
    }
    std::fstream file(biggest, std::ios::in | std::ios::out | std::ios::binary);
    const auto middle = static_cast<std::streamoff>(fs::file_size(biggest) / 2);
    file.seekg(middle);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(middle);
    file.put(byte);
  }

  TrapTenant tenant_;
  fs::path directory_;
  BackupOptions options_;
};

TEST_F(BackupTest, IsCompleteReadBackAndLeavesNothingPartial) {
  auto taken = Take();
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_GT(taken->toc_entries, 100);
  EXPECT_GT(taken->bytes(), 10000);
  EXPECT_FALSE(fs::exists(options_.directory + ".partial"));
  auto checked = CheckBackup({}, Programs(), options_.directory);
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(checked->files, taken->files);
}

TEST_F(BackupTest, IsNotStoppedByATriggerOnLoginWhereItMayPassIt) {
  const pg::testing::TestRole owner(Servers().OfMajor(17));
  const pg::testing::TestDatabase database(Servers().OfMajor(17), owner.name());
  options_.source = database.Options();
  pg::Connection inside = pg::testing::MustConnect(options_.source);
  pg::testing::MustExec(inside,
                        {"CREATE FUNCTION public.fails() RETURNS event_trigger LANGUAGE plpgsql AS"
                         " 'BEGIN RAISE EXCEPTION $$nobody gets in$$; END'",
                         "CREATE EVENT TRIGGER fails ON login EXECUTE FUNCTION public.fails()"});
  auto taken = Take();
  EXPECT_TRUE(taken) << taken.error().message;
}

TEST_F(BackupTest, OneChangedBitIsFound) {
  ASSERT_TRUE(Take());
  Damage();
  auto checked = CheckBackup({}, Programs(), options_.directory);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().reason, "BackupDamaged");
}

TEST_F(BackupTest, AMissingFileIsFound) {
  auto taken = Take();
  ASSERT_TRUE(taken);
  fs::remove(options_.directory + "/data/" + taken->files.front().name);
  auto checked = CheckBackup({}, Programs(), options_.directory);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().reason, "BackupDamaged");
}

TEST_F(BackupTest, OfTheSameMigrationItIsTakenOnce) {
  auto first = Take();
  ASSERT_TRUE(first);
  auto second = Take();
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->taken_at, first->taken_at);
  EXPECT_EQ(second->files, first->files);
}

TEST_F(BackupTest, OfAnotherMigrationItIsNeverOverwritten) {
  ASSERT_TRUE(Take());
  options_.migration_uid = "other";
  auto second = Take();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "BackupExists");
}

TEST_F(BackupTest, ADamagedOneIsNotReused) {
  ASSERT_TRUE(Take());
  Damage();
  auto second = Take();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "BackupDamaged");
}

TEST_F(BackupTest, WhatAnInterruptedRunLeftIsReplaced) {
  fs::create_directories(options_.directory + ".partial/data");
  std::ofstream(options_.directory + ".partial/data/toc.dat") << "half";
  auto taken = Take();
  ASSERT_TRUE(taken) << taken.error().message;
}

}  // namespace
}  // namespace cutover::mover::testing
