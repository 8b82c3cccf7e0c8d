// The worker and its peers behind one interface, so that each workload is written once.
//
// A peer is constructed from the number of stripes, the number of worker threads and what to run;
// `submit(stripe)` is true if it causes a run of its own; `stop()` ends it and joins its threads.
// Each has a `name` and says what it `lacks` beside the worker.
//
// Thread safety: `submit` may be called from any thread, `stop` once.

#ifndef KSTONE_BENCH_PEERS_H_
#define KSTONE_BENCH_PEERS_H_

#include <blockingconcurrentqueue.h>
#include <leveldb/env.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <rocksdb/env.h>
#include <rocksdb/threadpool.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kstone/background_worker.h"

namespace kstone::bench {

using Run = std::function<void(std::uint32_t)>;

// Runs `body` on some threads, and joins them.
class Threads {
 public:
  Threads(unsigned count, const std::function<void()>& body) {
    for (unsigned i = 0; i < count; ++i) {
      threads_.emplace_back(body);
    }
  }
  void join() {
    for (auto& thread : threads_) {
      thread.join();
    }
  }

 private:
  std::vector<std::thread> threads_;
};

template <class Sync>
class BasicKstone {
 public:
  using Worker = basic_background_worker<Sync>;

  static constexpr const char* name = "kstone";
  static constexpr const char* lacks = "";

  BasicKstone(std::uint32_t stripes, unsigned workers, Run run)
      : worker_(CompactionConfig().with_max_concurrent(workers), {}, stripes,
                [run = std::move(run)](typename Worker::Context& context) {
                  run(context.stripe_id());
                  return CompactionOutcome::done();
                }) {
    if (worker_.start() != StartResult::started) {
      throw std::runtime_error("the worker has no threads");
    }
  }
  bool submit(std::uint32_t stripe) {
    const auto answer = worker_.queue_compaction(stripe);
    return answer == Submission::queued || answer == Submission::rerun_pending;
  }
  void stop() { worker_.shutdown(); }
  Worker& worker() { return worker_; }

 private:
  Worker worker_;
};

using Kstone = BasicKstone<ProductionSync>;

// What one would write: a set beside the queue, which is not asked about stripes that run.
template <class Mutex, class ConditionVariable>
class BasicMutexAndSet {
 public:
  static constexpr const char* name = "mutex+set";
  static constexpr const char* lacks =
      "may run one stripe on two threads at once; a lock for each request";

  BasicMutexAndSet(std::uint32_t, unsigned workers, Run run)
      : run_(std::move(run)), threads_(workers, [this] { work(); }) {}

  bool submit(std::uint32_t stripe) {
    const std::lock_guard<Mutex> lock(mutex_);
    if (!queued_.insert(stripe).second) {
      return false;
    }
    queue_.push_back(stripe);
    not_empty_.notify_one();
    return true;
  }
  void stop() {
    {
      const std::lock_guard<Mutex> lock(mutex_);
      stopping_ = true;
    }
    not_empty_.notify_all();
    threads_.join();
  }
  std::size_t size() {
    const std::lock_guard<Mutex> lock(mutex_);
    return queue_.size();
  }

 private:
  void work() {
    std::unique_lock<Mutex> lock(mutex_);
    for (;;) {
      not_empty_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) {
        return;
      }
      const auto stripe = queue_.front();
      queue_.pop_front();
      queued_.erase(stripe);
      lock.unlock();
      run_(stripe);
      lock.lock();
    }
  }

  Run run_;
  Mutex mutex_;
  ConditionVariable not_empty_;
  std::deque<std::uint32_t> queue_;
  std::unordered_set<std::uint32_t> queued_;
  bool stopping_ = false;
  Threads threads_;
};

using MutexAndSet = BasicMutexAndSet<std::mutex, std::condition_variable>;

// The origin's algorithm: the queue is searched for a duplicate, one thread takes batches of
// `workers` stripes and then sleeps for the interval, whatever is queued. Its interval of zero,
// which only yields, is the best case for it.
class Origin {
 public:
  static constexpr const char* name = "origin";
  static constexpr const char* lacks =
      "polls; searches the queue; one thread; drops what it drained at shutdown";

  Origin(std::uint32_t, unsigned workers, Run run,
         std::chrono::milliseconds interval = std::chrono::milliseconds(0))
      : batch_(workers),
        interval_(interval),
        run_(std::move(run)),
        threads_(1, [this] { work(); }) {}

  bool submit(std::uint32_t stripe) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto queued : queue_) {
      if (queued == stripe) {
        return false;
      }
    }
    queue_.push_back(stripe);
    return true;
  }
  void stop() {
    stopping_.store(true);
    threads_.join();
  }

 private:
  void work() {
    std::vector<std::uint32_t> drained;
    while (!stopping_.load()) {
      drained.clear();
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        while (!queue_.empty() && drained.size() < batch_) {
          drained.push_back(queue_.front());
          queue_.pop_front();
        }
      }
      for (const auto stripe : drained) {
        if (stopping_.load()) {
          return;
        }
        run_(stripe);
      }
      if (interval_.count() != 0) {
        std::this_thread::sleep_for(interval_);
      } else {
        std::this_thread::yield();
      }
    }
  }

  std::size_t batch_;
  std::chrono::milliseconds interval_;
  Run run_;
  std::mutex mutex_;
  std::deque<std::uint32_t> queue_;
  std::atomic<bool> stopping_{false};
  Threads threads_;
};

