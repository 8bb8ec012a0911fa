// SPDX-License-Identifier: Apache-2.0
#include "parallel/adafactor.h"

#include <algorithm>
#include <cmath>

#include "parallel/blocks.h"

namespace trimtab {
namespace {

constexpr const char* kUnfactored = "v";
constexpr const char* kRow = "v_row";
constexpr const char* kColumn = "v_col";

}  // namespace

double Adafactor::mixing_rate(std::int64_t step_index, double exponent) {
  return std::pow(static_cast<double>(step_index) + 1.0, -exponent);
}

double Adafactor::beta2(std::int64_t step_index, double exponent) {
  return 1.0 - mixing_rate(step_index, exponent);
}

struct Adafactor::Plan {
  Item* item = nullptr;
  float* whole = nullptr;   // v, or null when factored
  float* row = nullptr;     // v_row [rows]
  float* column = nullptr;  // v_col [columns]
  std::int64_t whole_rows = 0, whole_columns = 0;
  std::vector<float> row_factor, column_factor;
  double rate = 0.0;  // learning rate x parameter scale / clip
};

std::vector<Optimizer::StateShape> Adafactor::state_shapes(const Parameter& parameter) const {
  const at::Tensor value = parameter.value();
  const Shape whole = whole_shape(parameter);
  const auto along = [&](int dim) {
    return parameter.cut.dim == dim ? Cut{0, parameter.cut.size, parameter.cut.unit} : kWhole;
  };
  if (whole.size() == 2 && std::min(whole[0], whole[1]) >= config().min_dim_size_to_factor)
    return {{kColumn, {value.size(1)}, along(1)}, {kRow, {value.size(0)}, along(0)}};
  return {{kUnfactored, value.sizes().vec(), parameter.cut}};
}

void Adafactor::update(std::vector<Item>& items, const Update& update) {
  std::vector<Plan> plans(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    Plan& plan = plans[i];
    plan.item = &items[i];
    Slot& slot = *items[i].slot;
    if (const auto whole = slot.find(kUnfactored); whole != slot.end()) {
      plan.whole = whole->second.data_ptr<float>();
      continue;
    }
    plan.row = slot.at(kRow).data_ptr<float>();
    plan.column = slot.at(kColumn).data_ptr<float>();
    const Shape shape = whole_shape(*items[i].parameter);
    plan.whole_rows = shape[0];
    plan.whole_columns = shape[1];
  }
  update_moments(plans, update);
  find_row_means(plans);
  find_scales(plans, update);
  for (const Plan& plan : plans) apply(plan, update);
}

namespace {

struct MatrixSums {
  std::vector<double> of_rows, of_columns;
};

// Sums of (scale g)^2 + epsilon along the rows and the columns of a matrix.
MatrixSums sum_squares(const float* g, std::int64_t rows, std::int64_t columns, float scale, float epsilon) {
  const std::int64_t size = detail::block_rows(columns);
  const std::int64_t blocks = (rows + size - 1) / size;
  MatrixSums sums{std::vector<double>(static_cast<std::size_t>(rows)),
                  std::vector<double>(static_cast<std::size_t>(columns))};
  std::vector<double> partial(static_cast<std::size_t>(blocks * columns));
  detail::for_blocks(rows, size, [&](std::int64_t first, std::int64_t last) {
    double* column = partial.data() + first / size * columns;
    for (std::int64_t row = first; row < last; ++row) {
      const float* at = g + row * columns;
      const auto square = [=](std::int64_t i) {
        const float value = at[i] * scale;
        return value * value + epsilon;
      };
      for (std::int64_t i = 0; i < columns; ++i) column[i] += static_cast<double>(square(i));
      sums.of_rows[static_cast<std::size_t>(row)] = detail::sum_elements(0, columns, square);
    }
  });
  for (std::int64_t block = 0; block < blocks; ++block)
    for (std::int64_t i = 0; i < columns; ++i)
      sums.of_columns[static_cast<std::size_t>(i)] += partial[static_cast<std::size_t>(block * columns + i)];
  return sums;
}

void mix_means(float* moment, const std::vector<double>& sums, std::int64_t over, double mixing) {
  for (std::size_t i = 0; i < sums.size(); ++i)
    moment[i] = static_cast<float>((1.0 - mixing) * static_cast<double>(moment[i]) +
                                   mixing * (sums[i] / static_cast<double>(over)));
}

}  // namespace

void Adafactor::update_moments(std::vector<Plan>& plans, const Update& update) {
  const double mixing = mixing_rate(config().start_step + update.step_index, config().decay_exponent);
  const auto mix = static_cast<float>(mixing);
  const auto epsilon = static_cast<float>(config().epsilon1);
  const float scale = update.gradient_scale;
  std::vector<PartialSum> sums;
  for (Plan& plan : plans) {
    const float* g = plan.item->gradient;
    if (plan.whole != nullptr) {
      // The difference form: a mixing rate of 1e-5 is exact in float32, one minus it is not.
      float* v = plan.whole;
      detail::for_blocks(plan.item->count, detail::kBlockElements, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const float value = g[i] * scale;
          v[i] += mix * (value * value + epsilon - v[i]);
        }
      });
      continue;
    }
    MatrixSums matrix = sum_squares(g, plan.item->rows, plan.item->columns, scale, epsilon);
    sums.push_back({plan.item->parameter, SumOver::kColumns, std::move(matrix.of_rows)});
    sums.push_back({plan.item->parameter, SumOver::kRows, std::move(matrix.of_columns)});
  }
  slices().combine(sums);
  auto next = sums.begin();
  for (Plan& plan : plans) {
    if (plan.whole != nullptr) continue;
    mix_means(plan.row, (next++)->values, plan.whole_columns, mixing);
    mix_means(plan.column, (next++)->values, plan.whole_rows, mixing);
  }
}

