# Installs the library and the components that were built, for find_package(kstone [COMPONENTS model
# rocksdb]) and for pkg-config.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(kstone_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kstone)
set(kstone_data_dir ${CMAKE_INSTALL_DATADIR}/kstone)

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

# The paths of a pkg-config file count from the file itself: the prefix is known only when
# installing, and may be moved.
function(kstone_install_pkg_config name)
  if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
    set(prefix ${CMAKE_INSTALL_PREFIX})
  else()
    file(RELATIVE_PATH prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "(.*)/" "\${pcfiledir}/\\1" prefix ${prefix})
  endif()
  foreach(kind LIBDIR INCLUDEDIR)
    if(IS_ABSOLUTE ${CMAKE_INSTALL_${kind}})
      set(${kind} ${CMAKE_INSTALL_${kind}})
    else()
      set(${kind} "\${prefix}/${CMAKE_INSTALL_${kind}}")
    endif()
  endforeach()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

kstone_install_component(kstone kstone-targets)
kstone_install_pkg_config(kstone)
if(TARGET kstone_rocksdb)
  # Beside the library, also where the dynamic linker does not look by itself.
  set_target_properties(kstone_rocksdb PROPERTIES EXPORT_NAME rocksdb INSTALL_RPATH $ORIGIN)
  kstone_install_component(kstone_rocksdb kstone-rocksdb-targets)
  kstone_install_pkg_config(kstone-rocksdb)
endif()
if(TARGET kstone_model)
  set_target_properties(kstone_model PROPERTIES EXPORT_NAME model)
  kstone_install_component(kstone_model kstone-model-targets)
  set(scripts ${PROJECT_SOURCE_DIR}/scripts/verification)
  install(FILES ${CMAKE_CURRENT_LIST_DIR}/kstone-model.cmake DESTINATION ${kstone_config_dir})
  install(FILES ${scripts}/gate_report.py ${scripts}/lanes.py ${scripts}/writers.py
    DESTINATION ${kstone_data_dir})
endif()
if(TARGET kstone-compact)
  if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_BINDIR} AND NOT IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
    file(RELATIVE_PATH libraries /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
    set_target_properties(kstone-compact PROPERTIES INSTALL_RPATH $ORIGIN/${libraries})
  endif()
  install(TARGETS kstone-compact)
endif()

configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/kstone-config.cmake.in ${PROJECT_BINARY_DIR}/kstone-config.cmake
  INSTALL_DESTINATION ${kstone_config_dir}
  PATH_VARS kstone_data_dir
)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kstone-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kstone-config.cmake
  ${PROJECT_BINARY_DIR}/kstone-config-version.cmake
        DESTINATION ${kstone_config_dir}
)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/kstone)
