// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace trimtab {

// `git describe` of the sources of this program, "-dirty" behind it if they were changed; "unknown" without
// git. Written at build time (git_describe.sh).
extern const char* const kBuiltFrom;

}  // namespace trimtab
