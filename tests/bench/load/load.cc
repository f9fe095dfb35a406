// SPDX-License-Identifier: Apache-2.0
//
// bench_load CONNINFO CLIENTS TRANSACTIONS_PER_SECOND RECORD: clients that write numbered
// transactions through whatever is in front of a database, until SIGTERM, and then write down what
// became of each. Far cheaper than pgbench, which cannot say which transactions were acknowledged.
//
// A transaction is four statements, as an application's is, so that a switch finds some of them
// open: BEGIN; UPDATE of a random account; INSERT of (client, number); COMMIT. Tables: see
// tests/bench/harness/clients.py.
//
// RECORD gets a line for each: client number start_us end_us outcome, by the system's clock, where
// outcome is "ok"; "error", when the server said so or the connection ended before COMMIT was sent;
// or "unknown", when it ended after that.
#include <libpq-fe.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr int kAccounts = 100'000;
constexpr std::chrono::milliseconds kBeforeReconnect{20};

std::atomic<bool> stopping{false};

enum class Outcome { kOk, kError, kUnknown };
constexpr const char* kNames[] = {"ok", "error", "unknown"};

struct Transaction {
  int64_t number;
  int64_t start_us;
  int64_t end_us;
  Outcome outcome;
};

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

int64_t NowMicroseconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<microseconds>(now).count();
}

class Client {
 public:
  Client(std::string conninfo, int id) : conninfo_(std::move(conninfo)), id_(id), random_(id) {}

  /// One transaction each `interval`; one that is late is followed at once, so a stall is not
  /// hidden by fewer transactions afterwards.
  void Run(microseconds interval) {
    Clock::time_point next = Clock::now() + interval * id_ / 8;
    for (int64_t number = 1; !stopping; ++number) {
      std::this_thread::sleep_until(next);
      next = std::max(next + interval, Clock::now() - std::chrono::seconds(1));
      const int64_t start_us = NowMicroseconds();
      const Outcome outcome = Write(number);
      done_.push_back({number, start_us, NowMicroseconds(), outcome});
      if (outcome == Outcome::kOk) continue;
      std::this_thread::sleep_for(kBeforeReconnect);
    }
  }

  void Record(std::FILE* file) const {
    for (const Transaction& done : done_)
      std::fprintf(file, "%d %ld %ld %ld %s\n", id_, static_cast<long>(done.number),
                   static_cast<long>(done.start_us), static_cast<long>(done.end_us),
                   kNames[static_cast<int>(done.outcome)]);
  }

 private:
  bool Do(const std::string& statement) {
    PGresult* result = PQexec(connection_.get(), statement.c_str());
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!done) std::fprintf(stderr, "client %d: %s", id_, PQresultErrorMessage(result));
    PQclear(result);
    return done;
  }

  Outcome Write(int64_t number) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
      connection_.reset(PQconnectdb(conninfo_.c_str()));
      if (PQstatus(connection_.get()) != CONNECTION_OK) {
        std::fprintf(stderr, "client %d: %s", id_, PQerrorMessage(connection_.get()));
        return Outcome::kError;
      }
    }
    const std::string account = std::to_string(1 + random_() % kAccounts);
    const std::string row = std::to_string(id_) + ", " + std::to_string(number);
    if (Do("BEGIN") && Do("UPDATE bench_account SET balance = balance + 1 WHERE id = " + account) &&
        Do("INSERT INTO bench_written (client, number) VALUES (" + row + ")")) {
      if (Do("COMMIT")) return Outcome::kOk;
      const bool said_so = PQstatus(connection_.get()) == CONNECTION_OK;
      connection_.reset();
      return said_so ? Outcome::kError : Outcome::kUnknown;
    }
    connection_.reset();
    return Outcome::kError;
  }

  const std::string conninfo_;
  const int id_;
  std::minstd_rand random_;
  std::unique_ptr<PGconn, Finish> connection_;
  std::vector<Transaction> done_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_load CONNINFO CLIENTS TRANSACTIONS_PER_SECOND RECORD\n");
    return 2;
  }
  const int clients = std::atoi(argv[2]);
  const int rate = std::atoi(argv[3]);
  if (clients < 1 || rate < 1) return 2;
  signal(SIGTERM, [](int) { stopping = true; });
  signal(SIGINT, [](int) { stopping = true; });
  std::vector<std::unique_ptr<Client>> all;
  {
    std::vector<std::jthread> threads;
    for (int id = 1; id <= clients; ++id) {
      all.push_back(std::make_unique<Client>(argv[1], id));
      threads.emplace_back(
          [client = all.back().get(), interval = microseconds(1'000'000LL * clients / rate)] {
            client->Run(interval);
          });
    }
  }
  std::FILE* record = std::fopen(argv[4], "w");
  if (record == nullptr) return 1;
  for (const auto& client : all) client->Record(record);
  return std::fclose(record) == 0 ? 0 : 1;
}
