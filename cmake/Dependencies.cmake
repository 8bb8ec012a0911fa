# Everything that is not ours, found in one place. Debian 12 package names are in launch/bootstrap.
# Installed with the package too, where it finds the same for whoever links trimtab. Targets of our own are IMPORTED, so
# that the package's export names them and leaves their absolute paths to this file.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ZLIB REQUIRED)
find_package(MPI REQUIRED COMPONENTS C)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
include("${CMAKE_CURRENT_LIST_DIR}/TorchCpu.cmake")

add_library(trimtab_hdf5 INTERFACE IMPORTED)
target_include_directories(trimtab_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(trimtab_hdf5 INTERFACE ${HDF5_C_LIBRARIES})

if(TRIMTAB_TESTS)
  find_package(GTest REQUIRED)
endif()
