// Policies that break their contract: for each, some program must fail.

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

const RegisteredPolicy<model::LosesTokens> loses_tokens("LosesTokens");
const RegisteredPolicy<model::LosesNotifications> loses_notifications("LosesNotifications");
const RegisteredPolicy<model::LocksWithoutOrder> locks_without_order("LocksWithoutOrder");
const RegisteredPolicy<model::OrdersNothing> orders_nothing("OrdersNothing");
const RegisteredPolicy<model::ForgetsWhatItCloses> forgets_what_it_closes("ForgetsWhatItCloses");
const RegisteredPolicy<model::JoinsNothing> joins_nothing("JoinsNothing");
const RegisteredPolicy<model::KnowsNoThread> knows_no_thread("KnowsNoThread");
const RegisteredPolicy<OverlooksMarks> overlooks_marks("OverlooksMarks");
const RegisteredPolicy<ClearsMarksWithoutOrder> clears_without_order("ClearsMarksWithoutOrder");

}  // namespace
}  // namespace kstone::programs
