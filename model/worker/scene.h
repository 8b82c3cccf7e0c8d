// What the scenarios of the worker share: the production template on Relacy's types, and the
// bookkeeping by which the properties (docs/properties.md) are checked once everything has ended.

#ifndef KSTONE_MODEL_WORKER_SCENE_H_
#define KSTONE_MODEL_WORKER_SCENE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broken_sync.h"
#include "claim.h"
#include "held_sync.h"
#include "kstone/background_worker.h"
#include "kstone/background_worker_impl.h"
#include "runner.h"
#include "scenario.h"

namespace kstone::model {

// Histories say "requests 2, running", and "head 0, listed 1, sleepers 2" of a list whose newest
// stripe is 0.
inline void append(std::string& text, const std::string& part, bool there) {
  text += there ? (text.empty() ? "" : ", ") + part : "";
}
inline const ValuesInWords stripe_words("word", [](std::uint64_t bits) {
  const detail::StripeWord word{bits};
  std::string text;
  append(text, "requests " + std::to_string(word.requests()), word.requests() != 0);
  append(text, "low " + std::to_string(word.low()), word.low() != 0);
  append(text, "high", word.high());
  append(text, "reasons " + std::to_string(word.reasons()), word.reasons() != 0);
  append(text, "running", word.running());
  append(text, "under way", word.under_way());
  append(text, "removed", word.removed());
  append(text, "closed", word.closed());
  return text.empty() ? "idle" : text;
});
inline const ValuesInWords control_words("control", [](std::uint64_t bits) {
  const ControlWord word{bits};
  std::string text;
  append(text,
         "head " + std::to_string(word.head() - 1) + ", listed " + std::to_string(word.listed()),
         !word.list_is_empty());
  append(text, "sleepers " + std::to_string(word.sleepers()), word.sleepers() != 0);
  append(text, "closed", word.closed());
  return text.empty() ? "empty" : text;
});

// The size of a scene: how many threads call queue_compaction, how many worker threads there are,
// and for how many stripes. Requester r asks for stripe r modulo the number of stripes.
template <int requester_count, int worker_count, int stripe_count = 1>
struct Size {
  static constexpr int requesters = requester_count;
  static constexpr int workers = worker_count;
  static constexpr int stripes = stripe_count;
};

// The same in words: With<Requesters<2>, Workers<1>>.
template <int count_>
struct Requesters {
  static constexpr int count = count_;
};
template <int count_>
struct Workers {
  static constexpr int count = count_;
};
template <int count_>
struct Stripes {
  static constexpr int count = count_;
};
template <class Requesters, class Workers, class Stripes = Stripes<1>>
using With = Size<Requesters::count, Workers::count, Stripes::count>;

// Each requester stores its payload, relaxed, before it calls; each compaction loads all payloads
// of its stripe, relaxed, and keeps what it saw. A load that the request did not publish to may
// read the older value, and a compaction that began too early does read it: so "a compaction of the
// stripe saw every accepted payload" is both *no lost request* and *publication*.
template <class Size, class Sync = RelacySync>
struct Scene {
  using Worker = basic_background_worker<Sync>;
  using Context = basic_compaction_context<Sync>;

  static constexpr int requesters = Size::requesters;
  static constexpr int workers = Size::workers;
  static constexpr int dynamic_threads = Size::workers;

  // Where all ask for one stripe, nothing but their index tells the requesters apart: what a job
  // reads of one of them decides nothing that the job does next.
  static constexpr int equal_requesters = Size::stripes == 1 ? Size::requesters : 1;
  // Scenes whose first threads do nothing but request may say so; and the worker's threads are
  // equal where they are not asked to stop one after the other. (They are joined so, and nothing is
  // done between two joins.)
  static constexpr EqualThreads requesters_only = {{{0, equal_requesters}}};

  RelacySync::atomic<std::uint32_t> payload[Size::requesters];
  RelacySync::cell<int> compactions[Size::stripes];  // of a stripe; two at once are a race
  // Written by compactions of the stripe that the requester asks for, read after the end.
  RelacySync::cell<std::uint32_t> seen[Size::requesters];
  Submission answers[Size::requesters] = {};
  bool asked[Size::requesters] = {};
  std::unique_ptr<Worker> worker;

  static int stripe_of(int requester) { return requester % Size::stripes; }

  // Without back-off, unless the scene says so: with it there is one more thread.
  void make(typename Worker::Job job, typename Worker::Options options = {},
            const BackOff& back_off = BackOff::off()) {
    options.back_off = back_off;
    for (auto& each : compactions) {
      name(each, "compactions");
    }
    worker = std::make_unique<Worker>(CompactionConfig().with_max_concurrent(Size::workers),
                                      typename Worker::StatsAtomic(), std::uint32_t{Size::stripes},
                                      std::move(job), std::move(options));
  }
  void make() {
    make([this](Context& context) {
      note(context);
      return CompactionOutcome::done();
    });
  }

