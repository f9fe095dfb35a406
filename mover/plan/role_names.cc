// SPDX-License-Identifier: Apache-2.0
#include "mover/plan/role_names.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "mover/plan/sql_tokens.h"

namespace cutover::mover {
namespace {

/// Rewrites the role names of one text. Statements are found by their first words; where roles
/// stand in them is PostgreSQL's grammar.
class Rewriter {
 public:
  Rewriter(const RoleNames& names, std::string_view sql)
      : names_(names), sql_(sql), tokens_(TokenizeSql(sql)) {}

  std::string Run() {
    for (const SqlStatement& statement : SplitStatements(sql_, tokens_)) Rewrite(statement);
    result_ += sql_.substr(copied_);
    return std::move(result_);
  }

 private:
  void Rewrite(SqlStatement in) {
    if (Is(in.begin, in, "GRANT") || Is(in.begin, in, "REVOKE")) {
      RewriteGrant(in.begin, in);
    } else if (Are(in.begin, in, {"ALTER", "DEFAULT", "PRIVILEGES"})) {
      RewriteDefaultPrivileges(in);
    } else if (Are(in.begin, in, {"CREATE", "POLICY"}) || Are(in.begin, in, {"ALTER", "POLICY"})) {
      RewriteList(Find(in.begin, in, "TO") + 1, in);
    } else if (Are(in.begin, in, {"CREATE", "USER", "MAPPING"}) ||
               Are(in.begin, in, {"ALTER", "USER", "MAPPING"})) {
      RewriteList(Find(in.begin, in, "FOR") + 1, in);
    } else if (Are(in.begin, in, {"CREATE", "SCHEMA"})) {
      RewriteList(Find(in.begin, in, "AUTHORIZATION") + 1, in);
    } else if (Are(in.begin, in, {"SET", "SESSION", "AUTHORIZATION"})) {
      if (!Is(in.begin + 3, in, "DEFAULT")) RewriteList(in.begin + 3, in);
    } else if (Is(in.begin, in, "ALTER")) {
      for (size_t at = in.begin; at < in.end; ++at) {
        if (Are(at, in, {"OWNER", "TO"})) RewriteList(at + 2, in);
      }
    }
  }

  /// From the word GRANT or REVOKE on. Privileges and objects hold no bare TO or FROM: both words
  /// are reserved, so that a name like that stands in quotes.
  void RewriteGrant(size_t at, SqlStatement in) {
    const size_t granted_by = Find(at, in, "GRANTED");
    RewriteList(Find(at, in, Is(at, in, "GRANT") ? "TO" : "FROM") + 1, in);
    if (Are(granted_by, in, {"GRANTED", "BY"})) RewriteList(granted_by + 2, in);
  }

  void RewriteDefaultPrivileges(SqlStatement in) {
    size_t at = in.begin + 3;
    if (Are(at, in, {"FOR", "ROLE"}) || Are(at, in, {"FOR", "USER"})) RewriteList(at + 2, in);
    while (at < in.end && !Is(at, in, "GRANT") && !Is(at, in, "REVOKE")) ++at;
    RewriteGrant(at, in);
  }

  /// role, role, … from token `at` on.
  void RewriteList(size_t at, SqlStatement in) {
    for (; at < in.end; at += 2) {
      if (Is(at, in, "GROUP")) ++at;
      if (at >= in.end || !IsName(tokens_[at])) return;
      Replace(tokens_[at]);
      if (at + 1 >= in.end || tokens_[at + 1].Text(sql_) != ",") return;
    }
  }

  void Replace(const SqlToken& token) {
    for (const char* nobody : {"PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"}) {
      if (token.Is(sql_, nobody)) return;
    }
    result_ += sql_.substr(copied_, token.begin - copied_);
    result_ += pg::QuoteIdentifier(Renamed(names_, NameOf(sql_, token)));
    copied_ = token.end;
  }

