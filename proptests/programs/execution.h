// A program as a scenario of the explorer. It checks what needs no order (conservation laws,
// complete reports, one compaction of a stripe at a time, nothing used after destruction, nobody
// waits for ever) and leaves a history for the rest.
//
// Of real time, only what a *begin* sees of earlier *ends* counts, so begins read a Ghost and ends
// add to it: begins are independent of each other, and so are ends.

#ifndef KSTONE_PROPTESTS_PROGRAMS_EXECUTION_H_
#define KSTONE_PROPTESTS_PROGRAMS_EXECUTION_H_

#include <optional>
#include <stdexcept>
#include <string>

#include "held_back.h"
#include "history.h"
#include "observed_sync.h"
#include "program.h"
#include "scene.h"

namespace kstone::programs {

// What is run, and the history that nothing explains, if it is the one to be shown. One exploration
// at a time.
inline const Program* program_ = nullptr;
inline const std::string* forbidden_ = nullptr;

template <class Size, class Sync = model::RelacySync>
struct Execution : model::Scene<Size, Sync> {
  using Base = model::Scene<Size, Sync>;
  using Context = typename Base::Context;
  using Moment = model::Moment;

  static constexpr int threads = Program::most_threads;

  struct Span {
    Moment begin, end;
  };

  // Each written by its own thread, and read after that has been joined.
  History history;
  Span call_spans[thread_limit][call_limit];
  Span compaction_spans[thread_limit][compaction_limit];
  model::Ghost<Counts> ended{Counts{}};   // calls of each thread
  typename Base::Worker* used = nullptr;  // for jobs that run while it is being destroyed, too
  HeldBack<typename Base::Worker, basic_pause_guard<Sync>> held_back;
  int scans = 0;         // of the scan's thread
  bool stopped = false;  // of the main thread: it saw a complete shutdown

  Execution() {
    for (auto& thread : history.threads) {
      thread.call_count = thread.compaction_count = 0;
    }
  }

  void before() {
    typename Base::Worker::Options options;
    options.all_removed = program_->all_removed && planted_ != Planted::all_removed_removes_nothing;
    if (!program_->scan.empty()) {
      options.scan = [this](typename Base::Worker&) {
        if (scans++ == 0) {
          run(program_->scan);
        }
      };
    }
    BackOff back_off = BackOff::off();
    if (program_->back_off) {
      back_off = BackOff();
      back_off.jitter = 0;
      back_off.quarantine_after = program_->quarantine ? 1 : 0;
    }
    this->make([this](Context& context) { return compact(context); }, std::move(options), back_off);
    used = this->worker.get();
    run(program_->before);
  }
  void thread(int index) {
    run(program_->threads[static_cast<std::size_t>(index)]);
    const auto others = program_->threads.size() - 1;
    // Who waits by now has no other call to make.
    if (program_->overtakes && static_cast<std::size_t>(index) == others &&
        used->snapshot().waiting_callers == others) {
      this->worker.reset();
    }
  }
  void after() {
    run(program_->after);
    held_back.kept.clear();
    model::check(!held_back.holds_any(), "who pauses resumes");
    this->worker.reset();
    finish();
    if (forbidden_ != nullptr) {
      std::size_t at = 0;
      bool same = true;
      encode(history, [&](char byte) {
        same = same && at < forbidden_->size() && (*forbidden_)[at++] == byte;
      });
      model::check(!same || at != forbidden_->size(),
                   "no order of the calls' steps explains this execution");
    }
    char text[thread_limit * sizeof(ThreadHistory) + 1];
    std::size_t length = 0;
    encode(history, [&](char byte) { text[length++] = byte; });
    text[length] = '\0';
    model::outcome(text);
  }

  void run(const std::vector<Call>& sequence) {
    for (const auto& each : sequence) {
      call(each);
    }
  }

  void call(const Call& what) {
    const int self = self_index();
    auto& thread = history.threads[self];
    const int index = thread.call_count;
    model::check(index < call_limit, "a thread makes more calls than a history holds");
    auto& record = thread.calls[index];
    auto& span = call_spans[self][index];
    record = CallRecord{};
    if (program_->real_time) {
      record.earlier = ended.step_read();
    }
    ++thread.call_count;
    span.begin = Moment::here();
    perform(what, record);
    span.end = Moment::here();
    if (program_->real_time) {
      ++ended.step_add().of[self];
    }
  }

  static Priority priority_of(const Call& what) {
    return planted_ == Planted::request_has_no_priority ? Priority::normal : what.priority;
  }

