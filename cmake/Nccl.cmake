# NCCL between ranks with a GPU each, as the library trimtab_nccl (runtime/nccl_communicator.h); with TRIMTAB_CUDA only.
find_package(CUDAToolkit REQUIRED)
find_path(TRIMTAB_NCCL_INCLUDE nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_library(TRIMTAB_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT}/lib)
if(NOT TRIMTAB_NCCL_INCLUDE OR NOT TRIMTAB_NCCL_LIBRARY)
  message(FATAL_ERROR "TRIMTAB_CUDA needs NCCL: nccl.h and libnccl.so were not found; set TRIMTAB_NCCL_INCLUDE and "
                      "TRIMTAB_NCCL_LIBRARY")
endif()

add_library(trimtab_nccl STATIC "${CMAKE_SOURCE_DIR}/runtime/nccl_communicator.cc")
add_library(trimtab::nccl ALIAS trimtab_nccl)
target_include_directories(trimtab_nccl SYSTEM PRIVATE ${TRIMTAB_NCCL_INCLUDE})
target_link_libraries(trimtab_nccl PUBLIC trimtab::runtime PRIVATE CUDA::cudart ${TRIMTAB_NCCL_LIBRARY})
trimtab_strict(trimtab_nccl)
