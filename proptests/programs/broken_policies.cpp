// Policies that break their contract: for each, some program must fail.

#include <atomic>
#include <type_traits>

#include "execution.h"

namespace kstone::programs {
namespace {

using detail::StripeWord;

// A request does not see that the node of its stripe is under way.
struct OverlooksMarks : model::RelacySync {
  template <class T>
  struct atomic : model::RelacySync::atomic<T> {
    using Base = model::RelacySync::atomic<T>;
    using Base::Base;
    T fetch_add(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const T before = Base::fetch_add(value, order, file, line, function);
      return value == StripeWord::one_request ? before & ~T{StripeWord::under_way_bit} : before;
    }
  };
};

// Whoever clears the mark does not publish that it is done with the node.
struct ClearsMarksWithoutOrder : model::RelacySync {
  template <class T>
  struct atomic : model::RelacySync::atomic<T> {
    using Base = model::RelacySync::atomic<T>;
    using Base::Base;
    T fetch_sub(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const bool clears = value == StripeWord::under_way_bit;
      return Base::fetch_sub(value, clears ? std::memory_order_relaxed : order, file, line,
                             function);
    }
  };
};

// Whoever withdraws a stripe's requests does not learn of them.
struct ForgetsWhatItWithdraws : model::RelacySync {
  template <class T>
  struct atomic : model::RelacySync::atomic<T> {
    using Base = model::RelacySync::atomic<T>;
    using Base::Base;
    T exchange(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const T before = Base::exchange(value, order, file, line, function);
      const auto rest = static_cast<T>(StripeWord::one_request - 1);
      return order == std::memory_order_release ? before & rest : before;
    }
  };
};

// ... and does not publish that it is done with the node.
struct WithdrawsWithoutOrder : model::RelacySync {
  template <class T>
  struct atomic : model::RelacySync::atomic<T> {
    using Base = model::RelacySync::atomic<T>;
    using Base::Base;
    T exchange(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      const bool withdraws = order == std::memory_order_release;
      return Base::exchange(value, withdraws ? std::memory_order_relaxed : order, file, line,
                            function);
    }
  };
};

// A compaction that is asked to stop never learns of it; or the next one is asked, too.
template <bool lost>
struct LosesStops : model::RelacySync {
  template <class T>
  struct atomic : model::RelacySync::atomic<T> {
    using Base = model::RelacySync::atomic<T>;
    using Base::Base;
    void store(T value, std::memory_order order, KSTONE_MODEL_SITE) {
      if (!std::is_same_v<T, bool> || value != T{lost}) {
        Base::store(value, order, file, line, function);
      }
    }
  };
};

const RegisteredPolicy<model::LosesTokens> loses_tokens("LosesTokens");
const RegisteredPolicy<model::LosesNotifications> loses_notifications("LosesNotifications");
const RegisteredPolicy<model::LocksWithoutOrder> locks_without_order("LocksWithoutOrder");
const RegisteredPolicy<model::OrdersNothing> orders_nothing("OrdersNothing");
const RegisteredPolicy<model::ForgetsWhatItCloses> forgets_what_it_closes("ForgetsWhatItCloses");
const RegisteredPolicy<model::JoinsNothing> joins_nothing("JoinsNothing");
const RegisteredPolicy<model::KnowsNoThread> knows_no_thread("KnowsNoThread");
const RegisteredPolicy<OverlooksMarks> overlooks_marks("OverlooksMarks");
const RegisteredPolicy<ClearsMarksWithoutOrder> clears_without_order("ClearsMarksWithoutOrder");
const RegisteredPolicy<ForgetsWhatItWithdraws> forgets_withdrawn("ForgetsWhatItWithdraws");
const RegisteredPolicy<WithdrawsWithoutOrder> withdraws_without_order("WithdrawsWithoutOrder");
const RegisteredPolicy<LosesStops<true>> asks_nobody("AsksNobodyToStop");
const RegisteredPolicy<LosesStops<false>> keeps_asking("KeepsAskingToStop");

}  // namespace
}  // namespace kstone::programs
