// A scene whose first compaction of each stripe fails.

#ifndef KSTONE_MODEL_WORKER_FAILS_AT_FIRST_H_
#define KSTONE_MODEL_WORKER_FAILS_AT_FIRST_H_

#include <cstdint>

#include "scene.h"

namespace kstone::model {

enum class Fails { retry, failed };

inline BackOff with_back_off(std::uint32_t quarantine_after = 0) {
  BackOff back_off;
  back_off.jitter = 0;
  back_off.quarantine_after = quarantine_after;
  return back_off;
}

// The first compaction of each stripe fails.
template <class Size, Fails fails = Fails::retry, class Sync = RelacySync>
struct FailsAtFirst : Scene<Size, Sync> {
  using Base = Scene<Size, Sync>;
  static constexpr int dynamic_threads = Size::workers + 1;

  void make_and_start(std::uint32_t quarantine_after = 0) {
    this->make([this](typename Base::Context& context) { return compact(context); }, {},
               with_back_off(quarantine_after));
    this->start();
  }
  CompactionOutcome compact(typename Base::Context& context) {
    return this->note(context) != 1 ? CompactionOutcome::done()
           : fails == Fails::failed ? CompactionOutcome::failed("bad block")
                                    : CompactionOutcome::retry("busy");
  }
  void end() {
    const auto s = this->worker->snapshot();
    check(s.delayed == 0 && s.quarantined == 0, "nothing is delayed any more");
    this->check_complete(this->worker->shutdown());
    this->check_accounts();
    this->worker.reset();
  }
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_WORKER_FAILS_AT_FIRST_H_
