// SPDX-License-Identifier: Apache-2.0
//
// What informers get wrong, entry by entry of docs/informer-conformance.md: the real watcher,
// client and store against the real API server, through a transport that does what networks and
// servers do. Each ends with the oracle of InformerWorld::IsTrue.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "operator/base/random.h"
#include "operator/kube/metadata.h"
#include "tests/kube/informer_world.h"
#include "tests/kube/tcp_relay.h"

namespace cutover::testing {
namespace {

using kube::Change;
using kube::Request;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Newer than anything that an API server of a test will ever get to.
constexpr char kFuture[] = "999999999999";

Fault Refuse(int code, const std::string& reason, kube::Headers headers = {}) {
  Fault fault;
  fault.refuse_with = Refusal(code, reason, std::move(headers));
  return fault;
}

Fault Rewrite(std::function<void(Request&)> change) {
  Fault fault;
  fault.change = std::move(change);
  return fault;
}

// By pages unless a test is about streamed lists: most of the list is about the older protocol.
class InformerConformance : public ::testing::Test {
 protected:
  static InformerOptions InPagesOf(int objects) {
    InformerOptions options;
    options.page_size = objects;
    return options;
  }
  static InformerOptions Streaming() {
    InformerOptions options;
    options.watch_list = true;
    return options;
  }
  // A world with some objects, in sync.
  static void Begin(InformerWorld& world) {
    for (const char* name : {"a", "b", "c", "d", "e"}) world.Put(name);
    ASSERT_TRUE(world.Start());
    ASSERT_TRUE(world.IsTrue());
    Eventually([&] { return world.faults().Count("WATCH") > 0; });
  }
  // Changes of every kind while the informer sees nothing. What it meets when it is back is for
  // `prepare` to say.
  static void ChangeUnseen(InformerWorld& world, const std::function<void()>& prepare) {
    world.faults().SetDown(true);
    world.Delete("a");
    world.Put("b", "changed");
    world.Put("new");
    prepare();
    world.faults().SetDown(false);
  }
};

TEST_F(InformerConformance, Entry01_GoneAsAnHttpStatusListsAgain) {
  InformerWorld world;
  Begin(world);
  ChangeUnseen(world, [&] { world.faults().Strike(IsWatch, Refuse(410, "Expired")); });
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kDeleted), 1);
  EXPECT_EQ(world.faults().Count("LIST"), 2);
}

TEST_F(InformerConformance, Entry01_GoneAsAnEventListsAgain) {
  InformerWorld world;
  Begin(world);
  // In the words of a server whose cache no longer has the version; a server of a test is too young
  // to have forgotten any.
  ChangeUnseen(world, [&] {
    Fault gone;
    gone.change_line = [](const std::string&) {
      return std::string(
                 R"({"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},)"
                 R"("status":"Failure","message":"too old resource version",)"
                 R"("reason":"Expired","code":410}})") +
             "\n";
    };
    world.faults().Strike(IsWatch, gone);
  });
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kDeleted), 1);
  EXPECT_EQ(world.faults().Count("LIST"), 2);
}

TEST_F(InformerConformance, Entry01_GoneBetweenPagesListsFromTheStart) {
  InformerWorld world(InPagesOf(2));
  Begin(world);
  ChangeUnseen(world, [&] {
    world.faults().Strike(IsWatch, Refuse(410, "Gone"));
    Fault gone = Refuse(410, "Expired");
    gone.before = [&] {
      world.Delete("b");  // It was on the page before.
      world.Put("z");
    };
    world.faults().Strike(IsNextPage, gone);
  });
  // Two more pages of the first list, the one that was gone, and two of the last list.
  ASSERT_TRUE(Eventually([&] { return world.faults().Count("LIST+") >= 5; }));
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kDeleted), 2);
}

TEST_F(InformerConformance, Entry02_AVersionTheServerHasNotReachedListsTheMostRecentAtOnce) {
  InformerWorld world;
  Begin(world);
  SteadyTime started = RealClock().SteadyNow();
  ChangeUnseen(world, [&] {
    world.faults().Strike(IsWatch, Refuse(410, "Expired"));
    world.faults().Strike(IsList, Rewrite([](Request& request) {
                            SetParameter(request, "resourceVersion", kFuture);
                            SetParameter(request, "resourceVersionMatch", "NotOlderThan");
                          }));
  });
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kDeleted), 1);
  // The server says after three seconds that it has not got there; once is enough.
  EXPECT_EQ(world.faults().Count("LIST"), 3);
  EXPECT_LT(RealClock().SteadyNow() - started, seconds(45));
}

