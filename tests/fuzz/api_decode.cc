// SPDX-License-Identifier: Apache-2.0
//
// Whatever the API server hands out is decoded or refused with the field's name, and a status that
// was understood is written as it was read.
#include <string>

#include "operator/api/database_placement.h"
#include "operator/api/database_server.h"
#include "operator/api/tenant_migration.h"
#include "tests/fuzz/fuzz.h"

namespace cutover::api {
namespace {

template <class Decode>
void CheckKind(const Json& object, Decode decode) {
  auto decoded = decode(object);
  if (!decoded) {
    HOLDS(!decoded.error().reason.empty());
    HOLDS(!decoded.error().message.empty());
    return;
  }
  Json written = object;
  written.Set("status", EncodeStatus(decoded->status));
  auto again = decode(written);
  HOLDS(again.has_value());
  HOLDS(again->status == decoded->status);
}

// RapidJSON lets one through where it is escaped (\uDD80). It is no UTF-8, so the API server
// neither sends it nor takes it back.
bool MayHaveALoneSurrogate(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* escape : {"\\ud", "\\uD"})
    if (text.find(escape) != std::string_view::npos) return true;
  return false;
}

}  // namespace
}  // namespace cutover::api

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cutover;
  auto object = Json::Parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!object) {
    HOLDS(object.error().reason == "InvalidJson");
    return 0;
  }
  if (api::MayHaveALoneSurrogate(data, size)) return 0;
  auto again = Json::Parse(object->Dump());
  HOLDS(again.has_value());
  HOLDS(*again == *object);
  if (!object->IsObject()) return 0;
  api::CheckKind(*object, api::DecodeDatabaseServer);
  api::CheckKind(*object, api::DecodeDatabasePlacement);
  api::CheckKind(*object, api::DecodeTenantMigration);
  return 0;
}
