// Tells whoever compiles for C++17 or older what is missing, before anything else can break. Every
// public header includes it first.

#ifndef KSTONE_CXX20_H_
#define KSTONE_CXX20_H_

// Compared with the number of C++17: the one that g++ 10 has for C++20 is below 202002.
#if defined(_MSVC_LANG) ? _MSVC_LANG <= 201703L : __cplusplus <= 201703L
#error "kstone needs C++20: compile with -std=c++20, or set CXX_STANDARD 20 in CMake."
#endif

#endif  // KSTONE_CXX20_H_
