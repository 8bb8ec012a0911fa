// SPDX-License-Identifier: Apache-2.0
#include "experiments/build_id.h"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <span>

namespace trimtab {
namespace {

constexpr std::size_t kShown = 6;  // bytes: twelve digits

std::size_t aligned(std::size_t size) { return (size + 3) / 4 * 4; }

// A segment of notes: header, name and description each, the last two filled up to four bytes.
std::string mark_of(std::span<const std::byte> notes) {
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) head;
    std::memcpy(&head, notes.data(), sizeof head);
    const std::size_t name = sizeof head, text = name + aligned(head.n_namesz);
    const std::size_t end = text + aligned(head.n_descsz);
    if (end > notes.size()) return {};
    if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 &&
        std::memcmp(notes.data() + name, "GNU", 4) == 0) {
      std::string out;
      for (const std::byte byte : notes.subspan(text, std::min<std::size_t>(head.n_descsz, kShown)))
        out += fmt::format("{:02x}", static_cast<unsigned>(byte));
      return out;
    }
    notes = notes.subspan(end);
  }
  return {};
}

struct Search {
  const std::string& file_name;
  std::string mark;
};

// Called by the loader for each library until it is not 0.
int look(dl_phdr_info* library, std::size_t, void* search) {
  auto& wanted = *static_cast<Search*>(search);
  if (std::filesystem::path(library->dlpi_name).filename() != wanted.file_name) return 0;
  for (const ElfW(Phdr) & part : std::span(library->dlpi_phdr, library->dlpi_phnum)) {
    if (part.p_type != PT_NOTE || !wanted.mark.empty()) continue;
    const auto* begin = reinterpret_cast<const std::byte*>(library->dlpi_addr + part.p_vaddr);
    wanted.mark = mark_of({begin, part.p_memsz});
  }
  return 1;
}

}  // namespace

std::string build_id(const std::string& file_name) {
  Search search{file_name, {}};
  dl_iterate_phdr(look, &search);
  return search.mark;
}

}  // namespace trimtab
