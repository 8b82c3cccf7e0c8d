// P2 No lost wake-up, one layer below the worker: the semaphore of the production policy keeps what
//    the policy promises of it. Each wait() returns after it took a token, no token is lost or
//    taken twice, and nobody sleeps on while there is one.
// Covers: S1/S2, S3/S2.
//
// The worker's scenarios run on a semaphore that keeps that promise by construction.

#include <string>
#include <utility>
#include <vector>

#include "claim.h"
#include "kstone/detail/futex_semaphore.h"
#include "relacy_sync.h"
#include "runner.h"
#include "scenario.h"

namespace kstone::model {
namespace {

// What the kernel promises of a futex: looking at the word and falling asleep are one step to
// whoever wakes. It looks at the word behind a full barrier, which the model says with the order of
// the load. `Condition` is what its sleepers sleep on.
template <class Condition = RelacySync::condition_variable>
struct ModelledFutex {
  template <class T>
  using atomic = RelacySync::atomic<T>;

  void wait(atomic<std::uint32_t>& word, std::uint32_t value) {
    if (alone) {  // nobody else would post
      ++sleeps;
      word.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    lock.lock();
    if (word.load(std::memory_order_seq_cst) == value) {
      cover("slept");
      woken.wait(lock);
    } else {
      cover("found a token");
    }
    lock.unlock();
  }
  void wake(atomic<std::uint32_t>&, std::uint32_t count) {
    cover("woke");
    lock.lock();
    ++calls;
    for (std::uint32_t i = 0; i < count; ++i) {
      woken.notify_one();
    }
    lock.unlock();
  }

  RelacySync::mutex lock;
  Condition woken;
  // Of the one execution that runs.
  static inline int calls = 0;  // of wake()
  static inline bool alone = false;
  static inline int sleeps = 0;  // alone
};

struct LosesWakeUps : RelacySync::condition_variable {
  void notify_one() {}
};

// Looks at the word, and falls asleep a step later.
struct LooksTooEarly : ModelledFutex<> {
  void wait(atomic<std::uint32_t>& word, std::uint32_t value) {
    if (word.load(std::memory_order_seq_cst) == value) {
      lock.lock();
      woken.wait(lock);
      lock.unlock();
    }
  }
};

// Posters post, each so many tokens at once; waiters share them.
template <int count>
struct Posters {
  static constexpr int posters = count;
};
template <int count>
struct Waiters {
  static constexpr int waiters = count;
};
template <int count>
struct TokensOfEach {
  static constexpr int tokens = count;
};

template <class Posters, class Waiters, class TokensOfEach = TokensOfEach<1>,
          class Futex = ModelledFutex<>>
struct PostAndWait {
  static constexpr int poster_count = Posters::posters;
  static constexpr int waiter_count = Waiters::waiters;
  static constexpr int tokens = TokensOfEach::tokens;
  static constexpr int threads = poster_count + waiter_count;
  static constexpr int dynamic_threads = 0;
  static constexpr EqualThreads equal_threads = {{{0, poster_count}, {poster_count, waiter_count}}};
  static constexpr int share = poster_count * tokens / waiter_count;
  static_assert(share * waiter_count == poster_count * tokens);

  struct Tokens {
    int posted = 0;
    int taken = 0;
  };
  detail::basic_futex_semaphore<Futex> semaphore;
  Ghost<Tokens> count;

  void before() {
    Futex::calls = Futex::sleeps = 0;
    Futex::alone = false;
  }
  void after() {
    const int before = Futex::calls;
    semaphore.post(1);
    check(Futex::calls == before, "nobody is woken where nobody sleeps");
    semaphore.wait();
    Futex::alone = true;
    semaphore.wait();
    check(Futex::sleeps == 1, "no token is left over");
  }
  void thread(int index) {
    in_turn();
    if (index < poster_count) {
      count.step_write().posted += tokens;
      semaphore.post(tokens);
      return;
    }
    for (int i = 0; i < share; ++i) {
      semaphore.wait();
      Tokens& now = count.step_write();
      ++now.taken;
      check(now.taken <= now.posted, "no token is taken before it is posted, or twice");
    }
  }
};

const std::vector<std::string> events = {"slept", "found a token", "woke"};

const Registered suites[] = {
    proved<PostAndWait<Posters<1>, Waiters<1>>>({
        .name = "post_and_wait_1_1",
        .property = "P2",
        .sometimes = events,
    }),
    proved<PostAndWait<Posters<1>, Waiters<1>, TokensOfEach<2>>>({
        .name = "post_and_wait_1_1_two_tokens",
        .property = "P2",
        .sometimes = events,
    }),
    proved<PostAndWait<Posters<2>, Waiters<1>>>({
        .name = "post_and_wait_2_1",
        .property = "P2",
        .sometimes = events,
    }),
    proved<PostAndWait<Posters<1>, Waiters<2>, TokensOfEach<2>>>({
        .name = "post_and_wait_1_2",
        .property = "P2",
        .sometimes = events,
    }),
    proved_without_surprises<PostAndWait<Posters<2>, Waiters<2>>>({
        .name = "post_and_wait_2_2",
        .property = "P2",
        .sometimes = events,
    }),
    // With surprises, which have not been seen to end without a bound.
    proved<PostAndWait<Posters<2>, Waiters<2>>>({
        .name = "post_and_wait_2_2_bound_2",
        .property = "P2",
        .sometimes = events,
        .within = 2,
        .large = Large::yes,
    }),
    refuted<PostAndWait<Posters<1>, Waiters<1>, TokensOfEach<1>, ModelledFutex<LosesWakeUps>>>({
        .name = "post_and_wait_without_wake_ups",
        .property = "P2",
        .failure = Failure::deadlock,
        .because = "sleeps on",
    }),
    refuted<PostAndWait<Posters<1>, Waiters<1>, TokensOfEach<1>, LooksTooEarly>>({
        .name = "post_and_wait_that_looks_too_early",
        .property = "P2",
        .failure = Failure::deadlock,
        .because = "sleeps on",
    }),
};

}  // namespace
}  // namespace kstone::model
