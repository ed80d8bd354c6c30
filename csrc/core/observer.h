// How an environment's state becomes the bytes of an observation: its vector, its pixels [height][width][3], or the patches that
// a vision tower takes (render/patches.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/env.h"
#include "render/patches.h"

namespace vldac {

class Observer {
 public:
  // patches: null for plain pixels; its frames must be width x height.
  Observer(const ObsSpec& spec, int width, int height, std::shared_ptr<const PatchEmitter> patches)
      : is_image_(spec.kind == ObsKind::kImage), width_(width), height_(height), patches_(std::move(patches)) {
    frame_bytes_ = static_cast<size_t>(width) * static_cast<size_t>(height) * 3;
    bytes_ = patches_ ? patches_->frame_bytes() : is_image_ ? frame_bytes_ : static_cast<size_t>(spec.size) * 4;
    is_nothing_ = spec.kind == ObsKind::kNone;
  }
  size_t bytes() const { return bytes_; }
  // Of one call; calls on different threads need memory of their own.
  size_t scratch_bytes() const { return patches_ ? frame_bytes_ + patches_->scratch_bytes() : 0; }
  void operator()(const Env& env, uint8_t* out, uint8_t* scratch) const {
    if (patches_) {
      env.render(scratch, width_, height_);
      patches_->emit(scratch, out, scratch + frame_bytes_);
    } else if (is_image_) {
      env.render(out, width_, height_);
    } else if (!is_nothing_) {
      env.measure(out);
    }
  }

 private:
  bool is_image_, is_nothing_ = false;
  int width_, height_;
  std::shared_ptr<const PatchEmitter> patches_;
  size_t frame_bytes_, bytes_;
};

}  // namespace vldac