TEST_F(InformerConformance, Entry03_BookmarksAloneMoveTheResumePoint) {
  InformerWorld world;
  // The server sends a bookmark two seconds before it ends a watch: as a rule, not always.
  world.faults().Strike(
      IsWatch, Rewrite([](Request& request) { SetParameter(request, "timeoutSeconds", "4"); }), 10);
  Begin(world);
  Result<Json> elsewhere =
      world.oracle().Create({}, Deadline::After(seconds(30)), kube::kConfigMap,
                            kube::NewObject(kube::kConfigMap, {"default", world.ns()}));
  ASSERT_TRUE(elsewhere) << "nothing of it concerns the informer, but versions go on";
  const std::string& version = kube::ResourceVersionOf(*elsewhere);
  EXPECT_TRUE(Eventually([&] {
    // Further writes there: the server has reason to tell how far it is.
    (void)world.oracle().Patch({}, Deadline::After(seconds(30)), kube::kConfigMap,
                               {"default", world.ns()},
                               Json::Object({{"data", Json::Object({{"x", RandomHex(4)}})}}));
    std::this_thread::sleep_for(milliseconds(200));
    const std::string last = world.faults().log().back();
    return last.starts_with("WATCH@") && !kube::IsOlderVersion(last.substr(6), version);
  })) << world.faults().log().back()
      << " after " << version;
  world.Put("b", "after the bookmark");
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.faults().Count("LIST"), 1);
  EXPECT_TRUE(world.oracle().Delete({}, Deadline::After(seconds(30)), kube::kConfigMap,
                                    {"default", world.ns()}));
}

TEST_F(InformerConformance, Entry04_AStreamedListEndsWithItsBookmarkAndGoesOnAsTheWatch) {
  InformerWorld world(Streaming());
  Begin(world);
  world.Put("f");
  world.Delete("a");
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.faults().Count("LIST"), 0);
  EXPECT_EQ(world.faults().Count("WATCH"), 1) << "the stream of the list is the watch";
}

TEST_F(InformerConformance, Entry04_AStreamedListWithoutItsEndBecomesAListInPages) {
  Fault endless;
  endless.change_line = [](const std::string& line) {
    return line.find("initial-events-end") == std::string::npos ? line : "";
  };
  InformerOptions options = Streaming();
  options.silence_max = seconds(6);
  std::atomic<size_t> had = 0;
  std::atomic<bool> had_synced = true;
  InformerWorld world(options);
  world.Put("a");
  world.faults().Strike(IsWatch, endless);
  Fault look;
  look.before = [&] {
    had = world.store().Keys().size();
    had_synced = world.store().HasSynced();
  };
  world.faults().Strike(IsList, look);
  world.StartUnsynced();
  ASSERT_TRUE(Eventually([&] { return world.store().HasSynced(); }));
  EXPECT_EQ(had, 1u);
  EXPECT_FALSE(had_synced) << "it may be half of the truth";
  EXPECT_EQ(world.faults().Count("LIST"), 1);
  world.Put("b");
  EXPECT_TRUE(world.IsTrue());
}

TEST_F(InformerConformance, Entry04_AStreamedListThatBreaksOffDeletesNothing) {
  InformerWorld world(Streaming());
  Begin(world);
  Fault cut;
  cut.cut_after_bytes = 1000;  // Within the second object.
  world.faults().Strike(IsWatch, Refuse(410, "Expired"));
  world.faults().Strike(IsWatch, cut);
  world.faults().BreakStreams();
  ASSERT_TRUE(Eventually([&] { return world.faults().Count("WATCH") >= 3; }));
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kDeleted), 0);
  world.Delete("e");
  EXPECT_TRUE(world.IsTrue());
}

TEST_F(InformerConformance, Entry05_WhatIsDeletedDuringARelistIsDeletedInTheStore) {
  InformerWorld world(InPagesOf(2));
  Begin(world);
  ChangeUnseen(world, [&] {
    world.faults().Strike(IsWatch, Refuse(410, "Expired"));
    Fault meanwhile;
    meanwhile.before = [&] {
      world.Delete("b");  // On the first page, which has been read.
      world.Delete("e");  // On the last one, which has not.
      world.Put("aa");    // Would be on the first page.
      world.Replace("c");
    };
    world.faults().Strike(IsNextPage, meanwhile);
  });
  ASSERT_TRUE(Eventually([&] { return world.faults().Count("LIST+") >= 4; }));
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kDeleted), 4);
}

