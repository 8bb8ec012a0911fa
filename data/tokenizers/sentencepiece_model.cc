// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/sentencepiece_model.h"

#include <sentencepiece_processor.h>

#include "runtime/check.h"
#include "runtime/sha256.h"

namespace trimtab {
namespace {

std::optional<TokenId> if_there(int id) { return id < 0 ? std::nullopt : std::optional<TokenId>(id); }

}  // namespace

SentencePieceModel::SentencePieceModel(std::string path, const std::string& bytes)
    : path_(std::move(path)),
      hash_(sha256_hex(bytes)),
      processor_(std::make_unique<sentencepiece::SentencePieceProcessor>()) {
  if (bytes.empty()) fail("{}: the vocabulary file is empty", path_);
  const auto status = processor_->LoadFromSerializedProto(bytes);
  if (!status.ok() || processor_->GetPieceSize() == 0)
    fail("{}: no SentencePiece model, or a damaged one ({} bytes, sha256 {}): {}", path_, bytes.size(), hash_,
         status.ToString());
}

SentencePieceModel::~SentencePieceModel() = default;
SentencePieceModel::SentencePieceModel(SentencePieceModel&&) noexcept = default;
SentencePieceModel& SentencePieceModel::operator=(SentencePieceModel&&) noexcept = default;

SentencePieceModel SentencePieceModel::without_prefix() const {
  // Serialised messages that stand behind each other are merged: normalizer_spec { add_dummy_prefix: false }.
  constexpr std::string_view kNoPrefix("\x1A\x02\x18\x00", 4);
  return {path_, std::string(processor_->serialized_model_proto()).append(kNoPrefix)};
}

void SentencePieceModel::append_ids(std::string_view text, std::vector<TokenId>& ids) const {
  std::vector<int> found;
  const auto status = processor_->Encode(text, &found);
  if (!status.ok()) fail("{}: cannot encode {} bytes of text: {}", path_, text.size(), status.ToString());
  ids.insert(ids.end(), found.begin(), found.end());
}

std::string SentencePieceModel::decode(const std::vector<int>& ids) const {
  std::string text;
  const auto status = processor_->Decode(ids, &text);
  if (!status.ok()) fail("{}: cannot decode {} ids: {}", path_, ids.size(), status.ToString());
  return text;
}

TokenId SentencePieceModel::pieces() const { return processor_->GetPieceSize(); }
const std::string& SentencePieceModel::piece(TokenId id) const { return processor_->IdToPiece(id); }
bool SentencePieceModel::is_control(TokenId id) const { return processor_->IsControl(id); }
std::optional<TokenId> SentencePieceModel::eos() const { return if_there(processor_->eos_id()); }
std::optional<TokenId> SentencePieceModel::bos() const { return if_there(processor_->bos_id()); }
std::optional<TokenId> SentencePieceModel::pad() const { return if_there(processor_->pad_id()); }
std::optional<TokenId> SentencePieceModel::unk() const { return if_there(processor_->unk_id()); }

}  // namespace trimtab