  void perform(const Call& what, CallRecord& record) {
    const Limit limit = what.limited ? Limit(std::chrono::seconds(1)) : Limit();
    auto& worker = *used;
    switch (what.operation) {
      case Operation::request:
        record.answer = static_cast<std::uint8_t>(
            worker.queue_compaction(what.stripe, {.priority = priority_of(what)}));
        break;
      case Operation::wait_idle:
        record.answer = static_cast<std::uint8_t>(seen(worker.wait_idle(limit)));
        break;
      case Operation::wait_stripe:
        record.answer = number_of(worker.wait_idle(what.stripe, limit));
        break;
      case Operation::shutdown:
        record.report = report_of(worker.shutdown(what.mode, limit));
        model::check(record.report.refused || record.report.complete || what.limited,
                     "a shutdown without limit is complete");
        stopped = stopped || (self_index() == 0 && record.report.complete);
        break;
      case Operation::start:
        record.answer = static_cast<std::uint8_t>(worker.start());
        break;
      case Operation::snapshot:
        note_snapshot(worker.snapshot(), record);
        break;
      case Operation::queue_size:
        record.answer = static_cast<std::uint8_t>(worker.queue_size());
        break;
      case Operation::is_running:
        record.answer = worker.is_running();
        break;
      case Operation::set_max:
        record.answer = static_cast<std::uint8_t>(planted_ == Planted::set_max_does_nothing &&
                                                          what.stripe <= Size::workers
                                                      ? ResizeResult::resized
                                                      : worker.set_max_concurrent(what.stripe));
        break;
      case Operation::retry_now:
        record.answer = static_cast<std::uint8_t>(planted_ == Planted::retry_now_does_nothing
                                                      ? worker.brief_snapshot().delayed
                                                      : worker.retry_now());
        break;
      case Operation::release:
        record.answer = static_cast<std::uint8_t>(planted_ == Planted::release_does_nothing &&
                                                          worker.brief_snapshot().quarantined != 0
                                                      ? ReleaseResult::released
                                                      : worker.release(what.stripe));
        break;
      default:
        record.answer = held_back.perform(worker, self_index(), what);
        break;
    }
  }
  static IdleResult seen(IdleResult result) {
    const bool awaits = planted_ != Planted::wait_awaits_nothing || result != IdleResult::paused;
    const bool tells = planted_ != Planted::wait_tells_of_no_delay || result != IdleResult::delayed;
    return awaits && tells ? result : IdleResult::idle;
  }

  static std::uint8_t set_of(const std::vector<CompactionRequest>& requests) {
    unsigned set = 0;
    for (const auto& each : requests) {
      set |= 1U << each.stripe_id;
    }
    return static_cast<std::uint8_t>(set);
  }

  Report report_of(const ShutdownReport& report) {
    if (report.complete) {
      this->check_complete(report);
    }
    return Report{report.refused,
                  report.complete,
                  static_cast<std::uint8_t>(report.mode),
                  set_of(report.discarded),
                  set_of(report.quarantined),
                  set_of(report.unfinished),
                  set_of(report.waiting),
                  set_of(report.still_running),
                  error_number(report.first_error)};
  }

  void note_snapshot(const WorkerSnapshot& s, CallRecord& record) {
    Base::check_laws(s);
    model::check(s.queue_size + s.running <= Size::stripes, "a stripe is queued or running once");
    if (stopped) {
      this->check_quiet(s);
    }
    const auto note = [&record](int number, std::uint64_t value) {
      record.numbers[number] = static_cast<std::uint8_t>(value);
    };
    note(queued, s.queued);
    note(coalesced, s.coalesced);
    note(rerun_pending, s.rerun_pending);
    note(rejected_unknown, s.rejected_unknown_stripe);
    note(rejected_shutting_down, s.rejected_shutting_down);
    note(rejected_removed, s.rejected_removed);
    note(ended_done, s.episodes_done);
    note(ended_failed, s.episodes_failed);
    note(ended_cancelled, s.episodes_cancelled);
    note(ended_removed, s.episodes_removed);
    note(ended_discarded, s.episodes_discarded);
    note(started, s.compactions_started);
    for (int kind = 0; kind < static_cast<int>(CompactionOutcome::kind_count); ++kind) {
      note(outcomes + kind, s.outcomes[static_cast<CompactionOutcome::Kind>(kind)]);
    }
    note(running, s.running);
    note(running_max, s.running_max);
    note(waiting, s.queue_size);
    note(max_concurrent, s.max_concurrent);
    note(held, s.held);
    note(delayed, s.delayed);
    note(retries, s.retries);
    note(quarantined, s.quarantined);
    note(probes, s.probes);
    note(removed, s.removed);
    note(first_error, error_number(s.first_error));
  }

