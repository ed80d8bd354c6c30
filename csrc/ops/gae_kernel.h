// kChains vectors of columns from the last step to the first; carries stay in registers. Included per tier, see ops/each_tier.h.

namespace vldac::ops::VLDAC_TIER {
namespace {

template <int kChains, class T>
VLDAC_INLINE void gae_columns(const GaeSteps<T>& in, size_t num_steps, size_t num_columns, size_t first) {
  const Wide zero = fill(0.0), gamma = fill(in.gamma), decay = fill(in.gamma * in.lambda);
  Wide carry[kChains], following[kChains];
  for (int c = 0; c < kChains; ++c) {
    carry[c] = zero;
    following[c] = load(in.bootstrap + first + c * kLanes);
  }
  for (size_t t = num_steps; t-- > 0;)
    for (int c = 0; c < kChains; ++c) {
      size_t at = t * num_columns + first + static_cast<size_t>(c * kLanes);
      Wide value = load(in.value + at), reward = load(in.reward + at);
      Mask terminated = load_mask(in.terminated + at), truncated = load_mask(in.truncated + at);
      Wide at_cut = in.final_value ? load(in.final_value + at) : zero;
      Wide ahead = truncated ? at_cut : following[c];
      ahead = terminated ? zero : ahead;
      Wide kept = (terminated | truncated) ? zero : carry[c];
      carry[c] = reward + gamma * ahead - value + decay * kept;
      following[c] = value;
      store(in.advantage_out + at, carry[c]);
      store(in.returns_out + at, carry[c] + value);
    }
}

// Returns the number of columns that are done, all but a rest smaller than a vector.
template <class T>
VLDAC_FN size_t gae_rectangle(const GaeSteps<T>& in, size_t num_steps, size_t num_columns) {
  size_t first = 0;
  for (; first + 8 * kLanes <= num_columns; first += 8 * kLanes) gae_columns<8>(in, num_steps, num_columns, first);
  for (; first + 2 * kLanes <= num_columns; first += 2 * kLanes) gae_columns<2>(in, num_steps, num_columns, first);
  for (; first + kLanes <= num_columns; first += kLanes) gae_columns<1>(in, num_steps, num_columns, first);
  return first;
}

}  // namespace
}  // namespace vldac::ops::VLDAC_TIER
