# A floor is one static library whose include root holds a link to its own folder and to nothing else, so that an
# include against the arrows of docs/design.md does not compile.
#   trimtab_floor(NAME SOURCES a.cc b.cc LINKS floors-and-libraries)
function(trimtab_floor name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  set(root "${CMAKE_BINARY_DIR}/floors/${name}")
  file(MAKE_DIRECTORY "${root}")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${name}" "${root}/${name}" SYMBOLIC)
  add_library(trimtab_${name} STATIC ${arg_SOURCES})
  add_library(trimtab::${name} ALIAS trimtab_${name})
  target_include_directories(trimtab_${name} PUBLIC "$<BUILD_INTERFACE:${root}>" "$<INSTALL_INTERFACE:include/trimtab>")
  target_link_libraries(trimtab_${name} PUBLIC ${arg_LINKS})
  target_compile_features(trimtab_${name} PUBLIC cxx_std_20)
  trimtab_strict(trimtab_${name})
  set_target_properties(trimtab_${name} PROPERTIES EXPORT_NAME ${name})
endfunction()

# Warnings are errors on our own code only; libraries are included as SYSTEM.
function(trimtab_strict target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Werror)
  if(TRIMTAB_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${TRIMTAB_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${TRIMTAB_SANITIZE})
  endif()
endfunction()

# LibTorch's headers take most of the time that a file of ours takes to compile, so they are compiled once. A file must still
# include what it uses: clang-tidy reads it without this. Sources with optimisation flags of their own cannot share it, and
# those that include less of LibTorch compile sooner without it: what is in it is instantiated in every file that has it.
function(trimtab_share_torch_headers target)
  if(NOT TARGET trimtab_torch_headers)
    trimtab_precompiled(trimtab_torch_headers LINKS trimtab_torch
                        HEADERS <ATen/ATen.h> <torch/csrc/autograd/custom_function.h> <fmt/ranges.h>)
  endif()
  target_precompile_headers(${target} REUSE_FROM trimtab_torch_headers)
  get_target_property(sources ${target} SOURCES)
  foreach(source ${sources})
    file(STRINGS "${source}" includes LIMIT_COUNT 1 REGEX "#include <(ATen/ATen|torch/csrc/autograd/custom_function)\\.h>")
    if(NOT includes)
      set_source_files_properties("${source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()

# trimtab_precompiled(NAME OPTIONS options LINKS libraries HEADERS headers): a target that exists for its precompiled headers.
# Compilers take them only with the options that they were made with, those of libraries included.
function(trimtab_precompiled name)
  cmake_parse_arguments(arg "" "" "OPTIONS;LINKS;HEADERS" ${ARGN})
  file(CONFIGURE OUTPUT "${name}.cc" CONTENT "")
  add_library(${name} OBJECT "${CMAKE_CURRENT_BINARY_DIR}/${name}.cc")
  target_link_libraries(${name} PRIVATE trimtab::runtime ${arg_LINKS})
  target_compile_options(${name} PRIVATE ${arg_OPTIONS})
  trimtab_strict(${name})
  target_precompile_headers(${name} PRIVATE ${arg_HEADERS})
endfunction()