  static bool IsName(const SqlToken& token) {
    return token.kind == SqlToken::Kind::kWord || token.kind == SqlToken::Kind::kQuoted;
  }
  bool Is(size_t at, SqlStatement in, std::string_view keyword) const {
    return at < in.end && tokens_[at].depth == 0 && tokens_[at].Is(sql_, keyword);
  }
  bool Are(size_t at, SqlStatement in, std::initializer_list<std::string_view> keywords) const {
    return std::all_of(keywords.begin(), keywords.end(),
                       [&](std::string_view keyword) { return Is(at++, in, keyword); });
  }
  /// The keyword's first place, or the statement's end.
  size_t Find(size_t at, SqlStatement in, std::string_view keyword) const {
    while (at < in.end && !Is(at, in, keyword)) ++at;
    return at;
  }

  const RoleNames& names_;
  std::string_view sql_;
  std::vector<SqlToken> tokens_;
  std::string result_;
  size_t copied_ = 0;  ///< Everything before it is in result_.
};

/// "USER MAPPING bob SERVER files": the one kind of entry that has a role in its name.
std::string RenameInEntryName(const RoleNames& names, const std::string& name) {
  constexpr std::string_view kPrefix = "USER MAPPING ";
  for (const auto& [source, target] : names) {
    const std::string start = std::string(kPrefix) + source + " SERVER ";
    if (name.starts_with(start))
      return std::string(kPrefix) + target + " SERVER " + name.substr(start.size());
  }
  return name;
}

}  // namespace

std::string Renamed(const RoleNames& names, const std::string& role) {
  auto found = names.find(role);
  return found == names.end() ? role : found->second;
}

std::string OwnerOf(const RestoreItem& item) {
  const std::vector<SqlToken> tokens = TokenizeSql(item.sql);
  for (const SqlStatement& statement : SplitStatements(item.sql, tokens)) {
    if (!tokens[statement.begin].Is(item.sql, "ALTER")) continue;
    for (size_t at = statement.begin; at + 2 < statement.end; ++at) {
      if (tokens[at].depth == 0 && tokens[at].Is(item.sql, "OWNER") &&
          tokens[at + 1].Is(item.sql, "TO"))
        return NameOf(item.sql, tokens[at + 2]);
    }
  }
  return "";
}

std::string RenameRoles(const RoleNames& names, const std::string& sql) {
  return Rewriter(names, sql).Run();
}

void RenameRoles(const RoleNames& names, RestoreScript& script) {
  for (RestoreItem& item : script.items) {
    item.owner = Renamed(names, item.owner);
    item.sql = RenameRoles(names, item.sql);
    if (item.type == "USER MAPPING") item.name = RenameInEntryName(names, item.name);
  }
}

void RenameRoles(const RoleNames& names, pg::RoleSet& roles) {
  for (pg::Role& role : roles.roles) {
    role.name = Renamed(names, role.name);
    for (pg::StoredSetting& setting : role.settings) setting.role = role.name;
  }
  for (pg::Membership& membership : roles.memberships) {
    membership.group = Renamed(names, membership.group);
    membership.member = Renamed(names, membership.member);
    membership.grantor = Renamed(names, membership.grantor);
  }
  for (pg::MembersLeftBehind& left : roles.left_behind) {
    left.group = Renamed(names, left.group);
    for (std::string& member : left.members) member = Renamed(names, member);
  }
}

void RenameRoles(const RoleNames& names, pg::DatabaseAccess& access) {
  access.owner = Renamed(names, access.owner);
  for (pg::AclItem& item : access.acl) {
    item.grantor = Renamed(names, item.grantor);
    item.grantee = Renamed(names, item.grantee);
  }
  std::sort(access.acl.begin(), access.acl.end());
}

void RenameRoles(const RoleNames& names, pg::DatabaseProperties& properties) {
  RenameRoles(names, properties.access);
  for (pg::StoredSetting& setting : properties.settings)
    setting.role = Renamed(names, setting.role);
}

void RenameRoles(const RoleNames& names, LargeObjects& objects) {
  for (auto& [oid, object] : objects) {
    object.owner = Renamed(names, object.owner);
    for (pg::AclItem& grant : object.grants) grant.grantee = Renamed(names, grant.grantee);
    std::sort(object.grants.begin(), object.grants.end());
  }
}

void RenameRoles(const RoleNames& names, std::vector<Extension>& extensions) {
  for (Extension& extension : extensions) {
    extension.owner = Renamed(names, extension.owner);
    for (OwnedMember& member : extension.owned) member.owner = Renamed(names, member.owner);
  }
}

}  // namespace cutover::mover
