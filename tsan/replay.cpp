// The rules by which a recorded run is judged; see trace.h.
//
// Words first: for each, all transitions in their order, each beginning where the one before it
// ended, each a step of the protocol. Then the holds of the mutex, in their order: each thread must
// record what the protocol says that comes next, and each step is taken on the protocol's worker.
// Here are the logs, and what threads do without the mutex.

#include <algorithm>
#include <utility>

#include "../protocol/invariants.h"
#include "replay_state.h"

namespace kstone::trace {
namespace {

const char* name(Act act) {
  constexpr const char* names[] = {
      "transition", "load",     "lock",         "unlock",       "notify",     "post",
      "sleep",      "wake",     "thread_start", "thread_begin", "thread_end", "join",
      "job_begin",  "job_end",  "scan_begin",   "scan_end",     "sink_begin", "sink_end",
      "call_begin", "call_end", "clock"};
  return names[static_cast<std::size_t>(act)];
}

std::string show(const Event& event) {
  const auto object = event.object == control_object ? "control" : std::to_string(event.object);
  auto text = std::string(name(event.act)) + " " + object;
  if (event.act == Act::transition || event.act == Act::load) {
    text +=
        " version " + std::to_string(event.version) + ": " + std::to_string(event.before) + " to ";
  } else if (event.version != 0) {
    text += " number " + std::to_string(event.version) + ", ";
  }
  return text + " " + std::to_string(event.after);
}

bool ended(const Thread& thread) {
  return thread.next == thread.log->events.size() && thread.frames.empty();
}

}  // namespace

Replay::Replay(const Setting& setting, const std::vector<const Log*>& logs)
    : setting_(setting),
      words_(setting.stripes),
      state_(static_cast<int>(setting.stripes)),
      delays_(setting) {
  state_.worker.enabled = setting.enabled;
  state_.worker.limit = setting.worker_threads;
  for (std::uint32_t id = 0; setting.all_removed && id < setting.stripes; ++id) {
    state_.stripes[id].word.remove();
    words_[id].begins_with(protocol::bits_of(state_.stripes[id].word));
  }
  for (const auto* log : logs) {
    add_thread(*log, "caller " + std::to_string(threads_.size()));
  }
}

Verdict Replay::run() {
  try {
    read_words();
    read_holds();
    for (std::uint64_t number = 1; number <= holders_.size(); ++number) {
      acting_ = holders_[number - 1];
      until_lock(*acting_);
      hold(*acting_, number);
    }
    for (auto& thread : threads_) {
      acting_ = thread.get();
      until_lock(*thread);
      require(ended(*thread), "the log ends in the middle");
    }
    acting_ = nullptr;
    check_end();
  } catch (const Illegal& found) {
    verdict_.illegal = found.text;
    if (acting_ != nullptr) {
      const auto& events = acting_->log->events;
      verdict_.illegal +=
          "; " + acting_->name + ", event " + std::to_string(acting_->next) +
          (acting_->next < events.size() ? ", " + show(events[acting_->next]) : ", the end");
    }
  }
  verdict_.transitions = control_.transitions().size();
  for (const auto& word : words_) {
    verdict_.transitions += word.transitions().size();
  }
  for (const auto& thread : threads_) {
    verdict_.events += thread->log->events.size();
  }
  verdict_.holds = holders_.size();
  return verdict_;
}

void Replay::add_thread(const Log& log, std::string name) {
  threads_.push_back(std::make_unique<Thread>());
  threads_.back()->log = &log;
  threads_.back()->name = name;
  by_log_[&log] = threads_.back().get();
  for (std::size_t i = 0; i < log.children.size(); ++i) {
    add_thread(*log.children[i], name + ", child " + std::to_string(i));
  }
}

Chain& Replay::chain(std::uint32_t object) {
  if (object == control_object) {
    return control_;
  }
  require(object < words_.size(), "a word that the worker does not have");
  return words_[object];
}

void Replay::read_words() {
  for (const auto& thread : threads_) {
    acting_ = thread.get();
    for (const auto& event : thread->log->events) {
      if (event.act == Act::transition) {
        chain(event.object).add(event);
      }
      ++acting_->next;
    }
    acting_->next = 0;
  }
  acting_ = nullptr;
  for (const auto& word : words_) {
    word.check();
  }
  control_.check();
  steps_.read(control_, setting_.thread_capacity, setting_.stripes);
}

void Replay::read_holds() {
  for (const auto& thread : threads_) {
    acting_ = thread.get();
    for (const auto& event : thread->log->events) {
      if (event.act == Act::lock) {
        require(event.version != 0, "a hold without a number");
        if (event.version > holders_.size()) {
          holders_.resize(event.version, nullptr);
        }
        require(holders_[event.version - 1] == nullptr,
                "two holds of the mutex have the same number");
        holders_[event.version - 1] = thread.get();
      }
      ++acting_->next;
    }
    acting_->next = 0;
  }
  acting_ = nullptr;
  require(std::find(holders_.begin(), holders_.end(), nullptr) == holders_.end(),
          "a hold of the mutex is missing");
}

// Reading the clock is no step, but the time is kept.
const Event* Replay::peek(Thread& thread) {
  const auto& events = thread.log->events;
  for (; thread.next < events.size() && events[thread.next].act == Act::clock; ++thread.next) {
    thread.time = events[thread.next].after;
  }
  return thread.next < thread.log->events.size() ? &thread.log->events[thread.next] : nullptr;
}

const Event& Replay::take(Thread& thread, Act act) {
  const auto* event = peek(thread);
  if (event == nullptr || event->act != act) {
    illegal(std::string("a ") + name(act) + " is due here");
  }
  ++thread.next;
  return *event;
}

const Event& Replay::transition(Thread& thread, std::uint32_t object, const char* otherwise) {
  const auto* next = peek(thread);
  require(next != nullptr && next->act == Act::transition && next->object == object, otherwise);
  const auto& event = take(thread, Act::transition);
  if (holding_) {
    chain(object).seen_by_holder(event.version);
  }
  return event;
}

std::uint64_t Replay::load(Thread& thread, std::uint32_t object) {
  const auto& event = take(thread, Act::load);
  require(event.object == object, "a load of another word than expected");
  require(chain(object).value(event.version) == event.after,
          "a load of a value that the word did not have then");
  if (holding_) {
    chain(object).seen_by_holder(event.version);
  }
  return event.after;
}

// With the mutex: requests may have come, the rest is as the last holder left it.
protocol::Stripe<std::uint64_t, bool>& Replay::see_word(std::uint32_t id, std::uint64_t bits) {
  auto& stripe = state_.stripes[id];
  const auto word = protocol::stripe_word_of(bits);
  require(word.under_way == stripe.word.under_way,
          "a word says otherwise whether its node is under way than it must");
  require(word.removed == stripe.word.removed,
          "a word says otherwise whether its stripe is removed than it must");
  require(word.running == stripe.word.running && word.closed == stripe.word.closed,
          "a word says otherwise whether its stripe runs, or is closed, than it must");
  stripe.word = word;
  return stripe;
}
protocol::Stripe<std::uint64_t, bool>& Replay::load_word(Thread& thread, std::uint32_t id) {
  return see_word(id, load(thread, id));
}
ControlWord Replay::load_control(Thread& thread) {
  return protocol::control_word_of(load(thread, control_object));
}

// A compare-exchange of the control word from `control`: the transition, or nothing and the newer
// value.
const Event* Replay::exchange(Thread& thread, ControlWord& control, Step step) {
  const auto expected = protocol::bits_of(control);
  const auto* event = peek(thread);
  if (event != nullptr && event->act == Act::load) {
    control = load_control(thread);
    require(protocol::bits_of(control) != expected,
            "a compare-exchange fails though the value is as expected");
    return nullptr;
  }
  const auto& done = transition(thread, control_object);
  require(done.before == expected,
          "a compare-exchange takes effect though the value is not as expected");
  require(steps_.step(done.version) == step,
          "the control word makes another transition than this thread wants");
  return &done;
}

// -- Without the mutex ----------------------------------------------------------------------------

void Replay::until_lock(Thread& thread) {
  for (const auto* event = peek(thread); event != nullptr && event->act != Act::lock;
       event = peek(thread)) {
    outside(thread, *event);
  }
}

void Replay::outside(Thread& thread, const Event& event) {
  if (of_call(thread, event) || of_engine(thread, event)) {
    return;
  }
  require(thread.frames.empty() && thread.role != Role::caller, "nobody does this here");
  require(thread.owed_tokens == 0, "a token was claimed and not posted");
  require(thread.owed_lines == 0, "a log line is missing");
  ++thread.next;
  own_step(thread, event);
}

// False if it is none of a call's.
bool Replay::of_call(Thread& thread, const Event& event) {
  auto* frame = thread.frames.empty() ? nullptr : &thread.frames.back();
  switch (event.act) {
    case Act::call_begin:
      require(frame == nullptr || frame->kind != Frame::Kind::call,
              "a call begins in the middle of another");
      require(thread.role == Role::caller || frame != nullptr,
              "a thread of the worker calls outside of any job, scan or sink");
      ++thread.next;
      thread.frames.push_back(
          Frame{.call = static_cast<Call>(event.detail), .argument = event.after});
      if (thread.frames.back().call == Call::queue_compaction) {
        request(thread, thread.frames.back());
      } else {
        refuse_at_once(thread.frames.back());
      }
      return true;
    case Act::call_end:
      require(frame != nullptr && frame->kind == Frame::Kind::call && frame->at == At::finished,
              "the call is not over yet");
      require(static_cast<Call>(event.detail) == frame->call, "another call ends than began");
      check_answer(thread, *frame, event.after);
      ++thread.next;
      thread.frames.pop_back();
      return true;
    case Act::post:
      post(thread);
      return true;
    case Act::join:
      require(frame != nullptr && frame->joins, "a thread is joined by one that must not");
      ++joins_;
      ++thread.next;
      return true;
    default:
      return false;
  }
}

// No such call takes the mutex.
void Replay::refuse_at_once(Frame& frame) const {
  const auto is_unknown = [this](std::uint64_t stripe) { return stripe >= setting_.stripes; };
  const auto refuse_if = [&frame](bool unknown, auto answer) {
    if (unknown) {
      frame.answer = static_cast<std::uint64_t>(answer);
      frame.at = At::finished;
    }
  };
  const StripeArgument argument(frame.argument);
  switch (frame.call) {
    case Call::wait_stripe:
      refuse_if(is_unknown(argument.stripe()), IdleResult::unknown_stripe);
      return;
    case Call::cancel:
      refuse_if(is_unknown(frame.argument), CancelReport::Result::unknown_stripe);
      return;
    case Call::cancel_within:
      refuse_if(is_unknown(argument.stripe()), CancelReport::Result::unknown_stripe);
      return;
    case Call::remove:
      refuse_if(is_unknown(argument.stripe()), RemoveResult::unknown_stripe);
      return;
    case Call::release:
      refuse_if(is_unknown(frame.argument), ReleaseResult::unknown_stripe);
      return;
    case Call::restore:
      refuse_if(is_unknown(frame.argument), RestoreResult::unknown_stripe);
      return;
    case Call::is_removed:
      refuse_if(is_unknown(frame.argument), false);
      return;
    case Call::pause: {
      const auto stripe = PauseArgument(frame.argument).stripe();
      refuse_if(stripe && is_unknown(*stripe), PauseResult::unknown_stripe);
      return;
    }
    case Call::set_max_concurrent:
      refuse_if(frame.argument == 0 || frame.argument > setting_.thread_capacity,
                ResizeResult::out_of_range);
      return;
    default:
      return;
  }
}

void Replay::post(Thread& thread) {
  require(thread.owed_tokens == take(thread, Act::post).after,
          "tokens are posted that nobody owes");
  tokens_ += std::exchange(thread.owed_tokens, 0);
}

// False if it is no end of the engine's code, nor the beginning of a sink, which anyone may call.
bool Replay::of_engine(Thread& thread, const Event& event) {
  const auto ends = [&](Frame::Kind kind, const char* otherwise) {
    require(!thread.frames.empty() && thread.frames.back().kind == kind, otherwise);
    thread.frames.pop_back();
    ++thread.next;
  };
  switch (event.act) {
    case Act::sink_begin:
      require(thread.owed_lines == 1, "a log line that nobody owes");
      thread.owed_lines = 0;
      ++thread.next;
      thread.frames.push_back(Frame{.kind = Frame::Kind::sink});
      return true;
    case Act::sink_end:
      ends(Frame::Kind::sink, "a log line ends that did not begin");
      return true;
    case Act::job_end:
      ends(Frame::Kind::job, "a job ends that did not begin");
      thread.outcome = static_cast<Kind>(event.after);
      thread.error = thread.log->texts.at(event.before);
      thread.phase = Phase::ran;
      thread.unwound = event.detail == 1;
      thread.lacks_resource = event.detail == 2;
      thread.owed_lines = setting_.has_sink ? 1 : 0;
      return true;
    case Act::scan_end:
      ends(Frame::Kind::scan, "a scan ends that did not begin");
      thread.phase = Phase::waits;
      thread.has_scanned = true;
      thread.owed_lines = event.after != 0 && setting_.has_sink ? 1 : 0;
      return true;
    default:
      return false;
  }
}

// A thread of the worker, between holds.
void Replay::own_step(Thread& thread, const Event& event) {
  switch (event.act) {
    case Act::thread_begin:
      require(thread.phase == Phase::outside, "a thread begins twice");
      thread.phase = Phase::begins;
      return;
    case Act::thread_end:
      require(thread.phase == Phase::left, "a thread ends that has not left");
      ++thread_ends_;
      return;
    case Act::sleep:
      require(thread.phase == Phase::sleeps, "a thread sleeps that has not said so");
      return;
    case Act::wake:
      require(thread.phase == Phase::sleeps, "a thread wakes that did not sleep");
      thread.phase = Phase::woke;
      state_.worker.wake();
      ++wakes_;
      return;
    case Act::job_begin:
      require(thread.phase == Phase::runs, "a job runs of a stripe that was not taken");
      require(event.object == thread.stripe, "another stripe is compacted than was taken");
      require(event.after == state_.stripes[thread.stripe].attempts,
              "the job is told another attempt than it is");
      require(event.detail == state_.stripes[thread.stripe].priority &&
                  event.before == state_.stripes[thread.stripe].reasons,
              "the job is told another priority, or other reasons, than its requests had");
      thread.frames.push_back(Frame{.kind = Frame::Kind::job});
      return;
    case Act::scan_begin:
      require(thread.phase == Phase::scans, "a scan that is not due");
      thread.frames.push_back(Frame{.kind = Frame::Kind::scan});
      return;
    default:
      illegal("a thread of the worker does not do this here");
  }
}

// A call's two steps: on the stripe's word, which alone decides the answer, and, if that claimed
// the stripe, on the control word. The stripe is not claimed if its node is under way.
void Replay::request(Thread& thread, Frame& frame) {
  const RequestArgument argument(frame.argument);
  const auto id = argument.stripe();
  frame.at = At::finished;
  if (id >= setting_.stripes || !setting_.enabled) {
    frame.answer =
        static_cast<std::uint64_t>(id >= setting_.stripes ? Submission::rejected_unknown_stripe
                                                          : Submission::rejected_disabled);
    return;
  }
  const auto options = argument.options();
  const bool plain = options == RequestOptions();
  const auto& event = plain ? transition(thread, id) : merge(thread, id);
  auto word = protocol::stripe_word_of(event.before);
  const auto before = word;
  frame.answer = word.answer();
  word.request({static_cast<std::uint64_t>(options.priority), options.reasons});
  require(event.after == protocol::bits_of(word), "a request that is not counted");
  using NodeKind = detail::Node::Kind;
  if (before.may_claim()) {
    push(thread, {id, plain ? NodeKind::stripe : NodeKind::stripe_with_options});
    return;
  }
  const bool raises = frame.answer == static_cast<std::uint64_t>(Submission::coalesced) &&
                      !before.running && before.priority() < word.priority();
  // The mark is not recorded: if it was set, the node of another call says what there is to say.
  if (raises && peek(thread) != nullptr && peek(thread)->act == Act::load) {
    push(thread, {id, NodeKind::raised});
  }
}

// The step of a request with options, which may be tried again.
const Event& Replay::merge(Thread& thread, std::uint32_t id) {
  for (auto seen = load(thread, id);;) {
    if (peek(thread) == nullptr || peek(thread)->act != Act::load) {
      const auto& event = transition(thread, id);
      require(event.before == seen, "a compare-exchange takes effect though the value is another");
      return event;
    }
    const auto newer = load(thread, id);
    require(newer != seen, "a compare-exchange fails though the value is as expected");
    seen = newer;
  }
}

void Replay::push(Thread& thread, detail::Node node) {
  require(peek(thread) != nullptr && peek(thread)->act == Act::load,
          "this call has claimed the stripe and does not push it");
  auto control = load_control(thread);
  while (control.may_push()) {
    if (const auto* done = exchange(thread, control, Step::push)) {
      require(steps_.pushed(done->version) == node.number(setting_.stripes),
              "another node is pushed than was requested");
      thread.owed_tokens = control.wakes() ? 1 : 0;
      return;
    }
  }
}

// -- Holds ----------------------------------------------------------------------------------------

void Replay::hold(Thread& thread, std::uint64_t number) {
  const auto& lock = take(thread, Act::lock);
  require(lock.version == number, "a hold out of order");
  require(thread.owed_tokens == 0, "a token was claimed and not posted");
  require(thread.owed_lines == 0, "a log line is missing");
  const auto waited_for = static_cast<Change>(lock.object);
  require(waited_for == thread.waits_for,
          "the mutex is taken by a thread that waits, or after a wait by one that did not");
  thread.waits_for = Change::none;
  in_time_ = lock.after != 0;
  require(in_time_ || waited_for != Change::none, "a thread that did not wait is late");
  holding_ = true;
  number_ = number;
  if (thread.frames.empty()) {
    if (thread.role == Role::worker) {
      work(thread);
    } else if (thread.role == Role::scan) {
      scan(thread);
    } else if (thread.role == Role::timekeeper) {
      keep_time(thread);
    } else {
      illegal("the mutex is taken outside of any call");
    }
  } else {
    require(thread.frames.back().kind == Frame::Kind::call,
            "the mutex is taken in the engine's code");
    call(thread, thread.frames.back());
  }
  holding_ = false;
  if (const char* sentence = protocol::broken_inside(state_)) {
    illegal(std::string("does not hold: ") + sentence);
  }
}

void Replay::unlock(Thread& thread, Change awaited) {
  const auto& event = take(thread, Act::unlock);
  require(event.version == number_, "the mutex is released by a thread that does not hold it");
  require(static_cast<Change>(event.object) == awaited, "another wait than expected");
  thread.waits_for = awaited;
}

void Replay::notify(Thread& thread, Change change, bool all) {
  const auto& event = take(thread, Act::notify);
  require(static_cast<Change>(event.object) == change && (event.after != 0) == all,
          "another notification than expected");
}

void Replay::check_end() const {
  require(destroyed_ && callers_.joined && state_.worker.closed, "the worker was not destroyed");
  require(std::all_of(state_.stripes.begin(), state_.stripes.end(),
                      [](const auto& stripe) { return stripe.opened() == stripe.ended(); }) &&
              state_.worker.running == 0 && state_.worker.queued == 0,
          "an episode is alive after the end");
  require(pauses_.empty(), "a pause outlives the worker");
  require(!delays_.next_due(), "something is delayed after the end");
  require(thread_ends_ == threads_started_, "a thread did not end");
  require(steps_.claims() + tokens_at_end_ == tokens_,
          "sleepers claimed and tokens posted are not as many");
  require(wakes_ == steps_.sleeps() && wakes_ <= tokens_, "a thread woke without a token");
}

Verdict replay(const Setting& setting, const std::vector<const Log*>& logs) {
  return Replay(setting, logs).run();
}

}  // namespace kstone::trace
