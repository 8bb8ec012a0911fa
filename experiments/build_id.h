// SPDX-License-Identifier: Apache-2.0
//
// Which build of a shared library is loaded. A library's version says what it should be; the mark that the
// linker leaves in it (ELF note NT_GNU_BUILD_ID, a hash of its contents) says what it is, so that two hosts
// that found different builds of one version can be told apart.
#pragma once

#include <string>

namespace trimtab {

// The first twelve hexadecimal digits of the mark of the loaded library of this file name, such as
// "libtorch_cpu.so"; empty where none of this name is loaded or it has no mark.
std::string build_id(const std::string& file_name);

}  // namespace trimtab
