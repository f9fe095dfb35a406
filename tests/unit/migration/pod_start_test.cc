// SPDX-License-Identifier: Apache-2.0
#include "reconcilers/migration/cluster/pod_start.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/kube/metadata.h"
#include "reconcilers/migration/cluster/pod_end.h"

namespace cutover::migration {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

WallTime Noon() { return std::chrono::system_clock::from_time_t(1'800'000'000); }

Json Made(const kube::Resource& resource, const char* name, seconds after_noon,
          const char* status = "{}") {
  Json object = kube::NewObject(resource, {"acme", name});
  object.MutableAt("metadata").Set("creationTimestamp", FormatTime(Noon() + after_noon));
  object.Set("status", *Json::Parse(status));
  return object;
}

Json Job(const char* status = "{}") {
  Json job = Made(kube::kJob, "copy", seconds(0), status);
  job.Set(
      "spec",
      *Json::Parse(R"({"backoffLimit":2,"template":{"spec":{"containers":[{"name":"mover"}]}}})"));
  return job;
}

Json Waiting(const std::string& reason, const std::string& message = "") {
  Json pod = Made(kube::kPod, "copy-x", seconds(1));
  pod.Set("status",
          *Json::Parse(R"({"phase":"Pending","containerStatuses":[)"
                       R"({"name":"istio-proxy","image":"r/proxy","state":{"running":{}}},)"
                       R"({"name":"mover","image":"r/mover:1","state":{"waiting":{"reason":")" +
                       reason + R"(","message":")" + message + R"("}}}]})"));
  return pod;
}

std::string Words(const std::vector<Json>& pods, seconds after_noon) {
  auto hindrance = FindHindrance({"Job", "images.mover", Job()}, pods, Noon() + after_noon);
  return hindrance ? hindrance->words : "";
}

TEST(PodStart, APodThatRunsIsNotLookedAt) {
  EXPECT_FALSE(MayBeHindered(Job(R"({"active":1,"ready":1})"), Noon() + seconds(3600)));
  EXPECT_TRUE(MayBeHindered(Job(R"({"active":1,"ready":0})"), Noon() + seconds(11)));
  EXPECT_TRUE(MayBeHindered(Job(), Noon() + seconds(11))) << "no pod yet";
  EXPECT_FALSE(MayBeHindered(Job(), Noon() + seconds(9)));
}

TEST(PodStart, AnImageThatCannotBePulledIsSaidInTheSameWordsHoweverOftenItIsTried) {
  const std::string words = Words({Waiting("ErrImagePull", "429")}, seconds(11));
  EXPECT_THAT(words, HasSubstr("Pod acme/copy-x cannot start: its image r/mover:1"));
  EXPECT_THAT(words, HasSubstr("images.pullSecrets"));
  EXPECT_EQ(Words({Waiting("ImagePullBackOff", "Back-off")}, seconds(50)), words);
}

TEST(PodStart, AConfigurationErrorIsSaidInTheKubeletsWords) {
  EXPECT_THAT(Words({Waiting("CreateContainerConfigError", "secret pg not found")}, seconds(11)),
              HasSubstr("CreateContainerConfigError: secret pg not found"));
}

TEST(PodStart, WhatMayPassByItselfIsGivenAMinute) {
  const Json slow = Waiting("ContainerCreating");
  EXPECT_EQ(Words({slow}, seconds(59)), "");
  EXPECT_THAT(Words({slow}, seconds(62)), HasSubstr("does not start (ContainerCreating)"));
  const Json homeless = Made(kube::kPod, "copy-x", seconds(1), R"({"phase":"Pending","conditions":[
      {"type":"PodScheduled","status":"False","reason":"Unschedulable",
       "message":"0/3 nodes are available"}]})");
  EXPECT_EQ(Words({homeless}, seconds(59)), "");
  EXPECT_THAT(Words({homeless}, seconds(62)), HasSubstr("has no node: 0/3 nodes are available"));
  EXPECT_EQ(Words({}, seconds(59)), "");
  EXPECT_THAT(Words({}, seconds(61)), HasSubstr("Job acme/copy has made no pod"));
}

TEST(PodStart, TheNewestPodCountsAndItsWaitBeginsWithItself) {
  const Json ended = Made(kube::kPod, "copy-a", seconds(1), R"({"phase":"Failed"})");
  const Json runs = Made(kube::kPod, "copy-b", seconds(100), R"({"phase":"Running"})");
  EXPECT_EQ(Words({ended}, seconds(3600)), "");
  EXPECT_EQ(Words({runs, Waiting("ErrImagePull")}, seconds(3600)), "");
  EXPECT_EQ(FindHindrance({"Job", "images.mover", Job()}, {ended, Waiting("ErrImagePull")},
                          Noon() + seconds(20))
                ->since,
            Noon() + seconds(1));
}

