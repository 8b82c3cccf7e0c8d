# W9: the demo's load on RocksDB, compacted by the worker and by RocksDB's own scheduling. Included by CMakeLists.txt.
if(TARGET kstone_compact_parts)
  find_package(CLI11 REQUIRED)
  find_package(nlohmann_json REQUIRED)
  add_executable(kstone_bench_rocksdb ${CMAKE_CURRENT_LIST_DIR}/rocksdb_load.cpp)
  target_link_libraries(
    kstone_bench_rocksdb PRIVATE kstone_compact_parts kstone_warnings CLI11::CLI11 nlohmann_json::nlohmann_json
  )
endif()