TEST_F(InformerConformance, Entry06_EventsArriveWholeHoweverTheirBytesAreCutIntoPieces) {
  for (size_t piece_bytes : {1, 2, 3, 5, 17, 1000}) {
    InformerWorld world(piece_bytes % 2 ? Streaming() : InformerOptions());
    world.faults().Decide([piece_bytes](const Request&) {
      Fault fault;
      fault.piece_bytes = piece_bytes;
      return fault;
    });
    Begin(world);
    world.Put("unicode", "ä€𝄞\u2028\n\t\"\\ end");
    world.Put("a", "ü");
    EXPECT_TRUE(world.IsTrue()) << "in pieces of " << piece_bytes;
  }
}

TEST_F(InformerConformance, Entry06_AWatchCutAfterAnyByteLosesNothing) {
  // The same event again and again, each time some bytes more of it, until it is through; from
  // another first byte in every run, so that few runs have seen all.
  constexpr size_t kStride = 7;
  std::atomic<size_t> cut_after_bytes = std::random_device()() % kStride;
  InformerWorld world;
  Begin(world);
  world.faults().Decide([&](const Request& request) {
    Fault fault;
    if (IsWatch(request)) fault.cut_after_bytes = cut_after_bytes += kStride;
    return fault;
  });
  world.faults().BreakStreams();
  world.Put("unicode", "ä€𝄞");
  ASSERT_TRUE(Eventually([&] { return world.Count(Change::kAdded) == 6; }));
  EXPECT_GT(cut_after_bytes, 300u) << "an event has more bytes than that";
  world.faults().Decide({});
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.faults().Count("LIST"), 1);
}

TEST_F(InformerConformance, Entry06_AConnectionResetAfterAnyNumberOfBytesLosesNothing) {
  InformerOptions options = InPagesOf(3);
  int server_port = std::stoi(
      MakeConnection(options).transport.url.substr(std::string("https://127.0.0.1:").size()));
  TcpRelay relay(server_port);
  options.port = relay.port();
  InformerWorld world(options);
  for (const char* name : {"a", "b", "c", "d", "e"}) world.Put(name, std::string(400, 'x'));
  // Below HTTP: within the TLS handshake, a header, a chunk's length, a page of the list.
  size_t cut_after_bytes = 1;
  relay.CutAfter(cut_after_bytes);
  world.StartUnsynced();
  while (!world.store().HasSynced() && cut_after_bytes < 100'000) {
    int before = relay.connections();
    relay.CutAfter(cut_after_bytes += 149);
    ASSERT_TRUE(
        Eventually([&] { return relay.connections() > before || world.store().HasSynced(); }));
  }
  relay.CutAfter(TcpRelay::kNever);
  ASSERT_TRUE(Eventually([&] { return world.store().HasSynced(); }));
  EXPECT_GT(relay.connections(), 10);
  world.Delete("a");
  EXPECT_TRUE(world.IsTrue());
}

TEST_F(InformerConformance, Entry07_ObjectsOfOneAndAHalfMegabytesArriveWhole) {
  // The kind with the least to say about what is in it; a ConfigMap ends at a megabyte.
  constexpr kube::Resource kRevision{"apps", "v1", "controllerrevisions", "ControllerRevision"};
  for (bool streaming : {false, true}) {
    InformerOptions options = streaming ? Streaming() : InformerOptions();
    options.resource = kRevision;
    InformerWorld world(options);
    world.fill = [](Json& object, const std::string& value) {
      object.Set("revision", 1);
      object.Set("data", Json::Object({{"value", value}}));
    };
    world.Put("listed", std::string(1'500'000, 'x'));
    ASSERT_TRUE(world.Start());
    world.Put("watched", std::string(1'500'000, 'y'));
    EXPECT_TRUE(world.IsTrue());
    EXPECT_EQ(
        (**world.store().Get({world.ns(), "watched"})).At({"data", "value"}).StringRef().size(),
        1'500'000u);
  }
}

TEST_F(InformerConformance, Entry08_AHalfOpenSocketIsGivenUpAndTheWatchGoesOn) {
  InformerOptions options;
  TcpRelay relay(std::stoi(
      MakeConnection(options).transport.url.substr(std::string("https://127.0.0.1:").size())));
  options.port = relay.port();
  options.silence_max = seconds(2);
  std::atomic<int> deleted_before = -1;
  InformerWorld world(options);
  Begin(world);
  world.Put("heard");
  ASSERT_TRUE(world.IsTrue()) << "the watch is there";
  Fault look;
  look.before = [&] { deleted_before = world.Count(Change::kDeleted); };
  world.faults().Strike(IsWatch, look);
  relay.ForgetConnections();
  world.Put("unheard");
  world.Delete("a");
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(deleted_before, 0) << "stale, as long as nobody can know better";
  EXPECT_EQ(world.faults().Count("LIST"), 1) << "silence is no reason to list";
}