// The factors that a factored parameter's gradient is multiplied by.
void Adafactor::find_row_means(std::vector<Plan>& plans) {
  std::vector<PartialSum> sums;
  for (const Plan& plan : plans)
    if (plan.whole == nullptr)
      sums.push_back(
          {plan.item->parameter,
           SumOver::kRowMeans,
           {detail::sum_elements(0, plan.item->rows, [&](std::int64_t i) { return plan.row[i]; })}});
  slices().combine(sums);
  auto next = sums.begin();
  for (Plan& plan : plans) {
    if (plan.whole != nullptr) continue;
    const double mean = (next++)->values[0] / static_cast<double>(plan.whole_rows);
    plan.row_factor.resize(static_cast<std::size_t>(plan.item->rows));
    plan.column_factor.resize(static_cast<std::size_t>(plan.item->columns));
    for (std::size_t i = 0; i < plan.row_factor.size(); ++i)
      plan.row_factor[i] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(plan.row[i]) / mean));
    for (std::size_t i = 0; i < plan.column_factor.size(); ++i)
      plan.column_factor[i] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(plan.column[i])));
  }
}

namespace {

double sum_of_squares(const float* values, std::int64_t count) {
  return detail::sum_blocks(count, detail::kBlockElements, [values](std::int64_t begin, std::int64_t end) {
    return detail::sum_elements(begin, end, [values](std::int64_t i) { return values[i] * values[i]; });
  });
}

// Sum of u^2, u = g / sqrt(v).
double sum_whole_update(const float* g, const float* v, std::int64_t count, float scale) {
  return detail::sum_blocks(count, detail::kBlockElements, [=](std::int64_t begin, std::int64_t end) {
    return detail::sum_elements(begin, end, [=](std::int64_t i) {
      const float u = g[i] * scale / std::sqrt(v[i]);
      return u * u;
    });
  });
}

// Sum of u^2, u = g x factor of the row x factor of the column.
double sum_factored_update(const float* g, const std::vector<float>& rows, const std::vector<float>& columns,
                           float scale) {
  const auto width = static_cast<std::int64_t>(columns.size());
  return detail::sum_blocks(static_cast<std::int64_t>(rows.size()), detail::block_rows(width),
                            [&](std::int64_t first, std::int64_t last) {
                              double sum = 0.0;
                              for (std::int64_t row = first; row < last; ++row) {
                                const float* at = g + row * width;
                                const float* factor = columns.data();
                                const float by = scale * rows[static_cast<std::size_t>(row)];
                                sum += detail::sum_elements(0, width, [=](std::int64_t i) {
                                  const float u = at[i] * by * factor[i];
                                  return u * u;
                                });
                              }
                              return sum;
                            });
}

}  // namespace

void Adafactor::find_scales(std::vector<Plan>& plans, const Update& update) {
  const bool scaling = config().parameter_scaling;
  std::vector<PartialSum> sums;
  for (const Plan& plan : plans) {
    const Item& item = *plan.item;
    const double updates =
        plan.whole != nullptr
            ? sum_whole_update(item.gradient, plan.whole, item.count, update.gradient_scale)
            : sum_factored_update(item.gradient, plan.row_factor, plan.column_factor, update.gradient_scale);
    sums.push_back({item.parameter, SumOver::kAll, {updates}});
    if (scaling) sums.back().values.push_back(sum_of_squares(item.value, item.count));
  }
  slices().combine(sums);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    StepStats::OfParameter& stats = *plans[i].item->stats;
    const auto count = static_cast<double>(std::max<std::int64_t>(1, plans[i].item->whole_count));
    stats.update_rms = std::sqrt(sums[i].values[0] / count);
    if (config().clip_threshold > 0.0) stats.clip = std::max(1.0, stats.update_rms / config().clip_threshold);
    const double scale = scaling ? std::max(config().epsilon2, std::sqrt(sums[i].values[1] / count)) : 1.0;
    plans[i].rate = update.learning_rate * scale / stats.clip;
  }
}

void Adafactor::apply(const Plan& plan, const Update& update) const {
  const auto keep = static_cast<float>(1.0 - config().weight_decay);
  const auto rate = static_cast<float>(plan.rate);
  const float scale = update.gradient_scale;
  float* p = plan.item->value;
  const float* g = plan.item->gradient;
  if (plan.whole != nullptr) {
    const float* v = plan.whole;
    detail::for_blocks(plan.item->count, detail::kBlockElements, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) p[i] = keep * p[i] - rate * (g[i] * scale / std::sqrt(v[i]));
    });
    return;
  }
  const std::int64_t width = plan.item->columns;
  detail::for_blocks(plan.item->rows, detail::block_rows(width), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      float* to = p + row * width;
      const float* from = g + row * width;
      const float* factor = plan.column_factor.data();
      const float by = scale * plan.row_factor[static_cast<std::size_t>(row)];
      for (std::int64_t i = 0; i < width; ++i) to[i] = keep * to[i] - rate * (from[i] * by * factor[i]);
    }
  });
}

}  // namespace trimtab
