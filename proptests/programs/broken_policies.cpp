// Policies that break their contract: for each, some program must fail.

#include "execution.h"

namespace kstone::programs {
namespace {

const RegisteredPolicy<model::LosesTokens> loses_tokens("LosesTokens");
const RegisteredPolicy<model::LosesNotifications> loses_notifications("LosesNotifications");
const RegisteredPolicy<model::LocksWithoutOrder> locks_without_order("LocksWithoutOrder");
const RegisteredPolicy<model::OrdersNothing> orders_nothing("OrdersNothing");
const RegisteredPolicy<model::ForgetsWhatItCloses> forgets_what_it_closes("ForgetsWhatItCloses");
const RegisteredPolicy<model::JoinsNothing> joins_nothing("JoinsNothing");
const RegisteredPolicy<model::KnowsNoThread> knows_no_thread("KnowsNoThread");

}  // namespace
}  // namespace kstone::programs
