// SPDX-License-Identifier: Apache-2.0
#include "data/tokenizers/tokenizer_json.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "data/text_file.h"
#include "data/tokenizers/json_steps.h"
#include "runtime/check.h"

namespace trimtab {
namespace {

// Ids far beyond the largest vocabulary in use (some 260,000) would ask for absurd memory.
constexpr std::int64_t kMostPieces = 1 << 20;

nlohmann::json parse(const std::string& path, const std::string& bytes) {
  try {
    return nlohmann::json::parse(bytes);
  } catch (const nlohmann::json::exception& error) {
    fail("{}: damaged, or no JSON ({} bytes): {}", path, bytes.size(), error.what());
  }
}

// Puts a piece at its id; one that is there already has to be the same.
void place_piece(BpeVocabulary& vocabulary, const JsonValue& where, const std::string& piece,
                 std::int64_t id) {
  if (id < 0 || id >= kMostPieces)
    fail("{}: id {} of '{}' is outside [0, {})", where.place(), id, piece, kMostPieces);
  const auto index = static_cast<std::size_t>(id);
  if (index >= vocabulary.pieces.size()) vocabulary.pieces.resize(index + 1);
  if (!vocabulary.pieces[index].empty() && vocabulary.pieces[index] != piece)
    fail("{}: id {} is '{}' and '{}'", where.place(), id, vocabulary.pieces[index], piece);
  vocabulary.pieces[index] = piece;
}

std::pair<std::string, std::string> read_merge(const JsonValue& merge) {
  if (merge.is_list()) {
    const std::vector<JsonValue> parts = merge.list();
    if (parts.size() != 2) fail("{} should be two pieces, but has {}", merge.place(), parts.size());
    return {parts[0].text(), parts[1].text()};
  }
  const std::string& text = merge.text();
  const std::size_t blank = text.find(' ');
  if (blank == std::string::npos || text.find(' ', blank + 1) != std::string::npos)
    fail("{} should be two pieces with a blank between them, but is '{}'", merge.place(), text);
  return {text.substr(0, blank), text.substr(blank + 1)};
}

void refuse(const JsonValue& value, bool asked) {
  if (asked) fail_config("{} is not supported", value.place());
}

TokenId id_of_piece(const BpeVocabulary& vocabulary, const JsonValue& where) {
  const auto found = std::ranges::find(vocabulary.pieces, where.text());
  if (where.text().empty() || found == vocabulary.pieces.end())
    fail("{}: the vocabulary has no piece '{}'", where.place(), where.text());
  return static_cast<TokenId>(found - vocabulary.pieces.begin());
}

// Returns how many pieces it has, gaps between their ids left out.
std::int64_t read_model(const JsonValue& model, BpeVocabulary& vocabulary) {
  if (model.has("type") && model.at("type").text() != "BPE")
    fail_config(
        "{}: a model of type {} is not supported, only BPE{}", model.file(), model.at("type").text(),
        model.at("type").text() == "Unigram" ? "; name the SentencePiece model (spiece.model) instead" : "");
  refuse(model.at("dropout"), model.has("dropout"));
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"})
    refuse(model.at(name), model.has(name) && !model.at(name).text().empty());
  std::int64_t pieces = 0;
  model.at("vocab").for_each_member([&](const std::string& piece, const JsonValue& id) {
    place_piece(vocabulary, id, piece, id.number());
    ++pieces;
  });
  for (const JsonValue& merge : model.at("merges").list()) vocabulary.merges.push_back(read_merge(merge));
  vocabulary.byte_fallback = model.at("byte_fallback").flag_or(false);
  vocabulary.fuse_unknown = model.at("fuse_unk").flag_or(false);
  vocabulary.ignore_merges = model.at("ignore_merges").flag_or(false);
  if (model.has("unk_token")) vocabulary.unknown = id_of_piece(vocabulary, model.at("unk_token"));
  return pieces;
}

// `tokenizers` does not read the ids of added tokens: one that is a piece has the piece's, and the others are
// numbered from the number of pieces on. Where the file says otherwise, the two would disagree.
class AddedIds {
 public:
  AddedIds(const BpeVocabulary& vocabulary, std::int64_t pieces) : next_(pieces) {
    for (std::size_t id = 0; id < vocabulary.pieces.size(); ++id)
      ids_.emplace(vocabulary.pieces[id], static_cast<std::int64_t>(id));
  }
  void check(const JsonValue& where, const std::string& text, std::int64_t id) {
    const auto [found, is_new] = ids_.emplace(text, next_);
    if (id != found->second)
      fail(
          "{}: the id of '{}' is {}, but tokenizers makes it {}, {}; write that, if the model was trained so",
          where.place(), text, id, found->second,
          is_new ? "the next one that is free" : "which it has already");
    next_ = std::max(next_, id + 1);
  }

