// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/utf8.h"

#include <gtest/gtest.h>

namespace cutover::telemetry {
namespace {

TEST(ValidUtf8, KeepsWhatIsValid) {
  for (const char* text : {"", "plain", "h\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"})
    EXPECT_EQ(ValidUtf8(text), text);
}

TEST(ValidUtf8, ReplacesEachByteThatIsNot) {
  struct Case {
    const char* text;
    const char* valid;
    const char* reason;
  };
  for (const Case& c :
       std::initializer_list<Case>{{"a\xff", "a?", "never a byte of UTF-8"},
                                   {"\x80z", "?z", "a continuation without a beginning"},
                                   {"\xc3", "?", "cut short by the end"},
                                   {"\xc3(", "?(", "cut short by another character"},
                                   {"\xc0\xaf", "??", "overlong"},
                                   {"\xed\xa0\x80", "???", "a surrogate"},
                                   {"\xf4\x90\x80\x80", "????", "beyond the last code point"}})
    EXPECT_EQ(ValidUtf8(c.text), c.valid) << c.reason;
}

}  // namespace
}  // namespace cutover::telemetry
