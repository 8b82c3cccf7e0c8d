#include "explorer/relacy.h"

#include "explorer/exploration.h"
#include "relacy_headers.h"

#include <cxxabi.h>

// Relacy replaces the unsized forms only.
void operator delete(void* memory, std::size_t) noexcept { ::operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { ::operator delete[](memory); }

namespace kstone::model::explorer {

namespace {

// Relacy's replacements are inline, and clang emits what is used here only: without them, leaks
// would go unseen.
[[maybe_unused]] __attribute__((used)) void* (*const kept_new[])(std::size_t) = {
    &::operator new, &::operator new[] };
[[maybe_unused]] __attribute__((used)) void (*const kept_delete[])(void*) = {&::operator delete,
                                                                             &::operator delete[] };

// The stacks of the fibers, which Relacy keeps from one execution to the next and never frees.
class Stacks {
 public:
  ~Stacks() {
    for (void* const stack : stacks_) {
      std::free(stack);
    }
  }
  void note(void* stack) {
    if (std::find(stacks_.begin(), stacks_.end(), stack) == stacks_.end()) {
      stacks_.push_back(stack);
    }
  }

 private:
  MallocVector<void*> stacks_;
};
Stacks* stacks_ = nullptr;

// Fibers share the thread that keeps the handled exceptions: each gets its own.
struct HandledExceptions {
  alignas(16) unsigned char bytes[16] = {};
  void save() { std::memcpy(bytes, abi::__cxa_get_globals(), sizeof bytes); }
  void restore() const {
    std::memcpy(static_cast<void*>(abi::__cxa_get_globals()), bytes, sizeof bytes);
  }
};

void run_main() {
  Exploration& e = exploration();
  e.scenario.construct(e.instance);
  e.scenario.before(e.instance);
  e.threads.settle();
  for (int i = 1; i <= e.scenario.threads; ++i) {
    join(e.threads[i].created);
    e.threads[i].started = true;
    e.search.order_after(i, 0);
  }
  Step step;
  step.operation = Operation::join_application;
  e.threads.announce(step, Site{});
  for (int i = 1; i <= e.scenario.threads; ++i) {
    acquire(e.threads[i].ended);
    e.search.order_after(0, i);
  }
  e.scenario.after(e.instance);
  e.scenario.destroy(e.instance);
}

// The body of each fiber.
void run_thread(int index) {
  Exploration& e = exploration();
  stacks_->note(rl::ctx().threadx_->fiber_.fib.uc_stack.ss_sp);
  HandledExceptions().restore();
  Thread& thread = e.threads[index];
  if (thread.started) {
    acquire(thread.created);
    if (index == 0) {
      run_main();
    } else if (index <= e.scenario.threads) {
      e.scenario.thread(e.instance, index - 1);
    } else {
      thread.entry(thread.argument);
    }
    if (thread.may_freeze || e.threads.frozen() == index) {
      fail(Failure::model_error, "a thread ends inside FreezeOthers");
    }
    join(thread.ended);
  }
  e.threads.settle();
  thread.finished = true;
}

template <int count>
struct Suite : rl::test_suite<Suite<count>, count> {
  void thread(unsigned index) { run_thread(static_cast<int>(index)); }
};

template <rl::thread_id_t count>
class Scheduler : public rl::scheduler<Scheduler<count>, rl::scheduler_thread_info, count> {
 public:
  using base_t = rl::scheduler<Scheduler<count>, rl::scheduler_thread_info, count>;
  using thread_info_t = typename base_t::thread_info_t;
  using shared_context_t = typename base_t::shared_context_t;
  struct task_t {};

  Scheduler(rl::test_params& params, shared_context_t& context, rl::thread_id_t dynamic)
      : base_t(params, context, dynamic) {}

  rl::thread_id_t iteration_begin_impl() {
    exploration().begin_execution();
    return 0;
  }
  bool iteration_end_impl() { return !exploration().end_execution(); }
  rl::thread_id_t schedule_impl(rl::unpark_reason& reason, unsigned /*yield*/) {
    reason = rl::unpark_reason_normal;
    return exploration().threads.schedule();
  }
  unsigned rand_impl(unsigned limit, rl::sched_type type) {
    switch (type) {
      case rl::sched_type_mem_realloc:
        return 0;  // always deferred: a freed block is not reused at once
      case rl::sched_type_atomic_load: {
        Exploration& e = exploration();
        if (e.surprises.stores_back >= e.limits.stale_depth ||
            e.search.choose_write(e.threads.current_thread().pending.object, e.threads.current(),
                                  limit) == 0) {
          return 0;
        }
        ++e.surprises.stores_back;
        return 1;
      }
      default:
        fail(Failure::model_error, "Relacy asks for a choice that the model does not know");
    }
  }
  rl::iteration_t iteration_count_impl() { return this->iter_ + 1; }
  void get_state_impl(std::ostream&) {}
  void set_state_impl(std::istream&) {}
  void on_thread_block(rl::thread_id_t, bool) {}
};

template <int count>
rl::test_result_e run_suite(rl::test_params& params) {
  rl::ostringstream state;
  return rl::run_test<Suite<count>, Scheduler<count>>(params, state, false);
}

Failure failure_of(rl::test_result_e result) {
  switch (result) {
    case rl::test_result_success:
      return Failure::none;
    case rl::test_result_double_free:
      return Failure::double_free;
    case rl::test_result_memory_leak:
    case rl::test_result_resource_leak:
      return Failure::memory_leak;
    case rl::test_result_livelock:
      return Failure::livelock;
    case rl::test_result_data_race:
      return Failure::data_race;
    case rl::test_result_access_to_freed_memory:
      return Failure::use_after_free;
    case rl::test_result_unitialized_access:
      return Failure::uninitialized;
    default:
      return Failure::model_error;
  }
}

}  // namespace

Finding run_executions(int threads) {
  using Run = rl::test_result_e (*)(rl::test_params&);
  static constexpr Run runs[] = {run_suite<2>, run_suite<3>, run_suite<4>, run_suite<5>,
                                 run_suite<6>, run_suite<7>, run_suite<8>};
  static_assert(std::size(runs) + 1 == max_threads);
  std::ostream nowhere(nullptr);
  rl::test_params params;
  params.search_type = rl::sched_random;  // lets a load read two stores back
  params.output_stream = &nowhere;
  params.progress_stream = &nowhere;
  params.execution_depth_limit = 0x7fffffff;
  Stacks stacks;
  stacks_ = &stacks;
  const rl::test_result_e result = runs[threads - 2](params);
  HandledExceptions().restore();
  stacks_ = nullptr;
  return Finding{failure_of(result), rl::test_result_str(result)};
}

bool inside_execution() { return running_ != nullptr && rl::is_ctx(); }

void switch_thread() {
  HandledExceptions mine;
  mine.save();
  rl::ctx().sched();
  mine.restore();
}

void leave_execution() {
  rl::ctx().fail_test("", rl::test_result_user_assert_failed, rl::debug_info());
  std::abort();  // fail_test does not come back
}

}  // namespace kstone::model::explorer
