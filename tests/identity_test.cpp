// Whom the worker takes for one of its own threads.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <thread>

#include "kstone/background_worker_impl.h"
#include "test_support.h"

namespace kstone::test {
namespace {

// The first thread that was started has the number 1, the second 2; others have the number that
// they want.
struct NumberedSync : ProductionSync {
  class thread : public ProductionSync::thread {
   public:
    using id_type = int;

    bool start(void (*entry)(void*), void* argument) noexcept {
      entry_ = entry;
      argument_ = argument;
      number_ = ++started;
      return ProductionSync::thread::start(
          [](void* self) {
            current = static_cast<thread*>(self)->number_;
            static_cast<thread*>(self)->entry_(static_cast<thread*>(self)->argument_);
          },
          this);
    }
    void join() {
      joins_begun->add(number_);
      ProductionSync::thread::join();
    }
    static int current_id() noexcept { return current; }

    static inline thread_local int current = 0;
    static inline int started = 0;
    static inline Journal<int>* joins_begun = nullptr;

   private:
    void (*entry_)(void*) = nullptr;
    void* argument_ = nullptr;
    int number_ = 0;
  };
};

using Worker = basic_background_worker<NumberedSync>;

// The system gives the identity of a thread that was joined to the next one: no call of that one is
// refused, although a shutdown still waits for another thread of the worker.
TEST(Identity, of_a_joined_thread_may_belong_to_somebody_else) {
  NumberedSync::thread::started = 0;
  Journal<int> joins_begun;
  NumberedSync::thread::joins_begun = &joins_begun;
  Gate first_may_end;
  Journal<int> begun;
  Worker worker(CompactionConfig().with_max_concurrent(2), {}, 2, [&](Worker::Context& context) {
    const auto number = NumberedSync::thread::current;
    begun.add(number);
    if (number == 1) {
      first_may_end.pass();
    } else {
      while (!context.stop_requested()) {
        std::this_thread::yield();
      }
    }
    return CompactionOutcome::done();
  });
  EXPECT_EQ(worker.start(), StartResult::started);
  worker.queue_compaction(0);
  begun.await(1);
  worker.queue_compaction(1);
  begun.await(2);

  std::thread closer([&] { EXPECT_TRUE(worker.shutdown().complete); });
  joins_begun.await(1);
  first_may_end.open();
  joins_begun.await(2);  // so the first is joined, and known as such
  std::thread other([&] {
    NumberedSync::thread::current = 1;
    EXPECT_EQ(worker.wait_idle(Limit(std::chrono::seconds(0))), IdleResult::shut_down);
    const auto report = worker.shutdown(ShutdownMode::cancel, Limit(std::chrono::seconds(0)));
    EXPECT_FALSE(report.refused);
    EXPECT_EQ(report.mode, ShutdownMode::cancel);
  });
  other.join();
  closer.join();
}

}  // namespace
}  // namespace kstone::test
