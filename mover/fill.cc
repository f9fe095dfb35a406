// SPDX-License-Identifier: Apache-2.0
#include "mover/fill.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "mover/copy/copy_lane.h"
#include "mover/process/foreign_key_turns.h"
#include "mover/process/task_graph.h"
#include "operator/base/mutex.h"

namespace cutover::mover {
namespace {

/// Connections for small DDL, a job. Measured: docs/performance.md.
constexpr int kLightLanesPerJob = 4;
constexpr int kLightLanesMax = 16;
constexpr size_t kTablesPerAnalyze = 32;

/// Of tasks that are ready, copying goes first: the sooner it ends, the sooner the source is free.
enum Turn { kCopy, kKeys, kIndexes, kConstraints, kProofs, kStatistics };

/// One run of FillTarget: builds the graph, and holds what its tasks share.
class Filling {
 public:
  Filling(const FillOrder& order, Reporter& reporter)
      : order_(order),
        reporter_(reporter),
        lanes_{std::max(order.jobs, 1),
               std::min(kLightLanesPerJob * std::max(order.jobs, 1), kLightLanesMax)},
        foreign_key_turns_(order.schedule.foreign_keys),
        targets_(lanes_.count()) {
    for (int lane = 0; lane < lanes_.heavy_max; ++lane)
      copiers_.push_back(std::make_unique<CopyLane>(*order.source, order.connect_target,
                                                    order.tables, order.terms));
  }

  Result<Filled> Run(std::stop_token stop) {
    BeginCopy();
    AddCopies();
    const TaskGraph::Id copied = AddEndOfCopy();
    AddIndexes();
    AddStatistics();
    AddConstraints(copied);
    AddLastStatistics();
    TRY(graph_.Run(stop, lanes_));
    reporter_.EndStage();
    MutexLock lock(mutex_);
    return std::move(filled_);
  }

 private:
  using Id = TaskGraph::Id;
  using Ids = std::vector<Id>;

  void BeginCopy() {
    int64_t bytes = 0, tables = 0;
    MutexLock lock(mutex_);
    for (const TablePlan& table : order_.tables) {
      if (table.excluded) continue;
      filled_.rows[table.Qualified()];  // Those that hold no row are in no chunk.
      bytes += table.bytes;
      ++tables;
    }
    reporter_.BeginStage("copy", bytes, tables);
  }

  /// The plan's groups, without what is in the ledger already.
  void AddCopies() {
    std::map<std::string, size_t> index;
    for (size_t i = 0; i < order_.tables.size(); ++i) index[order_.tables[i].Qualified()] = i;
    std::map<int, ChunkGroup> groups;
    MutexLock lock(mutex_);
    for (const Chunk& entry : order_.plan) ++chunks_left_[index.at(entry.table)];
    for (const Chunk& entry : order_.plan) {
      const size_t table = index.at(entry.table);
      if (entry.committed) {
        NoteChunk(table, SeenOf(entry));
        continue;
      }
      TableChunk chunk{table, entry.number, {entry.block_from, entry.block_to}, 0};
      groups[entry.group].chunks.push_back(chunk);
    }
    for (size_t i = 0; i < order_.tables.size(); ++i)
      if (!order_.tables[i].excluded && !chunks_left_.contains(i)) reporter_.TableDone();
    for (auto& [number, group] : groups) {
      groups_.push_back(std::make_unique<ChunkGroup>(std::move(group)));
      const ChunkGroup& work = *groups_.back();
      const Id id = graph_.Add(Weight::kHeavy, kCopy, [this, &work](std::stop_token s, size_t l) {
        return CopyOne(s, l, work);
      });
      copies_.push_back(id);
      for (const TableChunk& chunk : work.chunks)
        copies_of_[order_.tables[chunk.table].oid].push_back(id);
    }
    copies_.push_back(graph_.Add(Weight::kHeavy, kCopy, [this](std::stop_token s, size_t lane) {
      return CopyLargeOnes(s, lane);
    }));
  }

  Status CopyOne(std::stop_token stop, size_t lane, const ChunkGroup& group) {
    const std::string first = order_.tables[group.chunks.front().table].Display();
    const size_t others = group.chunks.size() - 1;
    reporter_.SetActivity(static_cast<int>(lane),
                          others == 0 ? first : first + " and " + std::to_string(others) + " more");
    TRY_ASSIGN(std::vector<RowsSeen> seen, copiers_[lane]->Copy(stop, group));
    reporter_.SetActivity(static_cast<int>(lane), "");
    MutexLock lock(mutex_);
    for (size_t i = 0; i < seen.size(); ++i) NoteChunk(group.chunks[i].table, seen[i]);
    return Ok();
  }

  void NoteChunk(size_t table, const RowsSeen& seen) REQUIRES(mutex_) {
    filled_.rows[order_.tables[table].Qualified()].Add(seen);
    if (--chunks_left_[table] == 0) reporter_.TableDone();
  }

