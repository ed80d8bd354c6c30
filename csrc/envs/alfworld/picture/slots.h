// Places for contents on a surface, on boards or on a bar, so that none hides another.
#pragma once

#include <algorithm>
#include <cmath>

#include "envs/alfworld/picture/receptacle_looks.h"

namespace vldac::alfworld {

class Slots {
 public:
  // For `count` things, seen from so many radians above the surface; least_rows: boards that a model has in any case.
  Slots(const Region& region, int count, double elevation, int least_rows = 1) : region_(region), count_(std::max(count, 1)) {
    double best = 0;
    for (int rows = 1; rows <= kMostRows; ++rows) {
      int columns = (count_ + rows - 1) / rows;
      double size = size_with(rows, columns, elevation, std::max(rows, least_rows));
      if (size > best * 1.02) best = size, rows_ = rows, columns_ = columns;
    }
    size_ = best;
    levels_ = std::max(rows_, least_rows);
  }
  double size() const { return size_; }
  int levels() const { return levels_; }
  // The bottom's middle of the i-th thing, in the model's axes.
  Vec3d at(int i) const {
    int row = i / columns_, column = i % columns_;
    int in_row = std::min(columns_, count_ - row * columns_);
    double cell = cell_width(rows_, columns_), shift = is_staggered(rows_) ? (row % 2 ? 0.25 : -0.25) : 0;
    double middle = (region_.x0 + region_.x1) / 2;
    double x = middle + (column - (in_row - 1) / 2.0 + shift) * cell;
    if (region_.laying == Laying::kTop) return {x, region_.y0, region_.z1 - (row + 0.5) * (region_.z1 - region_.z0) / rows_};
    if (region_.laying == Laying::kBoards) return {x, region_.y0 + row * pitch(levels_) + 0.006, region_.z1 - size_ * 0.45};
    return {x, region_.y1 - size_ * 0.98 - row * pitch(rows_), region_.z1};
  }

 private:
  static constexpr int kMostRows = 7;
  static constexpr double kMost = 0.3;  // metres
  bool is_staggered(int rows) const { return region_.laying == Laying::kTop && rows > 1; }
  double cell_width(int rows, int columns) const { return (region_.x1 - region_.x0) / (columns + (is_staggered(rows) ? 0.5 : 0)); }
  double pitch(int rows) const { return (region_.y1 - region_.y0) / rows; }
  double size_with(int rows, int columns, double elevation, int levels) const {
    double wide = cell_width(rows, columns) * 0.92, most = std::min(kMost, (region_.x1 - region_.x0) * 0.6);
    if (region_.laying != Laying::kTop) return std::min({wide, pitch(levels) * 0.82, most});
    double deep = (region_.z1 - region_.z0) / rows;
    // A thing may hide the lower part of those behind it, which look past it on either side.
    double hidden = rows == 1 ? 1.3 : 1.15 * std::min(1.0, std::tan(elevation));
    return std::min({wide, deep * hidden, most});
  }

  Region region_;
  int count_, rows_ = 1, columns_ = 1, levels_ = 1;
  double size_ = 0;
};

}  // namespace vldac::alfworld