// What LevelDB and RocksDB are handed with a call: one pointer. The table lives as long as the
// peer.
class Calls {
 public:
  Calls(std::uint32_t stripes, Run run) : run_(std::move(run)) {
    for (std::uint32_t i = 0; i < stripes; ++i) {
      calls_.push_back({this, i});
    }
  }
  void* argument(std::uint32_t stripe) { return &calls_[stripe]; }
  static void call(void* argument) {
    const auto& [self, stripe] = *static_cast<Call*>(argument);
    self->run_(stripe);
  }

 private:
  struct Call {
    Calls* self;
    std::uint32_t stripe;
  };
  Run run_;
  std::vector<Call> calls_;
};

class RocksDbEnv {
 public:
  static constexpr const char* name = "rocksdb";
  static constexpr const char* lacks = "no deduplication, no exclusion per stripe";

  RocksDbEnv(std::uint32_t stripes, unsigned workers, Run run) : calls_(stripes, std::move(run)) {
    rocksdb::Env::Default()->SetBackgroundThreads(static_cast<int>(workers), rocksdb::Env::LOW);
  }
  bool submit(std::uint32_t stripe) {
    rocksdb::Env::Default()->Schedule(&Calls::call, calls_.argument(stripe), rocksdb::Env::LOW);
    return true;
  }
  void stop() {}

 private:
  Calls calls_;
};

// The pool behind RocksDB's Env::Schedule, on its own: the Env's cannot be joined.
class RocksDbPool {
 public:
  static constexpr const char* name = "rocksdb";

  RocksDbPool(std::uint32_t, unsigned workers, Run run)
      : run_(std::move(run)), pool_(rocksdb::NewThreadPool(static_cast<int>(workers))) {}
  bool submit(std::uint32_t stripe) {
    pool_->SubmitJob([this, stripe] { run_(stripe); });
    return true;
  }
  void stop() { pool_->JoinAllThreads(); }

 private:
  Run run_;
  std::unique_ptr<rocksdb::ThreadPool> pool_;
};

class LevelDbEnv {
 public:
  static constexpr const char* name = "leveldb";
  static constexpr const char* lacks =
      "no deduplication; one thread for the process, which cannot be joined";

  LevelDbEnv(std::uint32_t stripes, unsigned, Run run) : calls_(stripes, std::move(run)) {}
  bool submit(std::uint32_t stripe) {
    leveldb::Env::Default()->Schedule(&Calls::call, calls_.argument(stripe));
    return true;
  }
  void stop() {}

 private:
  Calls calls_;
};

class OneTbb {
 public:
  static constexpr const char* name = "onetbb";
  static constexpr const char* lacks = "no deduplication, no exclusion per stripe, no order";

  OneTbb(std::uint32_t, unsigned workers, Run run)
      : allowed_(oneapi::tbb::global_control::max_allowed_parallelism, workers + 1),
        run_(std::move(run)),
        handle_(oneapi::tbb::attach{}),
        arena_(std::make_unique<oneapi::tbb::task_arena>(static_cast<int>(workers), 0)) {
    arena_->initialize();
  }
  bool submit(std::uint32_t stripe) {
    arena_->enqueue([this, stripe] { run_(stripe); });
    return true;
  }
  void stop() {
    arena_->terminate();
    oneapi::tbb::finalize(handle_, std::nothrow);
  }

 private:
  oneapi::tbb::global_control allowed_;
  Run run_;
  oneapi::tbb::task_scheduler_handle handle_;
  std::unique_ptr<oneapi::tbb::task_arena> arena_;
};

class BoostAsio {
 public:
  static constexpr const char* name = "asio";
  static constexpr const char* lacks = "no deduplication, no exclusion per stripe";

  BoostAsio(std::uint32_t, unsigned workers, Run run) : run_(std::move(run)), pool_(workers) {}
  bool submit(std::uint32_t stripe) {
    boost::asio::post(pool_, [this, stripe] { run_(stripe); });
    return true;
  }
  void stop() {
    pool_.stop();
    pool_.join();
  }

 private:
  Run run_;
  boost::asio::thread_pool pool_;
};

class Moodycamel {
 public:
  static constexpr const char* name = "moodycamel";
  static constexpr const char* lacks =
      "no deduplication, no exclusion per stripe, order per producer only";

  Moodycamel(std::uint32_t stripes, unsigned workers, Run run)
      : workers_(workers),
        run_(std::move(run)),
        queue_(2 * stripes),
        threads_(workers, [this] { work(); }) {}
  bool submit(std::uint32_t stripe) {
    queue_.enqueue(stripe);
    return true;
  }
  void stop() {
    for (unsigned i = 0; i < workers_; ++i) {
      queue_.enqueue(end_of_work);
    }
    threads_.join();
  }

 private:
  static constexpr std::uint32_t end_of_work = UINT32_MAX;

  void work() {
    moodycamel::ConsumerToken token(queue_);
    for (;;) {
      std::uint32_t stripe = 0;
      queue_.wait_dequeue(token, stripe);
      if (stripe == end_of_work) {
        return;
      }
      run_(stripe);
    }
  }

  unsigned workers_;
  Run run_;
  moodycamel::BlockingConcurrentQueue<std::uint32_t> queue_;
  Threads threads_;
};

}  // namespace kstone::bench

#endif  // KSTONE_BENCH_PEERS_H_
