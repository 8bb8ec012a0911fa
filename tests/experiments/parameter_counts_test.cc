// SPDX-License-Identifier: Apache-2.0
//
// The formulas against the paper's numbers, and against what the methods attach.
#include "experiments/parameter_counts.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <set>

#include "experiments/message_of.h"
#include "models/family.h"
#include "models/methods/tuning_method.h"
#include "runtime/world.h"

namespace trimtab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct PaperLine {
  const char* size;
  std::int64_t frozen;
  std::vector<std::int64_t> trained;  // for 1, 5, 20, 50, 100 and 150 positions
  std::vector<double> percent;
};

// Lester et al. 2021, table 4. Corrected misprints: small at 20 positions is printed as 10,420, large at 100
// as .01907; XL at 20 and 100 positions is cut and not rounded (.00143, .00718).
const std::vector<PaperLine>& table_4() {
  static const std::vector<PaperLine> lines = {
      {"small",
       76'961'152,
       {512, 2560, 10240, 25600, 51200, 76800},
       {.00067, .00333, .01330, .03325, .06648, .09969}},
      {"base",
       247'577'856,
       {768, 3840, 15360, 38400, 76800, 115200},
       {.00031, .00155, .00620, .01551, .03101, .04651}},
      {"large",
       783'150'080,
       {1024, 5120, 20480, 51200, 102400, 153600},
       {.00013, .00065, .00262, .00654, .01307, .01961}},
      {"xl",
       2'849'757'184,
       {2048, 10240, 40960, 102400, 204800, 307200},
       {.00007, .00036, .00144, .00359, .00719, .01078}},
      {"xxl",
       11'135'332'352,
       {4096, 20480, 81920, 204800, 409600, 614400},
       {.00004, .00018, .00074, .00184, .00368, .00552}},
  };
  return lines;
}

double percent(const char* method, const ModelSizes& model, std::int64_t value) {
  return counted_methods().find(method).share_percent(model, value);
}

TEST(ParameterCounts, Table4) {
  const std::vector<std::int64_t> lengths = {1, 5, 20, 50, 100, 150};
  const CountedMethod& prompt = counted_methods().find("prompt_tuning");
  for (const PaperLine& line : table_4()) {
    const ModelSizes model = sizes_of_model(line.size);
    EXPECT_EQ(model.parameters, line.frozen);
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      EXPECT_EQ(prompt.trained(model, lengths[i]), line.trained[i]) << line.size;
      EXPECT_EQ(prompt.total(model, lengths[i]), line.frozen + line.trained[i]) << line.size;
      EXPECT_NEAR(prompt.share_percent(model, lengths[i]), line.percent[i], 0.5e-5) << line.size;
    }
  }
}

// What section 4 says of figure 4.
TEST(ParameterCounts, ClaimsOfFigure4) {
  const double activations[] = {1.06, 0.74, 0.63, 0.35, 0.18};  // of 100 positions, of the frozen model
  std::size_t i = 0;
  for (const PaperLine& line : table_4()) {
    const ModelSizes model = sizes_of_model(line.size);
    EXPECT_EQ(percent("model_tuning", model, 0), 100);
    const double counted =
        static_cast<double>(counted_methods().find("prefix_activations").trained(model, 100));
    EXPECT_NEAR(100 * counted / static_cast<double>(line.frozen), activations[i++], 0.006) << line.size;
    EXPECT_LT(percent("warp", model, 100), 0.1);
    EXPECT_GT(percent("prefix_tuning_mlp", model, 100), percent("prefix_tuning", model, 100));
    if (line.frozen > 1'000'000'000) {
      EXPECT_LT(percent("prompt_tuning", model, 100), 0.01);
    }
  }
  EXPECT_NEAR(percent("warp", sizes_of_model("small"), 100), 0.068, 0.0005);
  EXPECT_NEAR(percent("warp", sizes_of_model("xxl"), 100), 0.0038, 0.00005);
  EXPECT_EQ(counted_methods().find("prompt_design").trained(sizes_of_model("xxl"), 2000), 2000);
}

// By hand from the shapes of T5 1.1 small: 8 + 8 layers of width 512, 24 attentions of width 384, d_ff 1024.
TEST(ParameterCounts, ByHand) {
  const ModelSizes model = sizes_of_model("small");
  EXPECT_EQ(model.layers, 16);
  EXPECT_EQ(model.attentions, std::vector<std::int64_t>(24, 384));
  EXPECT_EQ(counted_methods().find("lora").trained(model, 8), 48 * 8 * (512 + 384));
  EXPECT_EQ(counted_methods().find("ia3").trained(model, 0), 48 * 384 + 16 * 1024);
  EXPECT_EQ(counted_methods().find("prefix_tuning").trained(model, 10), 10 * 48 * 384);
  EXPECT_EQ(counted_methods().find("prefix_tuning_mlp").trained(model, 10),
            10 * 512 + 513 * 512 + 513 * 48 * 384);
}