TEST_F(InformerConformance, Entry09_AWatchThatEndsAtOnceIsResumedWithPausesAndWithoutAList) {
  InformerWorld world;
  Begin(world);
  int before = world.pauses();
  Fault ends;
  ends.refuse_with = kube::Response{200, {}, ""};
  world.faults().Strike(IsWatch, ends, 20);
  world.faults().BreakStreams();
  ASSERT_TRUE(Eventually([&] { return world.faults().Count("WATCH") >= 22; }));
  EXPECT_GE(world.pauses() - before, 20);
  world.Put("after");
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.faults().Count("LIST"), 1);
}

TEST_F(InformerConformance, Entry10_ARefusedTokenIsReadAgainAndTheWatchGoesOn) {
  const std::string path = std::filesystem::temp_directory_path() / ("token-" + RandomHex(6));
  std::ofstream(path) << ControlPlane::kAdminToken;
  std::atomic<bool> revoked = false;
  InformerOptions options;
  options.token = std::make_shared<kube::FileToken>(path);
  InformerWorld world(options);
  // The server refuses what it does not know: that is what the old token becomes.
  world.faults().Decide([&](const Request&) {
    if (!revoked) return Fault();
    return Rewrite([](Request& request) {
      for (auto& [name, value] : request.headers)
        if (value == std::string("Bearer ") + ControlPlane::kAdminToken) value += "-revoked";
    });
  });
  Begin(world);
  std::ofstream(path) << ControlPlane::kRotatedToken;
  revoked = true;
  ChangeUnseen(world, [] {});
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.faults().Count("LIST"), 1) << "the version is as good as before";
  std::filesystem::remove(path);
}

TEST_F(InformerConformance, Entry11_AStormOf429IsRetriedWithoutAList) {
  InformerWorld world;
  Begin(world);
  SteadyTime started = RealClock().SteadyNow();
  world.faults().Strike(IsWatch, Refuse(429, "TooManyRequests", {{"Retry-After", "1"}}), 3);
  world.faults().Strike(IsWatch, Refuse(429, "TooManyRequests"), 20);
  ChangeUnseen(world, [] {});
  ASSERT_TRUE(Eventually([&] { return world.faults().Count("WATCH") >= 25; }));
  EXPECT_GE(RealClock().SteadyNow() - started, seconds(3)) << "Retry-After is obeyed";
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.faults().Count("LIST"), 1);
}

TEST_F(InformerConformance, Entry11_AStormOf429OnTheListKeepsWhatWasKnown) {
  InformerWorld world(InPagesOf(2));
  Begin(world);
  ChangeUnseen(world, [&] {
    world.faults().Strike(IsWatch, Refuse(410, "Expired"));
    world.faults().Strike(IsNextPage, Refuse(429, "TooManyRequests", {{"Retry-After", "1"}}), 2);
    world.faults().Strike(IsList, Refuse(429, "TooManyRequests"), 10);
  });
  ASSERT_TRUE(Eventually([&] { return world.faults().Count("LIST") >= 10; }));
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kDeleted), 1);
}

TEST_F(InformerConformance, Entry13_TheSameNameWithAnotherUidIsADeletionAndAnAddition) {
  InformerWorld world;
  Begin(world);
  int added = world.Count(Change::kAdded);
  world.Replace("a");  // Seen by the watch,
  EXPECT_TRUE(world.IsTrue());
  ChangeUnseen(world, [&] {  // and by a list alone.
    world.Put("a");
    world.Replace("c");
    world.faults().Strike(IsWatch, Refuse(410, "Expired"));
  });
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kDeleted), 3);
  EXPECT_EQ(world.Count(Change::kAdded) - added, 4) << "a, a again, c, and new";
}

TEST_F(InformerConformance, Entry14_EveryEventTwiceIsTheSameAsOnce) {
  InformerWorld world;
  Fault twice;
  twice.change_line = [](const std::string& line) { return line + line; };
  world.faults().Strike(IsWatch, twice);
  Begin(world);
  world.Put("a", "changed");
  world.Put("f");
  world.Replace("b");
  world.Delete("c");
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kAdded), 7);
  EXPECT_EQ(world.Count(Change::kModified), 1);
  EXPECT_EQ(world.Count(Change::kDeleted), 2);
}

