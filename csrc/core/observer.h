// How an environment's state becomes the bytes of an observation: drawn as HWC pixels, or its vector.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/env.h"

namespace vldac {

class Observer {
 public:
  Observer(ObsKind kind, int64_t size, int width, int height)
      : is_image_(kind == ObsKind::kImage),
        bytes_(is_image_ ? static_cast<size_t>(width) * static_cast<size_t>(height) * 3 : static_cast<size_t>(size) * 4),
        width_(width),
        height_(height) {}
  size_t bytes() const { return bytes_; }
  size_t scratch_bytes() const { return 0; }
  void operator()(const Env& env, uint8_t* out, uint8_t* /*scratch*/) const {
    if (is_image_) env.render(out, width_, height_);
    else env.measure(out);
  }

 private:
  bool is_image_;
  size_t bytes_;
  int width_, height_;
};

}  // namespace vldac
