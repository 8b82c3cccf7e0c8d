// The worker as it is.

#include "execution.h"

namespace kstone::programs {
namespace {

const RegisteredPolicy<model::RelacySync> relacy("RelacySync");

}  // namespace
}  // namespace kstone::programs
