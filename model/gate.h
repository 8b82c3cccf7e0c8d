// What an engine checks itself with: the worker on modelled types, scenarios, suites and the
// command line (docs/gate.md).
//
// An engine that is a template over its `Sync` is instantiated with `RelacySync`; one that is a
// template over its worker, with `Worker`. Both then run under the explorer together with the
// worker's own source.

#ifndef KSTONE_MODEL_GATE_H_
#define KSTONE_MODEL_GATE_H_

#include "kstone/background_worker.h"
#include "kstone/background_worker_impl.h"
#include "runner.h"
#include "scenario.h"

namespace kstone::model {

using Worker = basic_background_worker<RelacySync>;
using Context = Worker::Context;
using StatsAtomic = Worker::StatsAtomic;

}  // namespace kstone::model

#endif  // KSTONE_MODEL_GATE_H_
