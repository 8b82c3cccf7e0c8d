// Whom the worker takes for one of its own threads: the identity that the production policy gives
// each thread. What the worker makes of it is tested with refusals.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <set>
#include <thread>

#include "kstone/production_sync.h"

namespace kstone::test {
namespace {

using Thread = ProductionSync::thread;

// The system gives std::thread::id to the next thread as soon as one has been joined.
TEST(Identity, of_a_thread_is_never_given_to_another) {
  std::set<Thread::id_type> seen{Thread::current_id()};
  constexpr std::size_t threads = 200;
  for (std::size_t i = 0; i < threads; ++i) {
    std::thread([&] { seen.insert(Thread::current_id()); }).join();
  }
  EXPECT_EQ(seen.size(), threads + 1);
}

TEST(Identity, of_a_thread_stays_to_its_last_step) {
  struct AsksAtTheEnd {
    Thread::id_type* last = nullptr;
    ~AsksAtTheEnd() { *last = Thread::current_id(); }
  };
  Thread::id_type first{};
  Thread::id_type last{};
  std::thread([&] {
    thread_local AsksAtTheEnd at_end;
    at_end.last = &last;
    first = Thread::current_id();
  }).join();
  EXPECT_EQ(first, last);
  EXPECT_NE(first, Thread::current_id());
}

// Nor is it the kernel's number, which goes to another thread once one has ended: a child of fork
// has another number and the same identity.
TEST(Identity, is_not_the_number_that_the_kernel_gives_away) {
  testing::FLAGS_gtest_death_test_style = "fast";
  const auto own = Thread::current_id();
  EXPECT_EXIT(std::_Exit(Thread::current_id() == own ? 0 : 1), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace kstone::test
