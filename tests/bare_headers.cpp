#include "kstone/background_worker.h"

// A user without exceptions and RTTI links the library, whose own code has both.
kstone::Submission request(kstone::BackgroundWorker& worker) { return worker.queue_compaction(0); }
