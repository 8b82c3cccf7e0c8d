// P1, P3 to P5, P7, P9, P10, with a wait, a shutdown and requests at once, at the largest sizes that are tried.

#include "scene.h"

namespace kstone::model {
namespace {

// Everybody at once: requesters, a wait, and a shutdown.
template <class Size, ShutdownMode mode, class Sync = RelacySync>
struct Everybody : Scene<Size, Sync> {
  static constexpr int threads = Size::requesters + 2;

  void before() {
    this->make();
    this->worker->start();
  }
  void thread(int index) {
    if (index < Size::requesters) {
      this->request(index);
    } else if (index == Size::requesters) {
      const auto result = this->worker->wait_idle();
      check(result == IdleResult::idle || result == IdleResult::shut_down, "a wait without a limit has two answers");
      this->cover_if(result == IdleResult::shut_down, "interrupted");
    } else {
      this->check_complete(this->worker->shutdown(mode));
    }
  }
  void after() {
    this->check_served_or_reported(this->worker->shutdown());
    if (mode == ShutdownMode::drain) {
      this->check_served();
    }
    this->check_accounts();
    this->worker.reset();
  }
};

// Not seen to end: cut short, or at random; what stands in is smaller and is searched without a bound.
template <class Scenario, class Size>
Registered too_large(Claim claim, Mode mode, std::uint64_t executions, const char* fallback) {
  auto options = suite_options<Scenario, Size>(std::move(claim), "");
  options.limits.mode = mode;
  options.limits.max_executions = executions;
  options.large = true;
  options.fallback = fallback;
  return suite<Scenario>(std::move(options));
}

const char* const properties = "P1 P3 P4 P5 P7 P9 P10";
const std::vector<std::string> events = {"served", "rejected", "interrupted"};

template <class Size>
using Drained = Everybody<Size, ShutdownMode::drain>;
template <class Size>
using Finished = Everybody<Size, ShutdownMode::finish_running>;

const ProvedCalm<Drained<Size<2, 1>>, Size<2, 1>> drained_2_1(
    {"everybody_against_drain_2_1", properties, {"served", "rejected", "interrupted", "requested while running"}, {}, true});
const ProvedCalm<Finished<Size<1, 2>>, Size<1, 2>> finished_1_2(
    {"everybody_against_finish_running_1_2", properties, {"served", "rejected", "interrupted", "discarded"}, {}, true});
const auto drained_2_2 = too_large<Drained<Size<2, 2>>, Size<2, 2>>({"everybody_against_drain_2_2", properties, events},
                                                                    Mode::source_sets, 10'000'000,
                                                                    "everybody_against_drain_2_1");
const auto finished_3_2 = too_large<Finished<Size<3, 2, 2>>, Size<3, 2, 2>>(
    {"everybody_against_finish_running_3_2_at_random", properties, events}, Mode::random, 300'000, "everybody_against_finish_running_1_2");

const Refuted<Everybody<Size<1, 1>, ShutdownMode::drain, LosesTokens>, Size<1, 1>> loses_tokens(
    {"everybody_against_drain_without_tokens", "P7"}, {Failure::deadlock});

}  // namespace
}  // namespace kstone::model
