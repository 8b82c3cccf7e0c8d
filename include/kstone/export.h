// KSTONE_EXPORT marks what the shared libraries export: they are compiled with hidden visibility.
//
// It means the same while kstone is compiled and while it is used, statically too. Were it empty in
// a program that hides its symbols, the code inlined there would have its own copy of what
// `ProductionSync::process` counts, and would not notice a fork.

#ifndef KSTONE_EXPORT_H_
#define KSTONE_EXPORT_H_

#if defined(__GNUC__)
#define KSTONE_EXPORT __attribute__((visibility("default")))
#else
#define KSTONE_EXPORT
#endif

#endif  // KSTONE_EXPORT_H_
