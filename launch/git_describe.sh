#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a build is made from, as C++: git_describe.sh SOURCE OUT.cc. OUT is touched only when it says something else, so that
# a commit costs the compilation of one small file.
described=$(git -c safe.directory='*' --no-optional-locks -C "$1" describe --always --dirty 2>/dev/null) || described=unknown
text="#include \"launch/built_from.h\"

namespace trimtab {
const char* const kBuiltFrom = \"$described\";
}"
[ "$(cat "$2" 2>/dev/null)" = "$text" ] || printf '%s\n' "$text" >"$2"