  CompactionOutcome compact(Context& context) {
    const int self = self_index();
    const auto stripe = context.stripe_id();
    auto& thread = history.threads[self];
    const int index = thread.compaction_count;
    model::check(index < compaction_limit, "more compactions than a history holds");
    auto& record = thread.compactions[index];
    auto& span = compaction_spans[self][index];
    span.begin = Moment::here();
    ++thread.compaction_count;
    const int number = ++this->compactions[stripe].write();
    record = CompactionRecord{};
    record.stripe = static_cast<std::uint8_t>(stripe);
    record.attempt = static_cast<std::uint8_t>(context.attempt());
    record.priority = static_cast<std::uint8_t>(context.priority());
    record.number = static_cast<std::uint8_t>(number);
    const auto& script = program_->compaction(stripe, number);
    record.stopped = run_and_look(script, context);
    span.end = Moment::here();
    if (record.stopped != 0) {
      return CompactionOutcome::stopped();
    }
    const auto& end = ends[script.end];
    if (end.outcome == nullptr) {
      throw std::runtime_error(error_text(stripe, number));
    }
    return end.outcome(error_text(stripe, number));
  }

  // Whether it shall stop. What the callback has written is known once it is gone.
  bool run_and_look(const Compaction& script, Context& context) {
    if (script.look == Look::on_stop) {
      model::RelacySync::cell<bool> called{false};
      {
        const auto callback = context.on_stop(
            [&called] { called.write() = planted_ != Planted::on_stop_calls_nobody; });
        run(script.calls);
      }
      return called.read();
    }
    run(script.calls);
    return script.look == Look::wait_for_stop
               ? context.wait_for_stop(std::chrono::seconds(1)) &&
                     planted_ != Planted::wait_for_stop_sees_nothing
               : script.look == Look::stop_requested && context.stop_requested();
  }

  // Who knew of what, once everything has ended.
  void finish() {
    for (int self = 0; self < thread_limit; ++self) {
      auto& thread = history.threads[self];
      for (int i = 0; i < thread.call_count; ++i) {
        const auto& span = call_spans[self][i];
        for (int other = 0; other < thread_limit; ++other) {
          thread.calls[i].known.of[other] =
              count(call_spans[other], history.threads[other].call_count,
                    [&](const Span& each) { return each.end.happened_before(span.begin); });
          thread.calls[i].compactions.of[other] =
              count(compaction_spans[other], history.threads[other].compaction_count,
                    [&](const Span& each) { return each.end.happened_before(span.end); });
        }
      }
      for (int i = 0; i < thread.compaction_count; ++i) {
        const auto& span = compaction_spans[self][i];
        for (int other = 0; other < thread_limit; ++other) {
          thread.compactions[i].begun.of[other] =
              count(call_spans[other], history.threads[other].call_count,
                    [&](const Span& each) { return each.begin.happened_before(span.begin); });
        }
      }
    }
  }

  // Of the spans, which follow each other, those at the beginning for which it holds.
  template <class Holds>
  static std::uint8_t count(const Span* spans, int size, const Holds& holds) {
    int result = 0;
    while (result < size && holds(spans[result])) {
      ++result;
    }
    return static_cast<std::uint8_t>(result);
  }

  static int self_index() { return model::RelacySync::thread::current_id(); }
};

// Which `Sync` a program runs on. Registers itself.
struct Policy {
  std::string name;
  model::ScenarioTable (*table)(const Program&);

  static std::vector<Policy>& all() {
    static std::vector<Policy> policies;
    return policies;
  }
};

template <class Sync>
struct RegisteredPolicy {
  explicit RegisteredPolicy(const char* name) { Policy::all().push_back(Policy{name, table}); }

  static model::ScenarioTable table(const Program& program) {
    auto result = program.workers == 1   ? program.stripes == 1 ? of<1, 1>() : of<1, 2>()
                    : program.stripes == 1 ? of<2, 1>()
                                         : of<2, 2>();
    result.threads = static_cast<int>(program.threads.size());
    result.dynamic_threads += (program.scan.empty() ? 0 : 1) + (program.back_off ? 1 : 0);
    return result;
  }
  template <int workers, int stripes>
  static model::ScenarioTable of() {
    return model::scenario_table<Execution<model::Size<1, workers, stripes>, Observed<Sync>>>(
        "program");
  }
};

}  // namespace kstone::programs

#endif  // KSTONE_PROPTESTS_PROGRAMS_EXECUTION_H_
