# Our attention kernel for GPUs, as the library trimtab_attention_cuda (models/ops/attention_cuda.h); with TRIMTAB_CUDA only.
# Code for the architectures of data centres, and of the newest as PTX for those to come.
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
endif()
enable_language(CUDA)
add_library(trimtab_attention_cuda STATIC "${CMAKE_SOURCE_DIR}/models/ops/attention_cuda.cu")
add_library(trimtab::attention_cuda ALIAS trimtab_attention_cuda)
# CMake 3.25 knows no C++20 of nvcc's.
set_target_properties(trimtab_attention_cuda PROPERTIES CUDA_STANDARD 17 CUDA_RUNTIME_LIBRARY Shared)
# The include root of the floor, without its libraries: nvcc need not read LibTorch's headers.
target_include_directories(trimtab_attention_cuda PUBLIC "${CMAKE_BINARY_DIR}/floors/models")
target_link_libraries(trimtab_attention_cuda PUBLIC CUDA::cudart)
target_compile_options(trimtab_attention_cuda PRIVATE -Xcompiler=-Wall,-Wextra,-Werror -Werror=all-warnings)
