// SPDX-License-Identifier: Apache-2.0
#include "runtime/foreign_keys.h"

#include <utility>

#include "runtime/nearest.h"

namespace trimtab {
namespace {

// Hugging Face (Trainer, PEFT), NeMo and Megatron, T5X and Gin, DeepSpeed, OpenPrompt.
constexpr std::pair<std::string_view, std::string_view> kForeign[] = {
    {"learning_rate", "optimizer.learning_rate"},
    {"base_learning_rate", "optimizer.learning_rate"},
    {"lr", "optimizer.learning_rate"},
    {"lr_scheduler_type", "optimizer.schedule"},
    {"lr_scheduler", "optimizer.schedule"},
    {"warmup_steps", "optimizer.warmup_steps"},
    {"num_warmup_steps", "optimizer.warmup_steps"},
    {"weight_decay", "optimizer.weight_decay"},
    {"max_grad_norm", "optimizer.clip_norm"},
    {"gradient_clip_val", "optimizer.clip_norm"},
    {"clip_grad", "optimizer.clip_norm"},
    {"optim", "optimizer.name"},
    {"max_steps", "train.steps"},
    {"train_steps", "train.steps"},
    {"train_iters", "train.steps"},
    {"num_train_steps", "train.steps"},
    {"max_train_steps", "train.steps"},
    {"num_train_epochs", "train.steps"},
    {"max_epochs", "train.steps"},
    {"per_device_train_batch_size", "train.batch"},
    {"train_batch_size", "train.batch"},
    {"global_batch_size", "train.batch"},
    {"batch_size", "train.batch"},
    {"micro_batch_size", "train.micro_batch_tokens"},
    {"gradient_accumulation_steps", "train.micro_batch_tokens"},
    {"train_micro_batch_size_per_gpu", "train.micro_batch_tokens"},
    {"random_seed", "train.seed"},
    {"seed", "train.seed"},
    {"eval_steps", "train.evaluate_every"},
    {"val_check_interval", "train.evaluate_every"},
    {"eval_period", "train.evaluate_every"},
    {"save_steps", "train.save_every"},
    {"save_interval", "train.save_every"},
    {"logging_steps", "train.log_every"},
    {"log_interval", "train.log_every"},
    {"dropout_rate", "train.dropout"},
    {"hidden_dropout", "train.dropout"},
    {"hidden_dropout_prob", "train.dropout"},
    {"output_dir", "output"},
    {"exp_dir", "output"},
    {"tensor_model_parallel_size", "mesh.tensor"},
    {"tensor_parallel_size", "mesh.tensor"},
    {"tp_size", "mesh.tensor"},
    {"tp", "mesh.tensor"},
    {"num_partitions", "mesh.tensor"},
    {"pipeline_model_parallel_size", "mesh.pipe"},
    {"pipeline_parallel_size", "mesh.pipe"},
    {"pp_size", "mesh.pipe"},
    {"pp", "mesh.pipe"},
    {"data_parallel_size", "mesh.data"},
    {"dp_size", "mesh.data"},
    {"dp", "mesh.data"},
    {"model_name_or_path", "model.weights"},
    {"pretrained_model_name_or_path", "model.weights"},
    {"language_model_path", "model.weights"},
    {"initial_checkpoint_path", "model.weights"},
    {"torch_dtype", "model.compute"},
    {"dtype", "model.compute"},
    {"precision", "model.compute"},
    {"bf16", "model.compute"},
    {"fp16", "model.compute"},
    {"peft_type", "method.name"},
    {"num_virtual_tokens", "method.length"},
    {"virtual_prompt_length", "method.length"},
    {"total_virtual_tokens", "method.length"},
    {"prompt_length", "method.length"},
    {"soft_token_num", "method.length"},
    {"prompt_tuning_init", "method.init"},
    {"prompt_tuning_init_text", "method.init_text"},
    {"lora_alpha", "method.alpha"},
    {"lora_r", "method.rank"},
    {"r", "method.rank"},
    {"target_modules", "method.targets"},
    {"task_name", "task.name"},
    {"dataset_name", "task.name"},
    {"mixture_or_task_name", "task.name"},
    {"data_dir", "task.path"},
    {"dataset_path", "task.path"},
    {"max_source_length", "task.max_input"},
    {"max_seq_length", "task.max_input"},
    {"encoder_seq_length", "task.max_input"},
    {"max_target_length", "task.max_target"},
    {"decoder_seq_length", "task.max_target"},
    {"generation_max_length", "task.max_target"},
};

}  // namespace

std::vector<std::string> keys_for_foreign(std::string_view key) {
  std::vector<std::string> out;
  for (const auto& [foreign, ours] : kForeign)
    if (edit_distance(key, foreign) == 0) out.emplace_back(ours);
  return out;
}

}  // namespace trimtab