// -- Against the methods themselves.

MethodContext context() {
  return {{"label"}, [](const std::string&) { return std::vector<std::int32_t>{3}; }, {{}}, 20, 1};
}

std::int64_t attached(const BaseModel& model, const CountedMethod& counted, std::int64_t value) {
  World world = solo_world();
  const auto stage =
      model.make_stage(world, {{0, static_cast<int>(model.cost_units({}).size())}, DType::kFloat32});
  const std::string options = fmt::format(fmt::runtime(counted.options), value);
  Subtree subtree = Subtree::parse(
      fmt::format("{{name: {}{}{}}}", counted.method, options.empty() ? "" : ", ", options), "method");
  std::int64_t sum = 0;
  const auto method = make_method(subtree);
  for (const Parameter& parameter : method->attach(*stage, context())) sum += parameter.value().numel();
  return sum;
}

class CountsOfModel : public testing::TestWithParam<const char*> {};

TEST_P(CountsOfModel, AreWhatTheMethodsAttach) {
  const std::string path = std::string(TRIMTAB_GOLDEN_DIR) + "/" + GetParam();
  const auto model = open_model(path);
  const ModelSizes sizes = sizes_of_model(path);
  EXPECT_EQ(sizes.parameters, model->parameter_count());
  for (const auto& [name, counted] : counted_methods().entries()) {
    if (counted.method.empty()) continue;
    for (const std::int64_t value : {2, 5})
      EXPECT_EQ(counted.trained(sizes, value), attached(*model, counted, value)) << name << " " << value;
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, CountsOfModel,
                         testing::Values("t5_10", "t5_11", "t5_inner", "llama_tied", "llama_inner", "qwen2",
                                         "qwen3"),
                         [](const auto& test) { return std::string(test.param); });

TEST(ParameterCounts, EveryMethodHasAFormula) {
  std::set<std::string> counted;
  for (const auto& [name, method] : counted_methods().entries()) {
    counted.insert(method.method);
    EXPECT_FALSE(method.source.empty()) << name;
  }
  for (const std::string& name : method_registry().names()) EXPECT_TRUE(counted.contains(name)) << name;
}

// -- What people see.

TEST(ParameterCounts, Tables) {
  CountRequest request;
  request.models = {sizes_of_model("small")};
  request.methods = {"prompt_tuning", "lora", "zero_shot"};
  request.lengths = {20};
  request.ranks = {1, 4};
  EXPECT_EQ(count_table(request, TableFormat::kCsv),
            "model,method,setting,trained parameters,with the model,percent of these\n"
            "T5 1.1 small,prompt_tuning,length 20,10240,76971392,0.01330\n"
            "T5 1.1 small,lora,rank 1,43008,77004160,0.05585\n"
            "T5 1.1 small,lora,rank 4,172032,77133184,0.22303\n"
            "T5 1.1 small,zero_shot,-,0,76961152,0.00000\n");
  EXPECT_THAT(count_table(request, TableFormat::kMarkdown),
              AllOf(HasSubstr("| T5 1.1 small | prompt_tuning | length 20 |"), HasSubstr("|:---")));
  request.methods = {"lora2"};
  EXPECT_THAT(message_of([&] { count_table(request, TableFormat::kText); }),
              AllOf(HasSubstr("--methods: unknown method 'lora2'"), HasSubstr("did you mean 'lora'")));
}

TEST(ParameterCounts, PictureIsOfMeansOverTheLengths) {
  CountRequest request;
  request.models = {sizes_of_model("xxl"), sizes_of_model("small")};
  request.methods = {"prompt_tuning", "zero_shot"};
  const Plot plot = count_plot(request);
  ASSERT_EQ(plot.curves.size(), 1U);  // nothing has no logarithm
  const PlotPoint& small = plot.curves[0].points[0];
  EXPECT_EQ(small.x, 76'961'152);
  // Mean and sample deviation of 1 to 100 are 50.5 and 29.011; the share is all but linear.
  EXPECT_NEAR(small.y, 100 * 50.5 * 512 / 76'961'152, 2e-5);
  EXPECT_NEAR(small.spread, 100 * 29.011 * 512 / 76'961'152, 2e-5);
  EXPECT_THAT(plot_script(plot, "d", "p"),
              AllOf(HasSubstr("set logscale x"), HasSubstr("set logscale y"), HasSubstr("'0.001' 1e-3"),
                    HasSubstr("filledcurves"), Not(HasSubstr("yerrorbars"))));
}

}  // namespace
}  // namespace trimtab
