// SPDX-License-Identifier: Apache-2.0
#include "operator/kube/error.h"

#include <gtest/gtest.h>

#include <string>

namespace cutover::kube {
namespace {

std::string StatusBody(int code, const std::string& reason) {
  return R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"why","reason":")" +
         reason + R"(","code":)" + std::to_string(code) + "}";
}

TEST(Error, WhatARequestLeavesBehindDecidesItsDisposition) {
  struct Case {
    int status;
    bool is_write;
    Disposition expected;
    const char* why;
  };
  for (const Case& c : {
           Case{404, true, Disposition::kRetry, "another may create it"},
           Case{409, true, Disposition::kRetry, "read again, then write again"},
           Case{403, true, Disposition::kRetry, "a role may be granted, of which no event tells"},
           Case{422, true, Disposition::kTerminal, "the same object stays invalid"},
           Case{400, false, Disposition::kTerminal, "the same request stays bad"},
           Case{429, true, Disposition::kRetry, "refused before it was looked at"},
           Case{503, true, Disposition::kRetry, "refused before it was looked at"},
           Case{500, true, Disposition::kInDoubt, "etcd may have written before it failed"},
           Case{504, true, Disposition::kInDoubt, "the server may still be at it"},
           Case{500, false, Disposition::kRetry, "a read changes nothing"},
           Case{504, false, Disposition::kRetry, "a read changes nothing"},
       })
    EXPECT_EQ(ErrorFromResponse(c.status, "", c.is_write).disposition, c.expected)
        << c.status << ": " << c.why;
}

TEST(Error, TheServersOwnReasonWinsOverTheStatusCode) {
  EXPECT_TRUE(IsAlreadyExists(ErrorFromResponse(409, StatusBody(409, "AlreadyExists"), true)));
  EXPECT_TRUE(IsConflict(ErrorFromResponse(409, StatusBody(409, "Conflict"), true)));
  EXPECT_TRUE(IsConflict(ErrorFromResponse(409, "", true)));
  EXPECT_EQ(ErrorFromResponse(409, StatusBody(409, "Conflict"), true).message, "why");
}

TEST(Error, GoneHasTwoSpellings) {
  EXPECT_TRUE(IsGone(ErrorFromResponse(410, StatusBody(410, "Expired"), false)));
  EXPECT_TRUE(IsGone(ErrorFromResponse(410, StatusBody(410, "Gone"), false)));
  EXPECT_TRUE(IsGone(ErrorFromResponse(410, "<html>", false)));
}

TEST(Error, AVersionTheServerHasNotReachedIsKnownByItsCause) {
  std::string body =
      R"({"kind":"Status","reason":"Timeout","code":504,"message":"Too large resource version",)"
      R"("details":{"causes":[{"reason":"ResourceVersionTooLarge","message":"m"}]}})";
  EXPECT_TRUE(IsVersionTooLarge(ErrorFromResponse(504, body, false)));
}

TEST(Error, AnotherObjectOfTheSameNameIsAConflictThoughTheServerCallsItInvalid) {
  std::string body =
      R"({"kind":"Status","reason":"Invalid","code":422,"message":"m",)"
      R"("details":{"causes":[{"reason":"FieldValueInvalid","field":"metadata.uid"}]}})";
  Error error = ErrorFromResponse(422, body, true);
  EXPECT_TRUE(IsConflict(error));
  EXPECT_EQ(error.disposition, Disposition::kRetry);
}

TEST(Error, AForeignBodyIsQuotedInPartAndAnEmptyOneReplaced) {
  EXPECT_EQ(ErrorFromResponse(502, std::string(5000, 'x'), false).message.size(), 200u);
  EXPECT_FALSE(ErrorFromResponse(502, "", false).message.empty());
}

}  // namespace
}  // namespace cutover::kube