 private:
  std::unordered_map<std::string, std::int64_t> ids_;
  std::int64_t next_;
};

AddedToken read_added_token(const JsonValue& entry, std::int64_t id, AddedIds& ids,
                            BpeVocabulary& vocabulary) {
  AddedToken token;
  token.text = entry.at("content").text();
  if (token.text.empty()) fail("{} is empty", entry.at("content").place());
  place_piece(vocabulary, entry, token.text, id);
  ids.check(entry, token.text, id);
  token.id = static_cast<TokenId>(id);
  token.special = entry.at("special").flag_or(false);
  token.strip_left = entry.at("lstrip").flag_or(false);
  token.strip_right = entry.at("rstrip").flag_or(false);
  token.normalized = entry.at("normalized").flag_or(!token.special);
  refuse(entry.at("single_word"), entry.at("single_word").flag_or(false));
  return token;
}

std::int64_t id_of_name(const std::string& name, const JsonValue& where) {
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size())
    fail("{}: '{}' should be the id of a token", where.place(), name);
  return id;
}

// What tokenizer_config.json says of an added token counts more than what tokenizer.json says, as in
// transformers.
void read_added(const JsonValue& file, const JsonValue& config, std::int64_t pieces,
                BpeVocabulary& vocabulary) {
  AddedIds ids(vocabulary, pieces);
  std::map<std::int64_t, AddedToken> tokens;  // by id, which are one for each text
  const auto add = [&](const JsonValue& entry, std::int64_t id) {
    tokens.insert_or_assign(id, read_added_token(entry, id, ids, vocabulary));
  };
  if (file.has("added_tokens"))
    for (const JsonValue& entry : file.at("added_tokens").list()) add(entry, entry.at("id").number());
  std::map<std::int64_t, JsonValue> of_config;  // new ones are numbered in the order of their ids
  if (config.has("added_tokens_decoder"))
    config.at("added_tokens_decoder").for_each_member([&](const std::string& id, const JsonValue& entry) {
      of_config.emplace(id_of_name(id, entry), entry);
    });
  for (const auto& [id, entry] : of_config) add(entry, id);
  for (auto& [id, token] : tokens) vocabulary.added.push_back(std::move(token));
}

// "eos_token": "</s>", or {"content": "</s>", ...}, or nothing. It is a special token, also where it is not
// among the added ones.
std::optional<TokenId> named_token(const JsonValue& token, BpeVocabulary& vocabulary) {
  if (token.is_null()) return std::nullopt;
  const JsonValue name = token.is_text() ? token : token.at("content");
  const TokenId id = id_of_piece(vocabulary, name);
  if (std::ranges::find(vocabulary.added, name.text(), &AddedToken::text) == vocabulary.added.end())
    vocabulary.added.push_back({.text = name.text(), .id = id, .special = true});
  return id;
}

void read_names(const JsonValue& config, BpeVocabulary& vocabulary) {
  vocabulary.eos = named_token(config.at("eos_token"), vocabulary);
  vocabulary.bos = named_token(config.at("bos_token"), vocabulary);
  vocabulary.pad = named_token(config.at("pad_token"), vocabulary);
  vocabulary.unk = named_token(config.at("unk_token"), vocabulary);
}

void mark_added(BpeVocabulary& vocabulary) {
  vocabulary.types.assign(vocabulary.pieces.size(), PieceType::kNormal);
  for (const AddedToken& token : vocabulary.added)
    vocabulary.types[static_cast<std::size_t>(token.id)] =
        token.special ? PieceType::kControl : PieceType::kUserDefined;
}

}  // namespace

BpeVocabulary parse_tokenizer_json(const std::string& path, const std::string& bytes,
                                   const std::string& config_path, const std::string& config_bytes) {
  const nlohmann::json json = parse(path, bytes);
  const JsonValue file(json, path);
  if (config_bytes.empty())
    fail_config(
        "{}: tokenizer_config.json or special_tokens_map.json should lie beside it, and say which token is "
        "eos_token",
        path);
  const nlohmann::json config_json = parse(config_path, config_bytes);
  const JsonValue config(config_json, config_path);
  BpeVocabulary vocabulary;
  vocabulary.path = path;
  const std::int64_t pieces = read_model(file.at("model"), vocabulary);
  read_added(file, config, pieces, vocabulary);
  read_names(config, vocabulary);
  mark_added(vocabulary);
  read_normalizer(file.at("normalizer"), vocabulary);
  read_pre_tokenizer(file.at("pre_tokenizer"), vocabulary);
  read_decoder(file.at("decoder"), vocabulary);
  // As in transformers 5: beside a tokenizer.json, add_bos_token of the other file says nothing.
  const std::optional<TokenId> first = read_post_processor(file.at("post_processor"));
  vocabulary.adds_bos = first.has_value();
  if (first && first != vocabulary.bos)
    fail_config("{}: post_processor puts id {} in front of texts, but bos_token of {} is another", path,
                *first, config_path);
  return vocabulary;
}

BpeVocabulary read_tokenizer_json(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const std::string config = (folder / name).string();
    if (std::filesystem::exists(config))
      return parse_tokenizer_json(path, read_bytes(path), config, read_bytes(config));
  }
  return parse_tokenizer_json(path, read_bytes(path), "", "");
}

}  // namespace trimtab
