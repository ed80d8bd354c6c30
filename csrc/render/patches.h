// One frame of RGB bytes to the rows that a Qwen2-VL, Qwen2.5-VL or Qwen3-VL vision tower takes: resize where needed, cut into
// patches, normalise. Bytes in, bytes out: what the checkpoint's image processor would have made of the frame.
//
// Rows: [block row][block column][row in block][column in block], a block being merge x merge patches, so that the rows of one
// merged token are neighbours. Columns: [channel][temporal copy][y][x]. As uint8 there is no temporal copy and no
// normalisation: both are folded into the patch embedding (vldac/fold.py).
//
// Calls allocate nothing and change nothing: any number of threads may use one emitter, each with scratch memory of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ops/isa.h"
#include "render/resize.h"

namespace vldac {

enum class PatchFormat { kFloat32, kBfloat16, kUint8 };

// Throws std::invalid_argument for another name than "float32", "bfloat16", "uint8".
PatchFormat parse_patch_format(const std::string& name);

struct PatchSpec {
  int patch, merge, temporal;  // pixels, patches, copies
  std::array<double, 3> mean, std;
  int in_width, in_height;    // pixels of the frame
  int out_width, out_height;  // pixels that the model sees, multiples of patch x merge
  PatchFormat format;
};

class PatchEmitter {
 public:
  // Throws std::invalid_argument for a specification that cannot be met.
  explicit PatchEmitter(const PatchSpec& spec, Isa isa = chosen_isa());

  const PatchSpec& spec() const { return spec_; }
  Isa isa() const { return isa_; }
  size_t rows() const { return static_cast<size_t>(spec_.out_width / spec_.patch) * (spec_.out_height / spec_.patch); }
  size_t columns() const { return pixel_columns() * (spec_.format == PatchFormat::kUint8 ? 1 : spec_.temporal); }
  size_t item_bytes() const;
  size_t in_frame_bytes() const { return static_cast<size_t>(spec_.in_width) * spec_.in_height * 3; }
  // Output bytes of one frame.
  size_t frame_bytes() const { return rows() * columns() * item_bytes(); }
  // Scratch bytes of one call; no alignment is asked for.
  size_t scratch_bytes() const;
  // hwc: [in_height][in_width][3]. out: [rows][columns] of the format, aligned to its items.
  void emit(const uint8_t* hwc, void* out, uint8_t* scratch) const noexcept;

 private:
  size_t pixel_columns() const { return static_cast<size_t>(spec_.patch) * spec_.patch * 3; }
  void emit_patch(const uint8_t* pixels, uint8_t* out, uint8_t* planes) const noexcept;
  PatchSpec spec_;
  Isa isa_;
  BicubicResize resize_;
  // Every value that a byte of a channel can become.
  std::vector<float> floats_;       // [3][256]
  std::vector<uint16_t> bfloats_;  // [3][256]
};

}  // namespace vldac
