// The kernels on Relacy's own types, under its own full search: what the explorer is compared with.
//
//   model_relacy_search [--max-executions N] [--walks N] [--json FILE]
//
// A search that ends within N executions is counted. One that does not is estimated: walks that
// choose at random wherever the full search branches, whose mean product of the numbers of branches
// estimates the number of executions (Knuth 1975). The full search is fair: after a yield or a
// block it leaves executions out.
//
// The exit status is 0 if every kernel ran without a failure.

#include <cmath>
#include <fstream>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "kernels.h"
#include "relacy_headers.h"

namespace kstone::model {
namespace {

// Relacy's types under the names that the kernels use.
struct NativeTypes {
  template <class T>
  class atomic {
   public:
    atomic() { value_.store(0, rl::mo_relaxed, rl::debug_info()); }
    T load(std::memory_order order) { return value_.load(native_order(order), rl::debug_info()); }
    T exchange(T value, std::memory_order order) {
      return value_.exchange(value, native_order(order), rl::debug_info());
    }
    T fetch_or(T value, std::memory_order order) {
      return value_.fetch_or(value, native_order(order), rl::debug_info());
    }
    bool compare_exchange_strong(T& expected, T value, std::memory_order order) {
      return value_.compare_exchange(rl::bool_t<false>(), expected, value, native_order(order),
                                     rl::mo_relaxed, rl::debug_info());
    }
    // Strong: the explorer's weak failures are off, too.
    bool compare_exchange_weak(T& expected, T value, std::memory_order order,
                               std::memory_order failure) {
      return value_.compare_exchange(rl::bool_t<false>(), expected, value, native_order(order),
                                     native_order(failure), rl::debug_info());
    }

   private:
    rl::atomic<T> value_;
  };

  template <class T>
  class cell {
   public:
    cell() : cell(T()) {}
    explicit cell(T value) : value_(value) { guard_(rl::debug_info()).store(0); }
    T& write() {
      guard_(rl::debug_info()).store(0);
      return value_;
    }
    const T& read() {
      guard_(rl::debug_info()).load();
      return value_;
    }

   private:
    rl::var<int> guard_;
    T value_;
  };

  struct mutex {
    void lock() { native.lock(rl::debug_info()); }
    void unlock() { native.unlock(rl::debug_info()); }
    rl::mutex native;
  };

  class condition_variable {
   public:
    void wait(mutex& held) { changed_.wait(held.native, rl::debug_info()); }
    void notify_one() { changed_.notify_one(rl::debug_info()); }
    void notify_all() { changed_.notify_all(rl::debug_info()); }

   private:
    rl::condition_variable changed_;
  };

  class semaphore {
   public:
    semaphore() { tokens_.init(false, 0, 1000, rl::debug_info()); }
    ~semaphore() { tokens_.deinit(rl::debug_info()); }
    void wait() { tokens_.wait(false, false, rl::debug_info()); }
    void post(std::uint32_t count) {
      unsigned before = 0;
      tokens_.post(count, before, rl::debug_info());
    }

   private:
    rl::semaphore<semaphore> tokens_;
  };

  class thread {
   public:
    void start(void (*entry)(void*), void* argument) {
      entry_ = entry;
      argument_ = argument;
      thread_.start(&thread::run, this);
    }
    void join() { thread_.join(); }

   private:
    static void* run(void* self) {
      static_cast<thread*>(self)->entry_(static_cast<thread*>(self)->argument_);
      return nullptr;
    }
    rl::dyn_thread thread_;
    void (*entry_)(void*) = nullptr;
    void* argument_ = nullptr;
  };

  template <class Object>
  static void name(const Object&, const char*) {}
  static void cover(const char*) {}
  static void check(bool holds, const char*) {
    if (!holds) {
      rl::ctx().fail_test("a check of the kernel", rl::test_result_user_assert_failed,
                          rl::debug_info());
    }
  }
};

struct Count {
  std::uint64_t budget = 0;
  std::uint64_t executions = 0;
  bool complete = false;
  bool walks = false;  // estimate instead of search
  double weight = 1, weights = 0, squares = 0;
  std::mt19937_64 random{20261122};

