// SPDX-License-Identifier: Apache-2.0
//
// What every schema in crds/ owes its users, whatever it is about.
#include <gtest/gtest.h>

#include <functional>

#include "operator/api/tenant_migration.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::api::testing {
namespace {

const std::vector<std::string> kPlurals{"databaseservers", "databaseplacements",
                                        "tenantmigrations"};

using Visit = std::function<void(const Json& schema, const std::string& path)>;

void Walk(const Json& schema, const std::string& path, const Visit& visit) {
  visit(schema, path);
  for (const auto& [key, property] : schema["properties"].Members())
    if (key != "metadata") Walk(property, path + "." + key, visit);
  if (schema.Contains("items")) Walk(schema["items"], path + "[]", visit);
  if (schema.Contains("additionalProperties"))
    Walk(schema["additionalProperties"], path + ".*", visit);
}

void ForEachSchema(const Visit& visit) {
  for (const std::string& plural : kPlurals) Walk(LoadSchema(plural), plural, visit);
}

bool EndsWith(const std::string& text, char last) { return !text.empty() && text.back() == last; }

TEST(CrdSchema, EveryFieldIsExplainedInASentence) {
  ForEachSchema([](const Json& schema, const std::string& path) {
    if (EndsWith(path, ']') || EndsWith(path, '*'))
      return;  // the list's or the map's speaks for it
    EXPECT_TRUE(EndsWith(schema["description"].AsString(), '.')) << path;
  });
}

TEST(CrdSchema, EverythingIsBounded) {
  ForEachSchema([](const Json& schema, const std::string& path) {
    const std::string type = schema["type"].AsString();
    // The API server sees to these two before any schema does.
    if (path.find(".apiVersion") != std::string::npos || path.find(".kind") == path.rfind('.'))
      return;
    if (type == "string")
      EXPECT_TRUE(schema.Contains("maxLength") || schema.Contains("enum") ||
                  schema["format"].AsString() == "date-time")
          << path;
    else if (type == "array")
      EXPECT_TRUE(schema.Contains("maxItems") && schema.Contains("x-kubernetes-list-type")) << path;
    else if (type == "integer")
      EXPECT_TRUE(schema.Contains("minimum") && schema.Contains("format")) << path;
    else if (schema.Contains("additionalProperties"))
      EXPECT_TRUE(schema.Contains("maxProperties")) << path;
    else
      EXPECT_TRUE(type == "object" || type == "boolean") << path << " has type '" << type << "'";
  });
}

TEST(CrdSchema, EveryNumberOfASpecHasAnUpperBound) {
  ForEachSchema([](const Json& schema, const std::string& path) {
    if (path.find(".spec.") == std::string::npos || schema["type"].AsString() != "integer") return;
    EXPECT_TRUE(schema.Contains("maximum")) << path;
  });
}

TEST(CrdSchema, EveryRuleSaysWhatToChange) {
  size_t rules = 0;
  ForEachSchema([&](const Json& schema, const std::string& path) {
    for (const Json& rule : schema["x-kubernetes-validations"].Items()) {
      ++rules;
      EXPECT_GT(rule["message"].AsString().size(), 30u) << path << ": " << rule["rule"].AsString();
    }
  });
  EXPECT_GT(rules, 20u);
}

// But for suspend, and for what a copy that runs can follow.
TEST(CrdSchema, AMigrationIsImmutableInEveryFieldButThreeOfThem) {
  const std::set<std::string> mutable_fields = {"suspend", "copy.maxRateMebibytesPerSecond",
                                                "copy.throttleQuery"};
  Json spec = LoadSchema("tenantmigrations")["properties"]["spec"];
  const std::string rule = spec["x-kubernetes-validations"].Items()[0]["rule"].AsString();
  auto expect = [&](const std::string& field) {
    bool compared = rule.find("self." + field + " == oldSelf." + field) != std::string::npos;
    EXPECT_EQ(compared, !mutable_fields.contains(field)) << field;
  };
  for (const auto& [key, property] : spec["properties"].Members()) {
    if (key != "copy") {
      expect(key);
      continue;
    }
    for (const auto& [inner, unused] : property["properties"].Members()) expect("copy." + inner);
  }
}

TEST(CrdSchema, ThePhasesAreThoseOfTheProgram) {
  Json phases =
      LoadSchema("tenantmigrations")["properties"]["status"]["properties"]["phase"]["enum"];
  ASSERT_EQ(phases.Size(), static_cast<size_t>(Phase::kRolledBack) + 1);
  for (size_t i = 0; i < phases.Size(); ++i) {
    EXPECT_EQ(phases[i].AsString(), Name(static_cast<Phase>(i)));
    EXPECT_EQ(ParsePhase(phases[i].AsString()), static_cast<Phase>(i));
  }
  EXPECT_EQ(ParsePhase("CatchingDown"), std::nullopt);
}

TEST(CrdSchema, PrinterColumnsShowFieldsThatExist) {
  for (const std::string& plural : kPlurals) {
    Json crd = LoadCrd(plural);
    std::set<std::string> known =
        SchemaLeaves(crd["spec"]["versions"].Items()[0]["schema"]["openAPIV3Schema"], "");
    known.insert("metadata.creationTimestamp");
    for (const Json& column :
         crd["spec"]["versions"].Items()[0]["additionalPrinterColumns"].Items()) {
      std::string path = column["jsonPath"].AsString().substr(1);
      if (size_t filter = path.find("[?("); filter != std::string::npos)
        path.replace(filter, path.find(")]") + 2 - filter, "[]");
      EXPECT_TRUE(known.count(path)) << plural << ": " << path;
      EXPECT_EQ(column["name"].AsString().find(' '), std::string::npos)
          << "a blank in a heading breaks awk";
    }
  }
}

}  // namespace
}  // namespace cutover::api::testing
