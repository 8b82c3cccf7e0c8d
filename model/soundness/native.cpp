#include "soundness/native.h"

#include <cstdlib>
#include <cstring>
#include <set>

#include "relacy_headers.h"
#include "search/malloc_containers.h"
#include "soundness/program.h"

namespace kstone::model::soundness {

namespace {

using NativeOutcomes = std::set<MallocString, std::less<>, MallocAllocator<MallocString>>;
NativeOutcomes* native_outcomes_ = nullptr;

template <int count>
struct Native : rl::test_suite<Native<count>, count> {
  rl::atomic<int> atomics[2];
  rl::var<int> cell;
  int reads[most_threads][most_reads];
  int read_count[most_threads];

  void before() {
    const rl::debug_info here;
    for (rl::atomic<int>& variable : atomics) {
      variable.store(0, rl::mo_relaxed, here);
    }
    cell(here).store(0);
    std::memset(read_count, 0, sizeof read_count);
  }
  void note(unsigned thread, int value) {
    if (read_count[thread] < most_reads) {
      reads[thread][read_count[thread]++] = value;
    }
  }
  void thread(unsigned index) {
    const rl::debug_info here;
    for (const Instruction& in : program_->code[index]) {
      rl::atomic<int>& variable = atomics[in.object];
      switch (in.kind) {
        case Kind::load:
          note(index, variable.load(native_order(in.order), here));
          break;
        case Kind::store:
          variable.store(in.value, native_order(in.order), here);
          break;
        case Kind::add:
          note(index, variable.fetch_add(in.value, native_order(in.order), here));
          break;
        case Kind::exchange:
          note(index, variable.exchange(in.value, native_order(in.order), here));
          break;
        case Kind::cas_strong: {
          int expected = in.expected;
          const bool done =
              variable.compare_exchange(rl::bool_t<false>(), expected, in.value,
                                        native_order(in.order), native_order(in.failure), here);
          note(index, expected);
          note(index, done ? 1 : 0);
          break;
        }
        case Kind::cell_read:
          note(index, cell(here).load());
          break;
        case Kind::cell_write:
          cell(here).store(in.value);
          break;
        default:
          std::abort();
      }
    }
  }
  void after() {
    MallocString text;
    for (int thread = 0; thread < most_threads; ++thread) {
      for (int i = 0; thread < count && i < read_count[thread]; ++i) {
        text.push_back(static_cast<char>('0' + reads[thread][i]));
      }
      text.push_back('|');
    }
    for (rl::atomic<int>& variable : atomics) {
      text.push_back(static_cast<char>('0' + variable.load(rl::mo_relaxed, rl::debug_info())));
    }
    native_outcomes_->insert(text);
  }
};

template <int count>
Seen run_with() {
  NativeOutcomes outcomes;
  native_outcomes_ = &outcomes;
  std::ostream nowhere(nullptr);
  rl::test_params params;
  params.search_type = rl::sched_full;
  params.output_stream = &nowhere;
  params.progress_stream = &nowhere;
  rl::ostringstream state;
  const rl::test_result_e result =
      rl::run_test<Native<count>, rl::full_search_scheduler<count>>(params, state, false);
  Seen seen{result == rl::test_result_success ? Verdict::proved : Verdict::refuted, {}};
  for (const MallocString& text : outcomes) {
    seen.outcomes.emplace_back(text.c_str());
  }
  return seen;
}

}  // namespace

Seen run_native() { return program_->threads == 2 ? run_with<2>() : run_with<3>(); }

}  // namespace kstone::model::soundness