  double mean() const { return weights / static_cast<double>(executions); }
  double error() const {
    const auto walks_made = static_cast<double>(executions);
    return std::sqrt(std::max(0.0, squares / walks_made - mean() * mean()) /
                     std::max(1.0, walks_made - 1));
  }
};
Count* count_ = nullptr;

// As rl::full_search_scheduler, with an end.
template <rl::thread_id_t threads>
class CountedSearch
    : public rl::tree_search_scheduler<CountedSearch<threads>,
                                       rl::tree_search_scheduler_thread_info<threads>, threads> {
 public:
  using base = rl::tree_search_scheduler<CountedSearch<threads>,
                                         rl::tree_search_scheduler_thread_info<threads>, threads>;
  using typename base::shared_context_t;
  using typename base::thread_info_t;
  CountedSearch(rl::test_params& params, shared_context_t& context, rl::thread_id_t dynamic)
      : base(params, context, dynamic) {}
  bool can_switch(thread_info_t&) { return true; }
  void on_switch(thread_info_t&) {}
  double iteration_count_approx() { return 1; }

  rl::thread_id_t iteration_begin_impl() {
    if (!count_->walks) {
      return base::iteration_begin_impl();
    }
    count_->weight = 1;
    return this->running_threads[rand_impl(this->running_threads_count, rl::sched_type_sched)];
  }
  unsigned rand_impl(unsigned limit, rl::sched_type type) {
    if (!count_->walks) {
      return base::rand_impl(limit, type);
    }
    count_->weight *= limit;
    return static_cast<unsigned>(count_->random() % limit);
  }
  bool iteration_end_impl() {
    ++count_->executions;
    count_->weights += count_->weight;
    count_->squares += count_->weight * count_->weight;
    count_->complete = !count_->walks && base::iteration_end_impl();
    return count_->complete || count_->executions >= count_->budget;
  }
};

// Everything happens on or below one thread, which plays the explorer's main.
template <class Kernel>
struct Suite : rl::test_suite<Suite<Kernel>, 1> {
  static constexpr rl::thread_id_t dynamic_thread_count = Kernel::threads + Kernel::dynamic_threads;
  struct Requester {
    Kernel* kernel;
    int index;
  };
  void thread(unsigned) {
    Kernel kernel;
    kernel.before();
    NativeTypes::thread requesters[Kernel::threads];
    Requester arguments[Kernel::threads];
    for (int i = 0; i < Kernel::threads; ++i) {
      arguments[i] = {&kernel, i};
      requesters[i].start(
          [](void* requester) {
            static_cast<Requester*>(requester)->kernel->thread(
                static_cast<Requester*>(requester)->index);
          },
          &arguments[i]);
    }
    for (auto& each : requesters) {
      each.join();
    }
    kernel.after();
  }
};

template <class Kernel>
bool explore(Count& count) {
  using Test = Suite<Kernel>;
  std::ostream nowhere(nullptr);
  rl::test_params params;
  params.search_type = rl::sched_full;
  params.output_stream = &nowhere;
  params.progress_stream = &nowhere;
  params.execution_depth_limit = 100000;
  count_ = &count;
  rl::ostringstream state;
  return rl::run_test<Test, CountedSearch<Test::params::thread_count>>(params, state, false) ==
         rl::test_result_success;
}

struct Row {
  const char* name;  // of the suite in kernels.cpp
  bool (*explore)(Count&);
};

const Row rows[] = {
    {"locked_1_1", explore<LockedKernel<NativeTypes, 1, 1, 1>>},
    {"locked_2_1", explore<LockedKernel<NativeTypes, 2, 1, 1>>},
    {"locked_2_1_two_stripes", explore<LockedKernel<NativeTypes, 2, 1, 2>>},
    {"locked_1_2", explore<LockedKernel<NativeTypes, 1, 2, 1>>},
    {"locked_3_1", explore<LockedKernel<NativeTypes, 3, 1, 1>>},
    {"locked_2_2", explore<LockedKernel<NativeTypes, 2, 2, 1>>},
    {"one_word_1_1", explore<OneWordKernel<NativeTypes, 1, 1, 1>>},
    {"one_word_2_1", explore<OneWordKernel<NativeTypes, 2, 1, 1>>},
    {"one_word_2_1_two_stripes", explore<OneWordKernel<NativeTypes, 2, 1, 2>>},
    {"one_word_1_2", explore<OneWordKernel<NativeTypes, 1, 2, 1>>},
    {"one_word_3_1", explore<OneWordKernel<NativeTypes, 3, 1, 1>>},
    {"one_word_2_2", explore<OneWordKernel<NativeTypes, 2, 2, 1>>},
};

}  // namespace
}  // namespace kstone::model

int main(int argc, char** argv) {
  using namespace kstone::model;
  CLI::App app{"The kernels under Relacy's own full search."};
  std::uint64_t most = 1'000'000, walks = 100'000;
  std::string json_file;
  app.add_option("--max-executions", most, "of a search; what takes more is estimated (1,000,000)")
      ->check(CLI::PositiveNumber);
  app.add_option("--walks", walks, "of an estimate (100,000)")->check(CLI::PositiveNumber);
  app.add_option("--json", json_file, "write the results to this file");
  CLI11_PARSE(app, argc, argv);

  nlohmann::json results = nlohmann::json::array();
  bool good = true;
  for (const Row& row : rows) {
    Count searched, estimated;
    searched.budget = most;
    estimated.budget = walks;
    estimated.walks = true;
    good = row.explore(searched) && row.explore(estimated) && good;
    nlohmann::json entry{{"name", row.name},
                         {"complete", searched.complete},
                         {"estimate", estimated.mean()},
                         {"estimate_error", estimated.error()},
                         {"walks", estimated.executions}};
    entry["executions"] =
        searched.complete ? nlohmann::json(searched.executions) : nlohmann::json(nullptr);
    if (searched.complete) {
      std::printf("%-26s %llu executions", row.name,
                  static_cast<unsigned long long>(searched.executions));
    } else {
      std::printf("%-26s more than %llu executions", row.name,
                  static_cast<unsigned long long>(searched.executions));
    }
    std::printf("; estimated from %llu walks: %.3g, standard error %.2g\n",
                static_cast<unsigned long long>(estimated.executions), estimated.mean(),
                estimated.error());
    results.push_back(std::move(entry));
  }
  if (!json_file.empty()) {
    std::ofstream out(json_file);
    out << results.dump(2) << "\n";
    good = static_cast<bool>(out.flush()) && good;
  }
  return good ? 0 : 1;
}
