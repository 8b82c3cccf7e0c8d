// Names for clang's thread-safety attributes; empty for other compilers.

#ifndef KSTONE_THREAD_ANNOTATIONS_H_
#define KSTONE_THREAD_ANNOTATIONS_H_

#if defined(__clang__)
#define KSTONE_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define KSTONE_THREAD_ANNOTATION(x)
#endif

#define KSTONE_CAPABILITY(name) KSTONE_THREAD_ANNOTATION(capability(name))
#define KSTONE_SCOPED_CAPABILITY KSTONE_THREAD_ANNOTATION(scoped_lockable)
#define KSTONE_GUARDED_BY(mutex) KSTONE_THREAD_ANNOTATION(guarded_by(mutex))
#define KSTONE_REQUIRES(...) KSTONE_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define KSTONE_ACQUIRE(...) KSTONE_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define KSTONE_RELEASE(...) KSTONE_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define KSTONE_EXCLUDES(...) KSTONE_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

#endif  // KSTONE_THREAD_ANNOTATIONS_H_
