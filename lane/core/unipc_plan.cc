#include "lane/core/unipc_plan.h"

#include <algorithm>
#include <cmath>

namespace kiln::lane {
namespace {

using Row = std::vector<float>;

// Rounded once, whatever the machine's library does in single precision.
float log_of(float x) { return static_cast<float>(std::log(static_cast<double>(x))); }
float expm1_of(float x) { return static_cast<float>(std::expm1(static_cast<double>(x))); }

// Half the logarithm of signal to noise; infinite where there is no noise.
float lambda_of(float sigma) { return log_of(1.0F - sigma) - log_of(sigma); }

// Gaussian elimination with partial pivoting; the systems have at most order rows.
Row solve(std::vector<Row> matrix, Row right) {
  const std::size_t size = right.size();
  for (std::size_t column = 0; column < size; ++column) {
    std::size_t pivot = column;
    for (std::size_t row = column + 1; row < size; ++row) {
      if (std::fabs(matrix[row][column]) > std::fabs(matrix[pivot][column])) pivot = row;
    }
    std::swap(matrix[column], matrix[pivot]);
    std::swap(right[column], right[pivot]);
    for (std::size_t row = column + 1; row < size; ++row) {
      const float factor = matrix[row][column] / matrix[column][column];
      for (std::size_t k = column; k < size; ++k) matrix[row][k] -= factor * matrix[column][k];
      right[row] -= factor * right[column];
    }
  }
  for (std::size_t row = size; row-- > 0;) {
    for (std::size_t k = row + 1; k < size; ++k) right[row] -= matrix[row][k] * right[k];
    right[row] /= matrix[row][row];
  }
  return right;
}

// Weights of the differences in a step of `hh` = -h: powers of their ratios against the integrals of the exponential.
Row weights_of(const Row& ratios, float hh) {
  const std::size_t count = ratios.size();
  const float change = expm1_of(hh);
  std::vector<Row> powers;
  Row integrals;
  float phi = change / hh - 1.0F;
  double factorial = 1;
  for (std::size_t i = 0; i < count; ++i) {
    Row& row = powers.emplace_back();
    for (const float ratio : ratios) row.push_back(static_cast<float>(std::pow(ratio, static_cast<double>(i))));
    integrals.push_back(phi * static_cast<float>(factorial) / change);
    factorial *= static_cast<double>(i) + 2;
    phi = phi / hh - static_cast<float>(1 / factorial);
  }
  return solve(std::move(powers), std::move(integrals));
}

struct Ends {
  std::size_t from = 0;  // steps of the schedule; `from` is that of the newest prediction m
  std::size_t to = 0;
};

struct Update {
  UniPcUpdate update;
  Row ratios;
  float hh = 0;
};

Update start_update(std::span<const float> sigmas, Ends ends, int order) {
  const float lambda_from = lambda_of(sigmas[ends.from]);
  const float h = lambda_of(sigmas[ends.to]) - lambda_from;
  const float alpha_to = 1.0F - sigmas[ends.to];
  const float hh = -h;
  const float growth = expm1_of(hh);
  Update made{{sigmas[ends.to] / sigmas[ends.from], alpha_to * growth, alpha_to * growth, {}, 0}, {}, hh};
  for (std::size_t i = 1; i < static_cast<std::size_t>(order); ++i) {
    made.ratios.push_back((lambda_of(sigmas[ends.from - i]) - lambda_from) / h);
  }
  return made;
}

UniPcUpdate predictor_of(std::span<const float> sigmas, Ends ends, int order) {
  Update made = start_update(sigmas, ends, order);
  // With one older prediction its weight is a half, near enough, and what the method's authors use.
  const Row weights = order == 2 ? Row{0.5F} : weights_of(made.ratios, made.hh);
  for (std::size_t i = 0; i < made.ratios.size(); ++i) made.update.older.push_back({made.ratios[i], weights[i]});
  return made.update;
}

UniPcUpdate corrector_of(std::span<const float> sigmas, Ends ends, int order) {
  Update made = start_update(sigmas, ends, order);
  Row ratios = made.ratios;
  ratios.push_back(1);
  const Row weights = order == 1 ? Row{0.5F} : weights_of(ratios, made.hh);
  for (std::size_t i = 0; i < made.ratios.size(); ++i) made.update.older.push_back({made.ratios[i], weights[i]});
  made.update.latest_weight = weights.back();
  return made.update;
}

}  // namespace

std::vector<UniPcStep> plan_unipc(std::span<const float> sigmas, int order, int first_step) {
  const auto first = static_cast<std::size_t>(first_step);
  const std::size_t steps = sigmas.size() - 1;
  // Low where there are no older predictions yet, and towards the end.
  const auto order_at = [&](std::size_t step) {
    return static_cast<int>(std::min({static_cast<std::size_t>(order), steps - step, step - first + 1}));
  };
  std::vector<UniPcStep> plan;
  for (std::size_t step = first; step < steps; ++step) {
    UniPcStep& made = plan.emplace_back();
    made.sigma = sigmas[step];
    if (step > first) made.corrector = corrector_of(sigmas, {step - 1, step}, order_at(step - 1));
    made.predictor = predictor_of(sigmas, {step, step + 1}, order_at(step));
  }
  return plan;
}

}  // namespace kiln::lane
