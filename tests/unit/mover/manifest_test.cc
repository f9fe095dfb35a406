// SPDX-License-Identifier: Apache-2.0
#include "mover/backup/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace cutover::mover {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Manifest Example() {
  Manifest manifest;
  manifest.migration_uid = "6f1c";
  manifest.database = "odoo";
  manifest.server_version = "15.20";
  manifest.dump_version = "17.11";
  manifest.taken_at = *ParseTime("2026-11-21T03:04:05Z");
  manifest.toc_entries = 21;
  manifest.files = {{"3412.dat.gz", 10, "aa"}, {"toc.dat", 20, "bb"}};
  return manifest;
}

TEST(Manifest, SurvivesItsOwnJson) {
  auto decoded = DecodeManifest(EncodeManifest(Example()));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(decoded->files, Example().files);
  EXPECT_EQ(decoded->migration_uid, "6f1c");
  EXPECT_EQ(decoded->toc_entries, 21);
  EXPECT_EQ(decoded->bytes(), 30);
  EXPECT_EQ(decoded->taken_at, Example().taken_at);
}

TEST(Manifest, OneWithoutFilesOrOfAnotherFormatIsNone) {
  Json json = EncodeManifest(Example());
  json.Set("files", Json::Array());
  EXPECT_FALSE(DecodeManifest(json));
  json = EncodeManifest(Example());
  json.Set("formatVersion", 2);
  EXPECT_FALSE(DecodeManifest(json));
}

TEST(Manifest, EveryDifferenceIsNamed) {
  const auto files = Example().files;
  EXPECT_THAT(CompareFiles(files, files), IsEmpty());
  EXPECT_THAT(CompareFiles(files, {files[1]}), ElementsAre("file 3412.dat.gz is missing"));
  EXPECT_THAT(CompareFiles(files, {files[0], {"toc.dat", 19, "bb"}}),
              ElementsAre("file toc.dat has 19 bytes instead of 20"));
  EXPECT_THAT(CompareFiles(files, {files[0], {"toc.dat", 20, "bc"}}),
              ElementsAre("file toc.dat has other contents than were written"));
  EXPECT_THAT(CompareFiles({files[0]}, files),
              ElementsAre("file toc.dat does not belong to the backup"));
}

TEST(Manifest, HashesWhatStandsOnDisk) {
  const std::string directory = ::testing::TempDir() + "/manifest_test";
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/a") << "abc";
  auto files = HashFiles(directory);
  ASSERT_TRUE(files);
  EXPECT_THAT(*files,
              ElementsAre(ManifestFile{
                  "a", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace cutover::mover
