# Installs the library and the components that were built, for find_package(kstone [COMPONENTS model rocksdb]).

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(kstone_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kstone)

function(kstone_install_component target export)
  install(
    TARGETS ${target}
    EXPORT ${export}
    FILE_SET HEADERS
  )
  install(
    EXPORT ${export}
    FILE ${export}.cmake
    NAMESPACE kstone::
    DESTINATION ${kstone_config_dir}
  )
endfunction()

kstone_install_component(kstone kstone-targets)
if(TARGET kstone_rocksdb)
  set_target_properties(kstone_rocksdb PROPERTIES EXPORT_NAME rocksdb)
  kstone_install_component(kstone_rocksdb kstone-rocksdb-targets)
endif()
if(TARGET kstone_model)
  set_target_properties(kstone_model PROPERTIES EXPORT_NAME model)
  kstone_install_component(kstone_model kstone-model-targets)
  set(scripts ${PROJECT_SOURCE_DIR}/scripts/verification)
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/kstone-model.cmake ${scripts}/gate_report.py ${scripts}/lanes.py ${scripts}/writers.py
          DESTINATION ${kstone_config_dir}
  )
endif()
if(TARGET kstone-compact)
  install(TARGETS kstone-compact)
endif()

configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/kstone-config.cmake.in ${PROJECT_BINARY_DIR}/kstone-config.cmake
  INSTALL_DESTINATION ${kstone_config_dir}
)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kstone-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kstone-config.cmake ${PROJECT_BINARY_DIR}/kstone-config-version.cmake
        DESTINATION ${kstone_config_dir}
)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/kstone)
