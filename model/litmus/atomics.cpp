// Message passing, store and load buffering, IRIW, coherence, release sequences, compare-exchange:
// what a load may read.

#include "litmus/row.h"

namespace kstone::model::litmus {

namespace {

template <std::memory_order store, std::memory_order load>
struct MessagePassing : Base<2> {
  void thread(int index) {
    if (index == 0) {
      x.store(1, relaxed);
      y.store(1, store);
    } else {
      r[0] = y.load(load);
      r[1] = x.load(relaxed);
    }
  }
  void after() { report({r[0], r[1]}); }
};

// Plain data published by a flag.
template <std::memory_order store, std::memory_order load>
struct Publication : Base<2> {
  void thread(int index) {
    if (index == 0) {
      data.write() = 1;
      y.store(1, store);
    } else if (y.load(load) == 1) {
      r[0] = data.read();
    }
  }
  void after() { report({r[0]}); }
  Sync::cell<int> data{0};
};

template <std::memory_order store, std::memory_order load>
struct StoreBuffering : Base<2> {
  void thread(int index) {
    (index == 0 ? x : y).store(1, store);
    r[index] = (index == 0 ? y : x).load(load);
  }
  void after() { report({r[0], r[1]}); }
};

struct LoadBuffering : Base<2> {
  void thread(int index) {
    r[index] = (index == 0 ? x : y).load(relaxed);
    (index == 0 ? y : x).store(1, relaxed);
  }
  void after() { report({r[0], r[1]}); }
};

template <std::memory_order store, std::memory_order load>
struct IndependentReads : Base<4> {
  void thread(int index) {
    switch (index) {
      case 0:
        x.store(1, store);
        break;
      case 1:
        y.store(1, store);
        break;
      case 2:
        r[0] = x.load(load);
        r[1] = y.load(load);
        break;
      default:
        r[2] = y.load(load);
        r[3] = x.load(load);
    }
  }
  // Only the question asked: may the two readers see the stores in opposite orders?
  void after() { report({r[0] == 1 && r[1] == 0 && r[2] == 1 && r[3] == 0 ? 1 : 0}); }
};

struct TwoPlusTwoWrites : Base<2> {
  void thread(int index) {
    (index == 0 ? x : y).store(1, relaxed);
    (index == 0 ? y : x).store(2, relaxed);
  }
  void after() { report({x.load(relaxed), y.load(relaxed)}); }
};

template <std::memory_order store, std::memory_order load>
struct WriteToReadCausality : Base<3> {
  void thread(int index) {
    if (index == 0) {
      x.store(1, relaxed);
    } else if (index == 1) {
      r[0] = x.load(relaxed);
      y.store(r[0], store);
    } else {
      r[1] = y.load(load);
      r[2] = x.load(relaxed);
    }
  }
  void after() { report({r[0] == 1 && r[1] == 1 && r[2] == 0 ? 1 : 0}); }
};

// The same with a read-modify-write in the middle: it hands on what it has acquired.
template <std::memory_order middle>
struct CumulativeChain : Base<3> {
  void thread(int index) {
    if (index == 0) {
      data.write() = 1;
      x.store(1, release);
    } else if (index == 1) {
      r[0] = x.load(middle == acq_rel ? acquire : relaxed);
      if (r[0] == 1) {
        y.store(1, release);
      }
    } else if (y.load(acquire) == 1) {
      r[1] = data.read();
    }
  }
  void after() { report({r[0], r[1]}); }
  Sync::cell<int> data{0};
};

struct ReadReadCoherence : Base<2> {
  void thread(int index) {
    if (index == 0) {
      x.store(1, relaxed);
      x.store(2, relaxed);
    } else {
      r[0] = x.load(relaxed);
      r[1] = x.load(relaxed);
    }
  }
  void after() { report({r[0], r[1]}); }
};

// A read-modify-write by another thread continues the release sequence.
template <std::memory_order middle, bool by_store>
struct ReleaseSequence : Base<3> {
  void thread(int index) {
    if (index == 0) {
      data.write() = 1;
      x.store(1, release);
    } else if (index == 1) {
      if (by_store) {
        if (x.load(relaxed) == 1) {
          x.store(2, middle);
        }
      } else {
        int expected = 1;
        x.compare_exchange_strong(expected, 2, middle, relaxed);
      }
    } else if (x.load(acquire) == 2) {
      r[0] = data.read();
    }
  }
  void after() { report({r[0]}); }
  Sync::cell<int> data{0};
};

// A later relaxed store by the releasing thread: C++11 continued the sequence, C++20 does not,
// Relacy still does.
struct SameThreadSequence : Base<2> {
  void thread(int index) {
    if (index == 0) {
      data.write() = 1;
      x.store(1, release);
      x.store(2, relaxed);
    } else if (x.load(acquire) == 2) {
      r[0] = data.read();
    }
  }
  void after() { report({r[0]}); }
  Sync::cell<int> data{0};
};

// A failing compare-exchange reads the newest store here; C++ lets it read an older one ("00"
// below).
struct StaleCompareExchange : Base<2> {
  void thread(int index) {
    if (index == 0) {
      x.store(1, relaxed);
      y.store(1, release);
    } else {
      r[0] = y.load(relaxed);
      int expected = 5;
      x.compare_exchange_strong(expected, 6, relaxed, relaxed);
      r[1] = expected;
    }
  }
  void after() { report({r[0], r[1]}); }
};

struct WeakCompareExchange : Base<1> {
  void thread(int) {
    int expected = 0;
    r[0] = x.compare_exchange_weak(expected, 1, acq_rel) ? 1 : 0;
    expected = r[0];
    r[1] = x.compare_exchange_weak(expected, 2, acq_rel) ? 1 : 0;
  }
  void after() { report({r[0], r[1]}); }
};

struct Increments : Base<2> {
  void thread(int index) { r[index] = x.fetch_add(1, relaxed); }
  void after() { report({r[0], r[1], x.load(relaxed)}); }
};

struct LostUpdate : Base<2> {
  void thread(int index) {
    r[index] = x.load(relaxed);
    x.store(r[index] + 1, relaxed);
  }
  void after() { report({x.load(relaxed)}); }
};

}  // namespace

std::vector<Row> memory_orders() {
  return {
      row<MessagePassing<relaxed, relaxed>>("MP relaxed",
                                            {"00 01 10 11", "00 01 10 11", "00 01 11"}),
      row<MessagePassing<release, acquire>>("MP release/acquire",
                                            {"00 01 11", "00 01 11", "00 01 11"}),
      row<MessagePassing<release, relaxed>>("MP release/relaxed",
                                            {"00 01 10 11", "00 01 10 11", "00 01 11"}),
      row<Publication<release, acquire>>("publication", {"0 1", "0 1", "0 1"}),
      row<Publication<relaxed, acquire>>("publication relaxed store",
                                         {"!data race", "!data race", "!data race"}),
      row<Publication<release, relaxed>>("publication relaxed load",
                                         {"!data race", "!data race", "!data race"}),
      row<StoreBuffering<seq_cst, seq_cst>>("SB seq_cst", {"01 10 11", "01 10", "01 10 11"}),
      row<StoreBuffering<release, acquire>>("SB release/acquire",
                                            {"00 01 10 11", "00 01 10", "01 10 11"}),
      row<LoadBuffering>("LB relaxed (C++ allows 11)", {"00 01 10", "00 01 10", "00 01 10"}),
      row<IndependentReads<seq_cst, seq_cst>>("IRIW seq_cst", {"0", "0", "0"}),
      row<IndependentReads<release, acquire>>("IRIW release/acquire", {"0 1", "0 1", "0"}),
      row<TwoPlusTwoWrites>("2+2W relaxed (C++ allows 11)", {"12 21 22", "12 21", "12 21 22"}),
      row<WriteToReadCausality<release, acquire>>("WRC release/acquire", {"0", "0", "0"}),
      row<WriteToReadCausality<relaxed, relaxed>>("WRC relaxed", {"0 1", "0 1", "0"}),
      row<CumulativeChain<acq_rel>>("WRC published", {"00 10 11", "00 10 11", "00 10 11"}),
      row<CumulativeChain<relaxed>>("WRC broken", {"!data race", "!data race", "!data race"}),
      row<ReadReadCoherence>("CoRR",
                             {"00 01 02 11 12 22", "00 01 02 11 12 22", "00 01 02 11 12 22"}),
  };
}

std::vector<Row> modifications() {
  return {
      row<ReleaseSequence<relaxed, false>>("release sequence through an RMW",
                                           {"0 1", "0 1", "0 1"}),
      row<ReleaseSequence<relaxed, true>>("release sequence broken by a store",
                                          {"!data race", "!data race", "!data race"}),
      row<SameThreadSequence>("release sequence, same thread (C++20: race)", {"0 1", "0 1", "0 1"}),
      row<StaleCompareExchange>("stale CAS (C++ allows 10)", {"00 01 11", "00 01 11", "00 01 11"}),
      row<WeakCompareExchange>("weak CAS, no failures", {"11", "11", "11"}),
      row<WeakCompareExchange>("weak CAS, one failure", {"01 10 11", "01 10 11", "01 10 11"},
                               {.weak_cas_failures = 1}),
      row<WeakCompareExchange>("weak CAS, two failures",
                               {"00 01 10 11", "00 01 10 11", "00 01 10 11"},
                               {.weak_cas_failures = 2}),
      row<Increments>("increments", {"012 102", "012 102", "012 102"}),
      row<LostUpdate>("lost update", {"1 2", "1 2", "1 2"}),
  };
}

}  // namespace kstone::model::litmus
