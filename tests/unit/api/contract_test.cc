// SPDX-License-Identifier: Apache-2.0
//
// The CRDs against the decoders: no field of a spec is accepted and ignored, and a default means
// the same whether the API server fills it in or the decoder does.
#include <gtest/gtest.h>

#include <functional>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/tenant_migration.h"
#include "tests/unit/api/crd_schema.h"

namespace cutover::api::testing {
namespace {

// A kind, with its decoder reduced to what this test asks: do two objects mean the same?
struct Kind {
  std::string plural;
  std::string samples;
  std::function<Result<bool>(const Json& a, const Json& b)> same_spec;
};

template <class Decoder>
std::function<Result<bool>(const Json&, const Json&)> SameSpec(Decoder decode) {
  return [decode](const Json& a, const Json& b) -> Result<bool> {
    TRY_ASSIGN(auto left, decode(a));
    TRY_ASSIGN(auto right, decode(b));
    return left.spec == right.spec;
  };
}

const std::vector<Kind>& Kinds() {
  static const auto* kinds = new std::vector<Kind>{
      {"databaseservers", "database_server.yaml", SameSpec(DecodeDatabaseServer)},
      {"databaseplacements", "database_placement.yaml", SameSpec(DecodeDatabasePlacement)},
      {"tenantmigrations", "tenant_migration.yaml", SameSpec(DecodeTenantMigration)}};
  return *kinds;
}

// Every scalar of the spec of every sample, visited with the sample it is in.
void ForEachSpecLeaf(const Kind& kind,
                     const std::function<void(const Json& sample, const Leaf&)>& visit) {
  Json schema = LoadSchema(kind.plural);
  for (const Json& sample : LoadYaml("tests/unit/api/samples/" + kind.samples))
    for (const Leaf& leaf : Leaves(schema["properties"]["spec"], sample["spec"], "spec")) {
      Leaf from_root = leaf;
      from_root.path.insert(from_root.path.begin(), std::string("spec"));
      visit(sample, from_root);
    }
}

// The last name on the way to the leaf that the schema chose: "when" of "spec.checks[].when[]",
// "matchLabels" of "spec.allowedNamespaces.selector.matchLabels.*".
std::string FieldOf(const Leaf& leaf) {
  std::string path = leaf.schema_path;
  while (path.ends_with(".*") || path.ends_with("[]")) path.resize(path.size() - 2);
  return path.substr(path.rfind('.') + 1);
}

Json AnotherValue(const Leaf& leaf, const Json& value) {
  if (value.IsBool()) return !value.AsBool();
  if (value.IsInt()) return value.AsInt() + 1;
  if ((*leaf.schema)["format"].AsString() == "date-time") return "2030-01-01T00:00:00Z";
  for (const Json& choice : (*leaf.schema)["enum"].Items())
    if (!(choice == value)) return choice;
  return value.AsString() + "x";
}

TEST(Contract, TheSamplesNameEveryFieldThatTheSpecsAdmit) {
  for (const Kind& kind : Kinds()) {
    std::set<std::string> missing =
        SchemaLeaves(LoadSchema(kind.plural)["properties"]["spec"], "spec");
    ForEachSpecLeaf(kind, [&](const Json&, const Leaf& leaf) { missing.erase(leaf.schema_path); });
    EXPECT_EQ(missing, std::set<std::string>()) << kind.plural;
  }
}

TEST(Contract, EveryFieldOfASpecChangesWhatIsDecodedOrIsRefused) {
  for (const Kind& kind : Kinds())
    ForEachSpecLeaf(kind, [&](const Json& sample, const Leaf& leaf) {
      Json changed = sample;
      At(changed, leaf) = AnotherValue(leaf, At(changed, leaf));
      Result<bool> same = kind.same_spec(sample, changed);
      if (same)
        EXPECT_FALSE(*same) << leaf.schema_path << " is accepted and ignored";
      else  // The field admits a single value, and the decoder says so of this very field.
        EXPECT_NE(same.error().message.find(FieldOf(leaf)), std::string::npos)
            << leaf.schema_path << " refused for another reason: " << same.error().message;
    });
}

TEST(Contract, AFieldOfTheWrongTypeIsRefusedByItsPath) {
  for (const Kind& kind : Kinds())
    ForEachSpecLeaf(kind, [&](const Json& sample, const Leaf& leaf) {
      Json changed = sample;
      At(changed, leaf) = Json::Array({Json::Array()});
      Result<bool> same = kind.same_spec(sample, changed);
      ASSERT_FALSE(same) << leaf.schema_path;
      EXPECT_EQ(same.error().disposition, Disposition::kTerminal);
      EXPECT_EQ(same.error().reason, "InvalidObject");
      EXPECT_EQ(same.error().message.rfind("spec.", 0), 0u) << same.error().message;
      EXPECT_NE(same.error().message.find(FieldOf(leaf)), std::string::npos)
          << leaf.schema_path << ": " << same.error().message;
    });
}

TEST(Contract, ADefaultMeansTheSameToTheApiServerAndToTheDecoder) {
  size_t defaults_seen = 0;
  for (const Kind& kind : Kinds())
    ForEachSpecLeaf(kind, [&](const Json& sample, const Leaf& leaf) {
      if (!leaf.schema->Contains("default")) return;
      Json absent = sample, filled_in = sample;
      RemoveAt(absent, leaf);
      At(filled_in, leaf) = (*leaf.schema)["default"];
      // One sample says Skip and names no claim: with the default mode it is refused either way.
      auto refusal = [&](const Json& object) {
        Result<bool> decoded = kind.same_spec(object, object);
        return decoded ? "" : decoded.error().message;
      };
      EXPECT_EQ(refusal(absent), refusal(filled_in)) << leaf.schema_path;
      Result<bool> same = kind.same_spec(absent, filled_in);
      EXPECT_TRUE(same.value_or(true)) << leaf.schema_path;
      ++defaults_seen;
    });
  EXPECT_GT(defaults_seen, 15u);
}

TEST(Contract, UnknownFieldsAreLeftToTheApiServer) {
  for (const Kind& kind : Kinds())
    for (const Json& sample : LoadYaml("tests/unit/api/samples/" + kind.samples)) {
      Json newer = sample;
      newer.MutableAt("spec").Set("fieldOfALaterVersion", Json::Object({{"x", 1}}));
      Result<bool> same = kind.same_spec(sample, newer);
      ASSERT_TRUE(same) << same.error().message;
      EXPECT_TRUE(*same);
    }
}

}  // namespace
}  // namespace cutover::api::testing