  Status CopyLargeOnes(std::stop_token stop, size_t lane) {
    TRY_ASSIGN(pg::Connection * target, Target(stop, lane));
    TRY_ASSIGN(LargeObjects copied,
               CopyLargeObjects(
                   stop, order_.source->connection(), *target,
                   [this](int64_t bytes) { reporter_.AddBytes(bytes, 0); }, order_.role_names));
    MutexLock lock(mutex_);
    filled_.large_objects = std::move(copied);
    return Ok();
  }

  /// No copying task is left then, so their connections are nobody's.
  Id AddEndOfCopy() {
    return graph_.Add(
        Weight::kLight, kCopy,
        [this](std::stop_token stop, size_t) -> Status {
          if (order_.on_copied) TRY(order_.on_copied(stop));
          for (auto& copier : copiers_) copier->Close();
          order_.source.reset();
          reporter_.EndStage();
          reporter_.BeginStage("indexes");
          return Ok();
        },
        copies_);
  }

  void AddIndexes() {
    const RestoreSchedule& schedule = order_.schedule;
    const Id shells = AddItems(schedule.partitioned, kKeys, {});
    built_.push_back(shells);
    std::map<uint32_t, Id> keys_of;
    for (const RestoreUnit& unit : schedule.unique_first) {
      const bool small = unit.table_bytes < kSharedUnitBytesMax;
      const Id id = AddUnit(unit, small ? Weight::kLight : Weight::kHeavy, kKeys, CopiesOf(unit));
      for (uint32_t table : unit.tables) {
        keys_of[table] = id;
        indexed_[table].push_back(id);
      }
      built_.push_back(id);
    }
    for (const RestoreUnit& unit : schedule.indexes) {
      Ids after = CopiesOf(unit);
      for (uint32_t table : unit.tables)
        if (auto keys = keys_of.find(table); keys != keys_of.end()) after.push_back(keys->second);
      const Id id = AddUnit(unit, Weight::kHeavy, kIndexes, after);
      for (uint32_t table : unit.tables) indexed_[table].push_back(id);
      built_.push_back(id);
    }
    built_ = {AddItems(schedule.attach, kIndexes, built_)};
  }

