# Looks for all that the options need, so that whoever lacks something is told of it at once and in
# one line, and not of one package after the other by the folders that use them.

set(kstone_packages) # Debian's names of those that are missing
set(kstone_options) # which need them

# kstone_need(<found> <Debian's name> <option>...): what these options need was found, or not.
macro(kstone_need found debian)
  if(NOT ${found})
    list(APPEND kstone_packages ${debian})
    list(APPEND kstone_options ${ARGN})
  endif()
endmacro()

# kstone_need_package(<package> <Debian's name> <option>...): by find_package, if any of them is on.
macro(kstone_need_package package debian)
  set(kstone_users)
  foreach(option ${ARGN})
    if(${option})
      list(APPEND kstone_users ${option})
    endif()
  endforeach()
  if(kstone_users)
    find_package(${package} QUIET)
    kstone_need(${package}_FOUND ${debian} ${kstone_users})
  endif()
endmacro()

kstone_need_package(RocksDB librocksdb-dev KSTONE_BUILD_ROCKSDB KSTONE_BUILD_BENCH)
kstone_need_package(
  CLI11 libcli11-dev KSTONE_BUILD_TOOLS KSTONE_BUILD_MODEL KSTONE_BUILD_PROPTESTS KSTONE_BUILD_BENCH
)
kstone_need_package(
  nlohmann_json nlohmann-json3-dev KSTONE_BUILD_TESTS KSTONE_BUILD_TOOLS KSTONE_BUILD_MODEL
  KSTONE_BUILD_PROPTESTS KSTONE_BUILD_BENCH
)
kstone_need_package(GTest libgtest-dev KSTONE_BUILD_TESTS KSTONE_BUILD_PROPTESTS)
kstone_need_package(rapidcheck librapidcheck-dev KSTONE_BUILD_PROPTESTS)
kstone_need_package(leveldb libleveldb-dev KSTONE_BUILD_EXAMPLES KSTONE_BUILD_BENCH)
if(KSTONE_BUILD_TESTS AND KSTONE_BUILD_TOOLS)
  find_package(leveldb QUIET)
  kstone_need(leveldb_FOUND libleveldb-dev KSTONE_BUILD_TESTS)
endif()
kstone_need_package(benchmark libbenchmark-dev KSTONE_BUILD_BENCH)
kstone_need_package(Boost libboost-dev KSTONE_BUILD_BENCH)
if(KSTONE_BUILD_TOOLS)
  find_path(KSTONE_XXHASH_INCLUDE_DIR xxhash.h)
  find_library(KSTONE_XXHASH_LIBRARY xxhash)
  kstone_need(KSTONE_XXHASH_LIBRARY libxxhash-dev KSTONE_BUILD_TOOLS)
endif()
if(KSTONE_BUILD_MODEL)
  find_path(KSTONE_RELACY_INCLUDE_DIR relacy/relacy.hpp)
  kstone_need(KSTONE_RELACY_INCLUDE_DIR relacy-dev KSTONE_BUILD_MODEL)
endif()
if(KSTONE_BUILD_BENCH)
  find_package(TBB CONFIG QUIET)
  kstone_need(TBB_FOUND libtbb-dev KSTONE_BUILD_BENCH)
  find_path(KSTONE_MOODYCAMEL_INCLUDE_DIR blockingconcurrentqueue.h PATH_SUFFIXES concurrentqueue)
  kstone_need(KSTONE_MOODYCAMEL_INCLUDE_DIR libconcurrentqueue-dev KSTONE_BUILD_BENCH)
endif()

if(kstone_packages)
  list(REMOVE_DUPLICATES kstone_packages)
  list(REMOVE_DUPLICATES kstone_options)
  list(JOIN kstone_packages " " packages)
  list(TRANSFORM kstone_options REPLACE "(.+)" "-D\\1=OFF")
  list(JOIN kstone_options " " options)
  # It begins with a space, since CMake would break the line otherwise.
  string(CONCAT message
    " kstone: packages are missing; apt-get install ${packages} (as Debian calls them), "
                "or leave out what needs them: ${options}"
  )
  if(PROJECT_IS_TOP_LEVEL)
    string(APPEND message ", or build the library alone: cmake --preset library")
  endif()
  message(FATAL_ERROR "${message}")
endif()
