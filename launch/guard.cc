// SPDX-License-Identifier: Apache-2.0
#include "launch/guard.h"

#include <c10/util/Exception.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>
#include <string>

#include "launch/job.h"
#include "launch/last_words.h"
#include "launch/launcher.h"
#include "runtime/check.h"
#include "runtime/log.h"
#include "runtime/mpi_session.h"

namespace trimtab {

namespace {

constexpr unsigned kLastLineSeconds = 10;

// This rank among those of its host.
Speaker speaker_here() {
  const LauncherPlace place = known_place();
  if (place.launcher.empty() || place.size == 1) return {};
  return {place.rank, environment()("PMIX_SERVER_TMPDIR").value_or("")};
}

int end(int code, const std::string& what) {
  say_once(what, speaker_here(), [&] {
    // One write a line: ranks share the stream.
    const std::string line = "error: " + rank_label() + what + "\n";
    std::fputs(line.c_str(), stderr);
  });
  // The log's disk may be what failed.
  std::signal(SIGALRM, SIG_DFL);
  ::alarm(kLastLineSeconds);
  TT_LOG(debug, "ends with {}: {}", code, what);
  ::alarm(0);
  MpiSession::end_job(code);
  return code;
}

// What was printed is lost where nothing can take it, as on a full disk.
void check_printed() {
  std::cout.flush();
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout)
    fail("standard output cannot be written: {}", std::strerror(errno));
}

}  // namespace

void fail_taken(const std::string& output, const std::string& holder) {
  throw TakenError(fmt::format("{}: is being run by {}", output, holder));
}

int guarded(const std::function<int()>& body) {
  try {
    const int code = body();
    check_printed();
    TT_LOG(debug, "ends with {}", code);
    return code;
  } catch (const ConfigError& error) {
    return end(kImpossible, error.what());
  } catch (const TakenError& error) {
    return end(kTaken, error.what());
  } catch (const c10::Error& error) {
    // Without the back trace, which says nothing to a user.
    return end(kFailure, std::string("LibTorch: ") + error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return end(kFailure, "out of memory: lower train.micro_batch_tokens, or use model.compute=bfloat16");
  } catch (const std::exception& error) {
    return end(kFailure, error.what());
  }
}

}  // namespace trimtab
