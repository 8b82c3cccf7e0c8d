// The worker's two kinds of atomic word as values, with every step that is made on them: `may_x`
// says whether x is possible, `x` what it makes of the word.
//
// Written for numbers that may be a solver's terms: a `Number` is made from an int, added,
// subtracted and compared; a `Bool` is what comparing gives, with `!`, `&&` and `||`; `choose` is
// the only branch. A type that is no built-in one brings a `choose` of its own in its namespace.
//
// Thread safety: values.

#ifndef KSTONE_PROTOCOL_WORDS_H_
#define KSTONE_PROTOCOL_WORDS_H_

#include "kstone/compaction_types.h"
#include "kstone/request_options.h"

namespace kstone::protocol {

template <class Value>
constexpr Value choose(bool condition, const Value& then, const Value& otherwise) {
  return condition ? then : otherwise;
}

template <class Number, class Bool>
constexpr Number one_if(const Bool& condition) {
  return choose(condition, Number(1), Number(0));
}

// An enumerator as a number, so that which one it is may depend on the state.
template <class Number, class Enumerator>
constexpr Number number_of(Enumerator enumerator) {
  return Number(static_cast<int>(enumerator));
}

// Reasons of two requests, together: as bits, where they are numbers.
template <class Number>
constexpr Number unite(const Number& a, const Number& b) {
  return a | b;
}

template <class Number>
constexpr Number larger(const Number& a, const Number& b) {
  return choose(a < b, b, a);
}

// What a request says beside its stripe: a priority, by number, and reasons.
template <class Number>
struct Options {
  Number priority = number_of<Number>(Priority::normal);
  Number reasons{0};
};

// The word of a stripe.
template <class Number, class Bool>
struct StripeWord {
  Number requests{0};  // since a thread took the stripe; once closed, rejected ones
  Bool running{false};
  Bool closed{false};
  Bool under_way{false};  // taken over before its node came out of the inbox
  Bool removed{false};    // its requests are rejected ones
  Number low{0};          // requests that are of low priority
  Bool high{false};       // one of them is of high priority
  Number reasons{0};      // of all

  // Of a request, by the word alone: a Submission.
  Number answer() const {
    const auto is = [](Submission answer) { return number_of<Number>(answer); };
    const Number open = choose(running, is(Submission::rerun_pending), is(Submission::queued));
    return choose(closed, is(Submission::rejected_shutting_down),
                  choose(removed, is(Submission::rejected_removed),
                         choose(requests != Number(0), is(Submission::coalesced), open)));
  }
  // ... and of one that is told `queued`: whether it pushes the stripe.
  Bool may_claim() const { return wants() && !running && !under_way && requests == Number(0); }
  void request() { requests = requests + Number(1); }
  void request(const Options<Number>& options) {
    const auto is = [&](Priority priority) {
      return wants() && options.priority == number_of<Number>(priority);
    };
    low = low + one_if<Number>(is(Priority::low));
    high = high || is(Priority::high);
    reasons = choose(wants(), unite(reasons, options.reasons), reasons);
    request();
  }
  // Of those that there are.
  Number priority() const {
    const auto is = [](Priority priority) { return number_of<Number>(priority); };
    return choose(
        high, is(Priority::high),
        choose(low != Number(0) && low == requests, is(Priority::low), is(Priority::normal)));
  }
  Bool wants() const { return !closed && !removed; }

  Bool may_mark() const { return !closed && !running && !under_way && requests != Number(0); }
  void mark() { under_way = Bool(true); }
  void clear_mark_if(const Bool& condition) { under_way = under_way && !condition; }

  // The requests are taken out: their episode ends at once. A word that rejects them has none.
  void withdraw() { take_if(wants()); }
  void remove() { *this = {Number(0), running, closed, under_way, Bool(true)}; }
  void restore() { *this = {Number(0), running, closed, under_way, Bool(false)}; }

  // A closed word stays as it is: what is compacted then was taken over when it closed.
  Bool may_take() const { return closed || (!running && requests != Number(0)); }
  void take() {
    take_if(!closed);
    running = !closed;
  }

  // The end of a compaction. The worker requests the rest of the work itself, in the same step, as
  // low or not; if others asked too, theirs is enough, and it takes its own back.
  Bool may_release() const { return closed || running; }
  void release(const Bool& more_work, const Bool& as_low) {
    requests = requests + one_if<Number>(!closed && more_work);
    low = low + one_if<Number>(!closed && more_work && as_low);
    running = Bool(false);
  }
  Bool may_take_back() const { return !closed && Number(1) < requests; }
  void take_back_if(const Bool& condition, const Bool& as_low) {
    requests = requests - one_if<Number>(condition);
    low = low - one_if<Number>(condition && as_low);
  }

  void close() { *this = {Number(0), Bool(false), Bool(true), Bool(false), removed}; }

 private:
  void take_if(const Bool& condition) {
    requests = choose(condition, Number(0), requests);
    low = choose(condition, Number(0), low);
    high = high && !condition;
    reasons = choose(condition, Number(0), reasons);
  }
};

// The control word: the inbox, and who sleeps.
template <class Number, class Bool>
struct ControlWord {
  Number newest{0};  // node of the inbox, plus one; 0 if it is empty
  Number length{0};  // of the inbox, in stripes
  Number sleepers{0};
  Bool closed{false};

  // Whoever pushes while somebody sleeps claims one sleeper in the same step.
  Bool wakes() const { return sleepers != Number(0); }
  Bool may_push() const { return !closed; }
  void push(const Number& node, const Bool& brings_stripe) {
    newest = node + Number(1);
    length = length + one_if<Number>(brings_stripe);
    sleepers = sleepers - one_if<Number>(wakes());
  }

  Bool is_empty() const { return newest == Number(0); }
  Bool may_take_inbox() const { return !closed && !is_empty(); }
  // The first that was pushed, or all.
  void take_oldest(const Bool& last, const Bool& brings_stripe) {
    newest = choose(last, Number(0), newest);
    length = length - one_if<Number>(brings_stripe);
  }
  void take_inbox() { newest = length = Number(0); }

  // Only with an empty inbox: no push falls between a thread's last look and its sleep.
  Bool may_add_sleeper() const { return !closed && is_empty(); }
  void add_sleeper() { sleepers = sleepers + Number(1); }

  Bool may_claim_sleeper() const { return !closed && wakes(); }
  void claim_sleeper() { sleepers = sleepers - Number(1); }

  Bool may_close() const { return !closed && is_empty(); }
  void close() { *this = {Number(0), Number(0), Number(0), Bool(true)}; }
};

}  // namespace kstone::protocol

#endif  // KSTONE_PROTOCOL_WORDS_H_