TEST(PodStart, ASidecarThatCannotStartHindersNoWork) {
  const Json pod =
      Made(kube::kPod, "copy-x", seconds(1), R"({"phase":"Pending","containerStatuses":[
      {"name":"a-proxy","state":{"waiting":{"reason":"ErrImagePull"}}},
      {"name":"mover","state":{"running":{}}}]})");
  EXPECT_EQ(Words({pod}, seconds(3600)), "");
}

// The maintenance page's.
Json Deployment(const char* status = "{}") {
  Json deployment = Made(kube::kDeployment, "page", seconds(0), status);
  deployment.Set("spec", *Json::Parse(R"({"template":{"spec":{"containers":[{"name":"page"}]}}})"));
  return deployment;
}

std::string WordsOfPage(const Json& deployment, const std::vector<Json>& pods, seconds after_noon) {
  auto hindrance =
      FindHindrance({"Deployment", "images.operator", deployment, true}, pods, Noon() + after_noon);
  return hindrance ? hindrance->words : "";
}

TEST(PodStart, AQuotaThatRefusesAPagesPodIsSaidInTheClustersWords) {
  const Json refused = Deployment(R"({"conditions":[{"type":"ReplicaFailure","status":"True",
      "reason":"FailedCreate","message":"exceeded quota: team"}]})");
  EXPECT_EQ(WordsOfPage(refused, {}, seconds(11)),
            "Deployment acme/page can make no pod: exceeded quota: team");
  EXPECT_EQ(WordsOfPage(Deployment(), {}, seconds(59)), "");
  EXPECT_THAT(WordsOfPage(Deployment(), {}, seconds(61)),
              HasSubstr("Deployment acme/page has made no pod"));
}

TEST(PodStart, APageThatRunsHasToBecomeReady) {
  const Json crashes = Made(kube::kPod, "page-x", seconds(1), R"({"phase":"Running",
      "containerStatuses":[{"name":"page","state":{"waiting":{"reason":"CrashLoopBackOff"}}}]})");
  EXPECT_EQ(WordsOfPage(Deployment(), {crashes}, seconds(59)), "");
  EXPECT_THAT(WordsOfPage(Deployment(), {crashes}, seconds(62)),
              HasSubstr("Pod acme/page-x does not start (CrashLoopBackOff)"));
  const Json runs = Made(kube::kPod, "page-x", seconds(1), R"({"phase":"Running",
      "containerStatuses":[{"name":"page","state":{"running":{}}}]})");
  EXPECT_THAT(WordsOfPage(Deployment(), {runs}, seconds(62)),
              HasSubstr("Pod acme/page-x does not become ready"));
  const Json pulls = Made(kube::kPod, "page-x", seconds(1), R"({"phase":"Pending",
      "containerStatuses":[{"name":"page","image":"r/operator:1",
                            "state":{"waiting":{"reason":"ErrImagePull"}}}]})");
  EXPECT_THAT(WordsOfPage(Deployment(), {pulls}, seconds(11)),
              HasSubstr("correct the chart's images.operator"));
}

Json Ended(seconds after_noon, const std::string& mover, const std::string& proxy) {
  Json pod = Made(kube::kPod, "copy-x", after_noon);
  pod.Set("status", *Json::Parse(R"({"phase":"Running","containerStatuses":[
      {"name":"istio-proxy","state":{)" +
                                 proxy + R"(}},{"name":"mover","state":{)" + mover + "}}]}"));
  return pod;
}

TEST(PodEnd, CountsOnlyBesideSomethingThatLivesOn) {
  const std::string runs = R"("running":{})", ended = R"("terminated":{"exitCode":1})";
  EXPECT_EQ(FindEndBesideOthers(Job(), {}), std::nullopt);
  EXPECT_EQ(FindEndBesideOthers(Job(), {Ended(seconds(1), runs, runs)}), std::nullopt);
  EXPECT_EQ(FindEndBesideOthers(Job(), {Ended(seconds(1), runs, ended)}), std::nullopt);
  EXPECT_EQ(FindEndBesideOthers(Job(), {Ended(seconds(1), ended, ended)}), std::nullopt)
      << "the Job's controller makes another";
  EXPECT_EQ(FindEndBesideOthers(Job(), {Ended(seconds(1), ended, runs)}), false);
  Json going = Ended(seconds(1), ended, runs);
  going.MutableAt("metadata").Set("deletionTimestamp", FormatTime(Noon()));
  EXPECT_EQ(FindEndBesideOthers(Job(), {going}), std::nullopt) << "it is replaced";
}

TEST(PodEnd, OfTheNewestPodCounts) {
  const std::string runs = R"("running":{})";
  const Json failed = Ended(seconds(1), R"("terminated":{"exitCode":1})", runs);
  const Json good = Ended(seconds(9), R"("terminated":{"exitCode":0})", runs);
  EXPECT_EQ(FindEndBesideOthers(Job(), {good, failed}), true);
}

}  // namespace
}  // namespace cutover::migration
