# LibTorch from the PyPI wheel, linked straight to its CPU library: torch's own CMake files ask for a CUDA toolkit,
# which a CPU-only machine need not have. The wheel's CUDA library is loaded at run time where there is a device.
find_path(TRIMTAB_TORCH_INCLUDE ATen/ATen.h PATHS "${TRIMTAB_TORCH_ROOT}/torch/include" NO_DEFAULT_PATH)
find_library(TRIMTAB_TORCH_CPU torch_cpu PATHS "${TRIMTAB_TORCH_ROOT}/torch/lib" NO_DEFAULT_PATH)
find_library(TRIMTAB_TORCH_C10 c10 PATHS "${TRIMTAB_TORCH_ROOT}/torch/lib" NO_DEFAULT_PATH)
if(NOT TRIMTAB_TORCH_INCLUDE OR NOT TRIMTAB_TORCH_CPU OR NOT TRIMTAB_TORCH_C10)
  message(FATAL_ERROR "LibTorch is not in TRIMTAB_TORCH_ROOT=${TRIMTAB_TORCH_ROOT}: run launch/bootstrap, "
                      "or point TRIMTAB_TORCH_ROOT at a Python site-packages folder with torch 2.11")
endif()

add_library(trimtab_torch INTERFACE IMPORTED)
# The wheel's include folder also holds headers of fmt 12, which would be found before Debian's fmt 9 that we link. So
# the include root has links to LibTorch's own folders only.
set(torch_include_root "${CMAKE_BINARY_DIR}/torch_include")
file(MAKE_DIRECTORY "${torch_include_root}")
foreach(folder ATen c10 caffe2 torch)
  file(CREATE_LINK "${TRIMTAB_TORCH_INCLUDE}/${folder}" "${torch_include_root}/${folder}" SYMBOLIC)
endforeach()
target_include_directories(trimtab_torch SYSTEM INTERFACE "${torch_include_root}")
target_compile_options(trimtab_torch INTERFACE -fopenmp) # ATen's parallel_for is a header template over OpenMP
file(GLOB_RECURSE nvidia_libs "${TRIMTAB_TORCH_ROOT}/nvidia/*/lib/libcupti.so.*" "${TRIMTAB_TORCH_ROOT}/nvidia/*/lib/libcudart.so.*")
foreach(lib ${nvidia_libs})
  get_filename_component(dir "${lib}" DIRECTORY)
  list(APPEND nvidia_dirs "${dir}")
endforeach()
list(REMOVE_DUPLICATES nvidia_dirs)
target_link_libraries(trimtab_torch INTERFACE "${TRIMTAB_TORCH_CPU}" "${TRIMTAB_TORCH_C10}" gomp Threads::Threads)
get_filename_component(torch_lib_dir "${TRIMTAB_TORCH_CPU}" DIRECTORY)
foreach(dir ${nvidia_dirs})
  target_link_options(trimtab_torch INTERFACE "-Wl,-rpath-link,${dir}")
endforeach()
# libtorch_cpu.so finds cupti and cudart through its own rpath only if those wheels lie beside it, as bootstrap lays them.
list(APPEND CMAKE_BUILD_RPATH "${torch_lib_dir}" ${nvidia_dirs})
list(APPEND CMAKE_INSTALL_RPATH "${torch_lib_dir}" ${nvidia_dirs})
