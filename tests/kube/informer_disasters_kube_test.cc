// SPDX-License-Identifier: Apache-2.0
//
// The entries of docs/informer-conformance.md for which an API server has to be mistreated: each
// test has one of its own.
#include <gtest/gtest.h>

#include <filesystem>

#include "operator/base/random.h"
#include "operator/kube/error.h"
#include "operator/kube/metadata.h"
#include "tests/kube/informer_world.h"
#include "tests/kube/tcp_relay.h"

namespace cutover::testing {
namespace {

using kube::Change;
using std::chrono::milliseconds;
using std::chrono::seconds;

class InformerDisasters : public ::testing::Test {
 protected:
  void SetUp() override {
    auto directory = std::filesystem::temp_directory_path() / ("cutover-plane-" + RandomHex(6));
    Result<std::unique_ptr<ControlPlane>> started = ControlPlane::Start(directory.string());
    ASSERT_TRUE(started) << started.error().message;
    plane_ = std::move(*started);
  }

  // An informer of the first server, in sync with some objects.
  std::unique_ptr<InformerWorld> Begin(int page_size = 500) {
    InformerOptions options;
    options.kubeconfig = *plane_->Kubeconfig();
    options.page_size = page_size;
    auto world = std::make_unique<InformerWorld>(options);
    for (const char* name : {"a", "b", "c", "d", "e"}) world->Put(name);
    EXPECT_TRUE(world->Start());
    EXPECT_TRUE(world->IsTrue());
    Eventually([&] { return world->faults().Count("WATCH") > 0; });
    return world;
  }

  std::unique_ptr<ControlPlane> plane_;
};

TEST_F(InformerDisasters, Entry01_ARestartAfterACompactionLosesNoChangeAndNoDeletion) {
  auto world = Begin(2);
  world->faults().SetDown(true);
  world->Delete("a");
  world->Put("b", "changed");
  world->Put("new");
  // Neither etcd nor the server's memory can say any more what has changed since: 410, as the
  // server itself says it.
  Status compacted = plane_->Compact();
  ASSERT_TRUE(compacted) << compacted.error().message;
  plane_->KillServer(0);
  Status restarted = plane_->RestartServer(0);
  ASSERT_TRUE(restarted) << restarted.error().message;
  world->faults().SetDown(false);
  EXPECT_TRUE(world->IsTrue());
  EXPECT_EQ(world->Count(Change::kDeleted), 1);
  EXPECT_GE(world->faults().Count("LIST"), 2) << "it was really too old";
}

TEST_F(InformerDisasters, Entry12_AServerRestoredFromABackupIsBelievedAndNotWaitedFor) {
  auto world = Begin();
  Status kept = plane_->Backup();
  ASSERT_TRUE(kept) << kept.error().message;
  // The server needs a moment to find etcd again.
  ASSERT_TRUE(Eventually([&] {
    auto made = world->oracle().Create({}, Deadline::After(seconds(5)), kube::kConfigMap,
                                       kube::NewObject(kube::kConfigMap, {world->ns(), "undone"}));
    return made || kube::IsAlreadyExists(made.error());  // By a try whose answer was lost.
  }));
  world->Delete("a");
  world->Put("b", "undone as well");
  for (int i = 0; i < 20; ++i) world->Put("c", std::to_string(i));
  EXPECT_TRUE(world->IsTrue());

  Status restored = plane_->RestoreBackup();
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_TRUE(world->IsTrue());
  EXPECT_EQ(world->Count(Change::kDeleted), 2) << "a then, and now what came after the backup";
  EXPECT_TRUE(*world->store().Get({world->ns(), "a"}));
  world->Put("b", "after the restoration");
  EXPECT_TRUE(world->IsTrue());
}

TEST_F(InformerDisasters, Entry12_AServerThatIsBehindTakesNothingBack) {
  TcpRelay to_etcd(plane_->etcd_port());
  Result<int> behind = plane_->AddServer(to_etcd.port());
  ASSERT_TRUE(behind) << behind.error().message;
  auto world = Begin();
  to_etcd.SetFrozen(true);
  world->Put("a", "unknown to the server that is behind");
  world->Delete("b");
  EXPECT_TRUE(world->IsTrue());
  InformerOptions options;
  options.kubeconfig = *plane_->Kubeconfig("admin", *behind);
  world->faults().Route(MakeTransport(MakeConnection(options)));
  world->faults().BreakStreams();
  world->Put("c", "changed while it is behind");
  // A relist as well as a resumed watch.
  world->faults().Strike(IsWatch, {.refuse_with = Refusal(410, "Expired")});
  std::this_thread::sleep_for(seconds(1));
  EXPECT_EQ(world->Count(Change::kDeleted), 1);
  EXPECT_EQ((**world->store().Get({world->ns(), "a"}))["data"]["value"].StringRef(),
            "unknown to the server that is behind");
  to_etcd.SetFrozen(false);
  EXPECT_TRUE(world->IsTrue());
  EXPECT_EQ(world->Count(Change::kDeleted), 1);
}

}  // namespace
}  // namespace cutover::testing
