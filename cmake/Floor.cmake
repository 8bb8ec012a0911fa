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
  target_include_directories(trimtab_${name} PUBLIC "$<BUILD_INTERFACE:${root}>" "$<INSTALL_INTERFACE:include>")
  target_link_libraries(trimtab_${name} PUBLIC ${arg_LINKS})
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