  // The part of every job that the properties look at. Returns the number of this compaction of its
  // stripe, from 1.
  int note(Context& context) {
    const auto id = static_cast<int>(context.stripe_id());
    const int number = ++compactions[id].write();
    for (int requester = 0; requester < Size::requesters; ++requester) {
      if (stripe_of(requester) == id) {
        seen[requester].write() = payload[requester].load(std::memory_order_relaxed);
      }
    }
    return number;
  }

  Submission request(int requester, RequestOptions options = {}) {
    payload[requester].store(1, std::memory_order_relaxed);
    in_turn();
    const auto answer =
        worker->queue_compaction(static_cast<std::uint32_t>(stripe_of(requester)), options);
    answers[requester] = answer;
    asked[requester] = true;
    if (answer == Submission::coalesced) {
      cover("coalesced");
    } else if (answer == Submission::rerun_pending) {
      cover("requested while running");
    } else if (answer == Submission::rejected_shutting_down) {
      cover("rejected");
    }
    return answer;
  }

  bool was_accepted(int requester) const {
    return asked[requester] && accepted(answers[requester]);
  }
  bool was_served(int requester) { return seen[requester].read() == 1; }

  void check_served() {
    for (int requester = 0; requester < Size::requesters; ++requester) {
      check(!was_accepted(requester) || was_served(requester),
            "an accepted request is followed by a compaction that sees its payload");
    }
  }

  static bool lists(const std::vector<CompactionRequest>& requests, int stripe) {
    for (const auto& each : requests) {
      if (each.stripe_id == static_cast<std::uint32_t>(stripe)) {
        return true;
      }
    }
    return false;
  }

  // Where each stripe is asked for once, an accepted request is served or its stripe is in the
  // report, and not both.
  void check_served_or_reported(const ShutdownReport& report) {
    for (int requester = 0; requester < Size::requesters; ++requester) {
      const bool served = was_served(requester);
      const bool discarded = lists(report.discarded, stripe_of(requester));
      if (was_accepted(requester)) {
        check(served || discarded, "an accepted request is served or reported");
        check(Size::requesters > Size::stripes || !(served && discarded),
              "no request is both served and reported");
      } else if (Size::requesters <= Size::stripes) {
        check(!discarded && compactions[stripe_of(requester)].read() == 0,
              "a rejected request has no effect");
      }
      cover_if(discarded, "discarded");
      cover_if(served, "served");
    }
  }

  static void cover_if(bool happened, const char* event) {
    if (happened) {
      cover(event);
    }
  }

  // Answers, episodes and compactions agree once the callers have returned and the worker has
  // stopped. For scenes in which nobody but the requesters asks.
  void check_accounts() {
    const auto s = worker->snapshot();
    std::uint64_t count[7] = {};
    for (int requester = 0; requester < Size::requesters; ++requester) {
      if (asked[requester]) {
        ++count[static_cast<int>(answers[requester])];
      }
    }
    check(s.queued == count[0], "the counter of `queued` agrees with the answers");
    check(s.coalesced == count[1], "the counter of `coalesced` agrees with the answers");
    check(s.rerun_pending == count[2], "the counter of `rerun_pending` agrees with the answers");
    check(s.rejected_shutting_down == count[5],
          "the counter of rejections agrees with the answers");
    check(s.rejected_removed == count[6], "the counter of removals agrees with the answers");
    check_quiet(s);
  }

  void check_quiet(const WorkerSnapshot& s) {
    check_laws(s);
    check(s.episodes_alive == 0 && s.queue_size == 0 && s.running == 0,
          "nothing is alive after the end");
    check(s.worker_threads == 0 && s.waiting_callers == 0, "nobody is left after the end");
    int started = 0;
    for (auto& each : compactions) {
      started += each.read();
    }
    check(s.compactions_started == static_cast<std::uint64_t>(started),
          "every started compaction was counted");
    check(s.compactions_started == s.outcomes.sum(), "every compaction has one outcome");
    check(s.stats.active_compactions == 0, "no compaction is active after the end");
    using Kind = CompactionOutcome::Kind;
    check(s.stats.total_compactions == s.outcomes[Kind::done] + s.outcomes[Kind::more_work],
          "compactions that did work are counted");
  }

  static void check_laws(const WorkerSnapshot& s) {
    check(s.episodes_opened == s.episodes_done + s.episodes_failed + s.episodes_cancelled +
                                   s.episodes_removed + s.episodes_discarded + s.episodes_alive,
          "episodes are conserved");
    check(s.episodes_opened == s.queued + s.rerun_pending + s.retries + s.probes,
          "every episode was opened by one answer, or a failure");
    check(s.compactions.size() == s.running, "every compaction that runs is named");
  }

  // For scenes in which no thread is refused.
  void start() { check(worker->start() == StartResult::started, "the worker starts"); }

  void check_complete(const ShutdownReport& report) {
    check(!report.refused && report.complete && report.still_running.empty(),
          "the shutdown is complete");
  }
};

}  // namespace kstone::model

#endif  // KSTONE_MODEL_WORKER_SCENE_H_
