// The version of kstone, for the preprocessor. CMake reads it from here, so that no second number
// can differ from it.

#ifndef KSTONE_VERSION_H_
#define KSTONE_VERSION_H_

#define KSTONE_VERSION_MAJOR 0
#define KSTONE_VERSION_MINOR 1
#define KSTONE_VERSION_PATCH 0

// 10203 for 1.2.3.
#define KSTONE_VERSION \
  (KSTONE_VERSION_MAJOR * 10000 + KSTONE_VERSION_MINOR * 100 + KSTONE_VERSION_PATCH)

#define KSTONE_VERSION_STRING \
  KSTONE_VERSION_TEXT(KSTONE_VERSION_MAJOR, KSTONE_VERSION_MINOR, KSTONE_VERSION_PATCH)
#define KSTONE_VERSION_TEXT(major, minor, patch) KSTONE_VERSION_JOIN(major, minor, patch)
#define KSTONE_VERSION_JOIN(major, minor, patch) #major "." #minor "." #patch

#endif  // KSTONE_VERSION_H_
