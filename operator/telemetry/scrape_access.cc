// SPDX-License-Identifier: Apache-2.0
#include "operator/telemetry/scrape_access.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cctype>

#include "operator/base/check.h"
#include "operator/base/log.h"

namespace cutover::telemetry {
namespace {

// Answered and not kept: created, and never read.
constexpr kube::Resource kTokenReview{"authentication.k8s.io", "v1", "tokenreviews", "TokenReview",
                                      false};
constexpr kube::Resource kSubjectAccessReview{"authorization.k8s.io", "v1", "subjectaccessreviews",
                                              "SubjectAccessReview", false};
constexpr char kScheme[] = "bearer";
// A connection of the pool that the server has meanwhile closed fails the first writes on it.
constexpr int kAttemptsMax = 3;

// A review changes nothing, so unlike any other write it may be sent again.
Result<Json> Review(const std::stop_token& stop, Deadline deadline, kube::Client& client,
                    const kube::Resource& resource, Json spec) {
  const Json review = Json::Object(
      {{"apiVersion", resource.ApiVersion()}, {"kind", resource.kind}, {"spec", std::move(spec)}});
  for (int attempt = 1;; ++attempt) {
    Result<Json> answer = client.Create(stop, deadline, resource, review);
    if (answer || !kube::IsUnreachable(answer.error()) || attempt >= kAttemptsMax ||
        deadline.Expired())
      return answer;
  }
}

}  // namespace

std::string BearerToken(std::string_view authorization) {
  constexpr size_t kLength = std::size(kScheme) - 1;
  if (authorization.size() <= kLength || authorization[kLength] != ' ') return "";
  const bool is_bearer =
      std::equal(kScheme, kScheme + kLength, authorization.begin(),
                 [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
  if (!is_bearer) return "";
  const size_t begin = authorization.find_first_not_of(' ', kLength);
  if (begin == authorization.npos) return "";
  const std::string_view token = authorization.substr(begin);
  return token.find(' ') == token.npos ? std::string(token) : "";
}

Result<Access> AskApiServer(std::stop_token stop, Deadline deadline, kube::Client& client,
                            const std::string& token) {
  TRY_ASSIGN(const Json who,
             Review(stop, deadline, client, kTokenReview, Json::Object({{"token", token}})));
  const Json& user = who.At({"status", "user"});
  if (!who.At({"status", "authenticated"}).AsBool() || user["username"].StringRef().empty())
    return Access::kUnknownToken;
  TRY_ASSIGN(const bool may, MayReadMetrics(stop, deadline, client, user));
  if (may) return Access::kAllowed;
  LogInfo("somebody who may not read metrics asked for them",
          {{"user", user["username"].StringRef()}});
  return Access::kForbidden;
}

Result<bool> MayReadMetrics(std::stop_token stop, Deadline deadline, kube::Client& client,
                            const Json& user) {
  Json spec = Json::Object(
      {{"user", user["username"]},
       {"nonResourceAttributes", Json::Object({{"path", "/metrics"}, {"verb", "get"}})}});
  for (const char* part : {"uid", "groups", "extra"})
    if (user.Contains(part)) spec.Set(part, user[part]);
  TRY_ASSIGN(const Json answer,
             Review(stop, deadline, client, kSubjectAccessReview, std::move(spec)));
  return answer.At({"status", "allowed"}).AsBool();
}

std::optional<Access> AccessCache::Find(const std::string& token, SteadyTime now) const {
  const auto found = entries_.find(DigestOf(token));
  if (found == entries_.end() || found->second.until <= now) return std::nullopt;
  return found->second.access;
}

void AccessCache::Put(const std::string& token, Access access, SteadyTime now) {
  const Digest digest = DigestOf(token);
  if (!entries_.contains(digest) && entries_.size() >= entries_max_) MakeRoom(now);
  entries_[digest] = {access, now + (access == Access::kAllowed ? kAllowedFor : kRefusedFor)};
}

AccessCache::Digest AccessCache::DigestOf(const std::string& token) {
  Digest digest;
  unsigned size = 0;
  CHECK(EVP_Digest(token.data(), token.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  CHECK(size == digest.size());
  return digest;
}

void AccessCache::MakeRoom(SteadyTime now) {
  std::erase_if(entries_, [now](const auto& entry) { return entry.second.until <= now; });
  if (entries_.size() < entries_max_) return;
  const auto worth = [](const auto& entry) {
    return std::pair(entry.second.access == Access::kAllowed, entry.second.until);
  };
  entries_.erase(std::ranges::min_element(entries_, {}, worth));
}

}  // namespace cutover::telemetry
