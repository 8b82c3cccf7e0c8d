// P14 start may race with requests, with itself and with shutdown; threads that cannot be created
//     are fewer threads.

#include "scene.h"

namespace kstone::model {
namespace {

// Callers of start, each on a thread of its own, beside the requesters; then one who drains, or
// nobody.
template <int count>
struct Starters {
  static constexpr int starters = count;
};
enum class Drain { none, one };

template <class Size, class Starters, Drain drain = Drain::none, class Sync = RelacySync>
struct StartRace : Scene<Size, Sync> {
  static constexpr int starters = Starters::starters;
  static constexpr bool shuts_down = drain == Drain::one;
  static constexpr int threads = Size::requesters + starters + (shuts_down ? 1 : 0);
  static constexpr EqualThreads equal_threads = Scene<Size, Sync>::requesters_only;
  static constexpr int equal_dynamic_threads = Size::workers;

  void before() { this->make(); }
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
    } else if (index < Size::requesters + starters) {
      results[index - Size::requesters] = this->worker->start();
    } else {
      this->check_complete(this->worker->shutdown(ShutdownMode::drain));
    }
  }
  void after() {
    int started = 0;
    for (const auto result : results) {
      started += result == StartResult::started ? 1 : 0;
      this->cover_if(result == StartResult::shut_down, "started too late");
      this->cover_if(result == StartResult::no_threads, "no threads");
    }
    check(started <= 1, "one call starts the worker");
    if (!shuts_down && started == 1) {
      for (const auto result : results) {
        check(result == StartResult::started || result == StartResult::already_running,
              "the others are told so");
      }
    }
    if (!shuts_down && started == 1) {
      check(this->worker->wait_idle() == IdleResult::idle, "wait_idle answers idle");
      this->check_served();
    }
    const auto report = this->worker->shutdown(ShutdownMode::drain);
    this->check_complete(report);
    this->check_served_or_reported(report);
    check(started == 0 || report.discarded.empty(), "a worker that was started drains");
    this->check_accounts();
    this->worker.reset();
  }

  StartResult results[starters] = {};
};

const Registered suites[] = {
    proved<StartRace<With<Requesters<1>, Workers<1>>, Starters<1>>>({
        .name = "start_against_request_1_1",
        .property = "P2 P14",
    }),
    proved<StartRace<With<Requesters<1>, Workers<1>>, Starters<1>, Drain::one>>({
        .name = "start_against_request_and_shutdown_1_1",
        .property = "P7 P14",
        .sometimes = {"started too late", "served", "discarded", "rejected"},
    }),
    proved<StartRace<With<Requesters<1>, Workers<1>>, Starters<2>>>({
        .name = "two_starts_against_request_1_1",
        .property = "P14",
    }),
    proved<StartRace<With<Requesters<1>, Workers<2>>, Starters<1>>>({
        .name = "start_with_failing_threads_1_2",
        .property = "P14",
        .sometimes = {"no threads"},
        .refused_threads = 2,
    }),
    refuted<
        StartRace<With<Requesters<1>, Workers<1>>, Starters<1>, Drain::none, CountsRefusedThreads>>(
        {
            .name = "start_with_a_thread_that_does_not_exist",
            .property = "P14",
            .failure = Failure::deadlock,
            .because = "main sleeps on episode_ended",
        }),
};

}  // namespace
}  // namespace kstone::model