  Ids CopiesOf(const RestoreUnit& unit) const {
    Ids ids;
    for (uint32_t table : unit.tables) {
      if (table == 0) return copies_;  // Nobody could say of which table it is.
      auto found = copies_of_.find(table);
      if (found != copies_of_.end())
        ids.insert(ids.end(), found->second.begin(), found->second.end());
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }

  void AddConstraints(Id copied) {
    Ids after = built_;
    after.push_back(copied);
    Id last = graph_.Add(
        Weight::kLight, kConstraints,
        [this](std::stop_token, size_t) -> Status {
          reporter_.EndStage();
          reporter_.BeginStage("constraints");
          return Ok();
        },
        after);
    Ids added = {last};
    for (int lane = 0; lane < lanes_.heavy_max; ++lane)
      added.push_back(graph_.Add(
          Weight::kHeavy, kConstraints,
          [this](std::stop_token stop, size_t l) { return AddForeignKeys(stop, l); }, {last}));
    last = Milestone(added);
    Ids proofs = {last};
    for (const ForeignKeyPlan& key : order_.schedule.foreign_keys) {
      if (key.validate_sql.empty()) continue;
      proofs.push_back(graph_.Add(Weight::kHeavy, kProofs,
                                  [this, &key](std::stop_token stop, size_t lane) -> Status {
                                    TRY_ASSIGN(pg::Connection * target, Target(stop, lane));
                                    return ProveForeignKey(stop, *target, key);
                                  },
                                  {last}));
    }
    last = AddItems(order_.schedule.rest, kConstraints, proofs);
    constrained_ = graph_.Add(Weight::kHeavy, kConstraints,
                              [this](std::stop_token stop, size_t lane) -> Status {
                                TRY_ASSIGN(pg::Connection * target, Target(stop, lane));
                                TRY(RefreshMatviews(stop, *target, order_.matviews));
                                reporter_.EndStage();
                                reporter_.BeginStage("analyze");
                                return Ok();
                              },
                              {last});
  }

  /// On several lanes at once.
  Status AddForeignKeys(std::stop_token stop, size_t lane) {
    while (const std::optional<size_t> key = foreign_key_turns_.Next(stop)) {
      TRY_ASSIGN(pg::Connection * target, Target(stop, lane));
      TRY(AddForeignKey(stop, *target, order_.schedule.foreign_keys[*key]));
      foreign_key_turns_.Done(*key);
    }
    if (!stop.stop_requested()) return Ok();
    return RetryError("Stopped", "adding foreign keys was stopped before its end; run it again");
  }

  /// Done when all of `after` are.
  Id Milestone(const Ids& after) {
    return graph_.Add(
        Weight::kLight, kCopy, [](std::stop_token, size_t) { return Ok(); }, after);
  }

  /// Of tables, as soon as their indexes are there: while ANALYZE reads a table, nobody can add a
  /// foreign key to it, so all of it is over before that begins.
  void AddStatistics() {
    for (size_t from = 0; from < order_.tables.size();) {
      std::vector<std::string> names;
      Ids after;
      while (from < order_.tables.size() && names.size() < kTablesPerAnalyze) {
        const TablePlan& table = order_.tables[from++];
        if (table.blocks == 0 && table.heap) continue;
        names.push_back(table.Qualified());
        for (const auto* ids : {&copies_of_[table.oid], &indexed_[table.oid]})
          after.insert(after.end(), ids->begin(), ids->end());
        if (table.bytes >= kSharedUnitBytesMax) break;  // A big one has a lane for itself.
      }
      if (!names.empty()) built_.push_back(AddAnalyze(std::move(names), after));
    }
  }

  /// Of what needs other relations, or objects that come late.
  void AddLastStatistics() {
    graph_.Add(Weight::kLight, kStatistics,
               [this](std::stop_token stop, size_t lane) -> Status {
                 TRY_ASSIGN(pg::Connection * target, Target(stop, lane));
                 TRY_ASSIGN(auto names, ReadToAnalyzeLast(stop, *target));
                 TRY_ASSIGN(auto warnings, Analyze(stop, *target, names));
                 Warn(std::move(warnings));
                 return Ok();
               },
               {constrained_});
  }

  Id AddAnalyze(std::vector<std::string> names, const Ids& after) {
    return graph_.Add(
        Weight::kLight, kStatistics,
        [this, names = std::move(names)](std::stop_token stop, size_t lane) -> Status {
          TRY_ASSIGN(pg::Connection * target, Target(stop, lane));
          TRY_ASSIGN(auto warnings, Analyze(stop, *target, names));
          Warn(std::move(warnings));
          return Ok();
        },
        after);
  }

  Id AddUnit(const RestoreUnit& unit, Weight weight, int turn, const Ids& after) {
    return graph_.Add(
        weight, turn,
        [this, &unit](std::stop_token stop, size_t lane) -> Status {
          TRY_ASSIGN(pg::Connection * target, Target(stop, lane));
          return RestoreItems(stop, *target, unit.items);
        },
        after);
  }

  Id AddItems(const std::vector<const RestoreItem*>& items, int turn, const Ids& after) {
    return graph_.Add(
        Weight::kLight, turn,
        [this, items](std::stop_token stop, size_t lane) -> Status {
          if (items.empty()) return Ok();
          TRY_ASSIGN(pg::Connection * target, Target(stop, lane));
          return RestoreItems(stop, *target, items);
        },
        after);
  }

  /// The lane's own connection for DDL.
  Result<pg::Connection*> Target(std::stop_token stop, size_t lane) {
    std::optional<pg::Connection>& target = targets_[lane];
    if (!target || !target->usable()) {
      TRY_ASSIGN(pg::Connection opened, order_.connect_target(stop));
      target = std::move(opened);
    }
    return &*target;
  }

  void Warn(std::vector<std::string> warnings) {
    MutexLock lock(mutex_);
    std::move(warnings.begin(), warnings.end(), std::back_inserter(filled_.warnings));
  }

  const FillOrder& order_;
  Reporter& reporter_;
  const TaskGraph::Lanes lanes_;
  TaskGraph graph_;
  ForeignKeyTurns foreign_key_turns_;
  std::vector<std::unique_ptr<CopyLane>> copiers_;      ///< One a heavy lane.
  std::vector<std::optional<pg::Connection>> targets_;  ///< One a lane.
  std::vector<std::unique_ptr<ChunkGroup>> groups_;
  Ids copies_;
  std::map<uint32_t, Ids> copies_of_;  ///< By the table's OID.
  std::map<uint32_t, Ids> indexed_;    ///< What builds a table's indexes and keys.
  Ids built_;                          ///< What must have succeeded for all indexes to be there.
  Id constrained_ = 0;
  Mutex mutex_;
  std::map<size_t, int> chunks_left_ GUARDED_BY(mutex_);
  Filled filled_ GUARDED_BY(mutex_);
};

}  // namespace

std::vector<Chunk> PlanForLedger(const std::vector<TablePlan>& tables,
                                 const std::vector<ChunkGroup>& groups) {
  std::vector<Chunk> plan;
  for (size_t group = 0; group < groups.size(); ++group) {
    for (const TableChunk& chunk : groups[group].chunks) {
      Chunk entry;
      entry.table = tables[chunk.table].Qualified();
      entry.number = chunk.number;
      entry.group = static_cast<int>(group);
      entry.block_from = chunk.range.from;
      entry.block_to = chunk.range.to;
      plan.push_back(std::move(entry));
    }
  }
  return plan;
}

Result<Filled> FillTarget(std::stop_token stop, const FillOrder& order, Reporter& reporter) {
  return Filling(order, reporter).Run(stop);
}

}  // namespace cutover::mover