TEST_F(InformerConformance, Entry14_EventsThatComeAgainMuchLaterBringNothingBack) {
  std::string all;
  InformerWorld world;
  Fault echo;
  echo.change_line = [&all](const std::string& line) {
    all += line;
    return all;  // Each event, after all those before it.
  };
  world.faults().Strike(IsWatch, echo);
  Begin(world);
  world.Put("f");
  world.Delete("f");  // Its ADDED comes again from now on,
  world.Replace("b");
  world.Put("b", "changed");  // and so does the DELETED of the b before this one.
  world.Delete("c");
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kDeleted), 3);
}

TEST_F(InformerConformance, Entry14_AnAdditionOfWhatIsKnownIsAChange) {
  InformerWorld world;
  Fault renamed;
  renamed.change_line = [](std::string line) {
    size_t at = line.find("\"MODIFIED\"");
    return at == std::string::npos ? line : line.replace(at, 10, "\"ADDED\"");
  };
  world.faults().Strike(IsWatch, renamed);
  Begin(world);
  world.Put("a", "changed");
  EXPECT_TRUE(world.IsTrue());
  EXPECT_EQ(world.Count(Change::kModified), 1);
}

TEST_F(InformerConformance, Entry15_AnEventOfAnUnknownTypeIsPassedOver) {
  InformerWorld world;
  Fault strange;
  strange.change_line = [](const std::string& line) {
    return R"({"type":"FROM-THE-FUTURE","object":{"metadata":{"resourceVersion":")" +
           std::string(kFuture) + "\"}}}\n" + line;
  };
  world.faults().Strike(IsWatch, strange);
  Begin(world);
  world.Put("a", "changed");
  EXPECT_TRUE(world.IsTrue());
  world.faults().BreakStreams();
  world.Put("b", "after its version was not taken for the resume point");
  EXPECT_TRUE(world.IsTrue());
}

TEST_F(InformerConformance, Entry16_AStopDuringAListTakesNoTimeAndStoresNoHalf) {
  InformerWorld world(InPagesOf(2));
  for (const char* name : {"a", "b", "c"}) world.Put(name);
  Fault hangs;
  hangs.delay = std::chrono::hours(1);
  world.faults().Strike(IsNextPage, hangs);
  world.StartUnsynced();
  ASSERT_TRUE(Eventually([&] { return world.faults().Count("LIST+") == 1; }));
  SteadyTime before = RealClock().SteadyNow();
  world.Stop();
  EXPECT_LT(RealClock().SteadyNow() - before, seconds(60)) << "what it waits for takes an hour";
  EXPECT_FALSE(world.store().HasSynced());
  EXPECT_EQ(world.Count(Change::kDeleted), 0);
  ASSERT_TRUE(world.Start()) << "the next process begins where nothing was left";
  EXPECT_TRUE(world.IsTrue());
}

// Everything at once, at random, while somebody writes: the sum of what the entries promise.
TEST_F(InformerConformance, AnySequenceOfFaultsEndsInTheTruth) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (bool streaming : {false, true}) {
    Mutex mutex;
    std::mt19937 choose(seed), fate(seed + 1);
    auto upTo = [&](unsigned n) { return choose() % n; };
    InformerOptions options = InPagesOf(3);
    options.watch_list = streaming;
    InformerWorld world(options);
    Begin(world);
    world.faults().Decide([&](const Request& request) {
      MutexLock lock(mutex);
      Fault fault;
      fault.delay = milliseconds(fate() % 5);
      fault.piece_bytes = 1 + fate() % 700;
      if (fate() % 3 == 0) fault.cut_after_bytes = fate() % 3000;
      if (fate() % 4 == 0) fault.change_line = [](const std::string& line) { return line + line; };
      const unsigned refusal = fate() % 12;
      if (refusal == 0) fault.refuse_with = Refusal(410, "Expired");
      if (refusal == 1) fault.refuse_with = Refusal(429, "TooManyRequests");
      if (refusal == 2) fault.refuse_with = Refusal(500, "InternalError");
      if (refusal == 3 && IsWatch(request)) fault.refuse_with = kube::Response{200, {}, ""};
      return fault;
    });
    for (int round = 0; round < 120; ++round) {
      std::string name(1, static_cast<char>('a' + upTo(8)));
      unsigned what = upTo(10);
      if (what < 5)
        world.Put(name, std::to_string(round));
      else if (what < 7)
        world.Delete(name);
      else if (what == 7)
        world.Replace(name);
      else
        world.faults().BreakStreams();
    }
    world.faults().Decide({});
    world.faults().BreakStreams();
    EXPECT_TRUE(world.IsTrue());
  }
}

}  // namespace
}  // namespace cutover::testing
