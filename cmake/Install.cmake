# What `cmake --install` lays down: the program, one static library and the headers of each floor, and a CMake package
# (find_package(trimtab), targets trimtab::runtime ... trimtab::experiments). tests/package uses it from outside.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/trimtab")

foreach(floor runtime parallel models data experiments)
  install(TARGETS trimtab_${floor} EXPORT trimtabTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(DIRECTORY "${CMAKE_SOURCE_DIR}/${floor}" DESTINATION include/trimtab FILES_MATCHING PATTERN "*.h")
endforeach()
install(TARGETS trimtab RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

install(EXPORT trimtabTargets NAMESPACE trimtab:: DESTINATION "${package_dir}")
configure_package_config_file(cmake/trimtabConfig.cmake.in "${CMAKE_BINARY_DIR}/trimtabConfig.cmake"
                              INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/trimtabConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/trimtabConfig.cmake" "${CMAKE_BINARY_DIR}/trimtabConfigVersion.cmake"
              cmake/Dependencies.cmake cmake/TorchCpu.cmake
        DESTINATION "${package_dir}")
