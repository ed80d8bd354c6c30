// Shapes with smooth edges: closed contours of lines and quadratic curves, turned into the exact area that they cover of every
// pixel. Only + - * / and floor are used, so that a shape has the same bytes on every machine.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vldac {

struct Point {
  double x, y;
};

// 8-bit coverage of a box of pixels whose upper left corner is at (left, top).
struct Mask {
  int left = 0, top = 0, width = 0, height = 0;
  std::vector<uint8_t> coverage;
};

// Curves are flattened as they are added. Contours that overlap add up, clockwise and counter-clockwise ones with opposite sign.
class Path {
 public:
  void move(Point to) {
    close();
    begin_ = at_ = to;
  }
  void line(Point to) {
    edges_.push_back({at_, to});
    at_ = to;
  }
  void curve(Point control, Point to) {
    constexpr int kPieces = 12;
    Point from = at_;
    for (int i = 1; i < kPieces; ++i) {
      double t = static_cast<double>(i) / kPieces, a = (1 - t) * (1 - t), b = 2 * t * (1 - t), c = t * t;
      line({a * from.x + b * control.x + c * to.x, a * from.y + b * control.y + c * to.y});
    }
    line(to);
  }
  void close() {
    if (at_.x != begin_.x || at_.y != begin_.y) line(begin_);
  }

  // The path with every point (x, y) at (left + x * scale_x, top + y * scale_y).
  Path placed(double left, double top, double scale_x, double scale_y) const {
    Path result;
    for (const auto& [from, to] : edges_)
      result.edges_.push_back({{left + from.x * scale_x, top + from.y * scale_y}, {left + to.x * scale_x, top + to.y * scale_y}});
    return result;
  }
  void append(const Path& other) { edges_.insert(edges_.end(), other.edges_.begin(), other.edges_.end()); }

  Mask mask() const {
    Mask result;
    if (edges_.empty()) return result;
    double left = edges_[0].from.x, right = left, top = edges_[0].from.y, bottom = top;
    for (const auto& [from, to] : edges_) {
      left = std::min({left, from.x, to.x});
      right = std::max({right, from.x, to.x});
      top = std::min({top, from.y, to.y});
      bottom = std::max({bottom, from.y, to.y});
    }
    result.left = static_cast<int>(std::floor(left));
    result.top = static_cast<int>(std::floor(top));
    result.width = static_cast<int>(std::ceil(right)) - result.left;
    result.height = static_cast<int>(std::ceil(bottom)) - result.top;
    auto width = static_cast<size_t>(result.width), height = static_cast<size_t>(result.height);
    // Signed area to the right of the edges, as differences along each row; two columns more than pixels.
    std::vector<double> area((width + 2) * height, 0.0);
    for (const auto& [from, to] : edges_)
      add_edge(area, width + 2, {from.x - result.left, from.y - result.top}, {to.x - result.left, to.y - result.top});
    result.coverage.resize(width * height);
    for (size_t y = 0; y < height; ++y) {
      double total = 0.0;
      for (size_t x = 0; x < width; ++x) {
        total += area[y * (width + 2) + x];
        result.coverage[y * width + x] = static_cast<uint8_t>(std::floor(std::min(std::abs(total), 1.0) * 255.0 + 0.5));
      }
    }
    return result;
  }

 private:
  struct Edge {
    Point from, to;
  };
  // Row by row, each pixel that the edge crosses gets the area to its right.
  static void add_edge(std::vector<double>& area, size_t stride, Point from, Point to) {
    if (from.y == to.y) return;
    double sign = 1.0;
    if (from.y > to.y) {
      std::swap(from, to);
      sign = -1.0;
    }
    double slope = (to.x - from.x) / (to.y - from.y);
    for (int row = static_cast<int>(std::floor(from.y)); row < to.y; ++row) {
      double top = std::max<double>(from.y, row), bottom = std::min<double>(to.y, row + 1.0);
      double height = (bottom - top) * sign;
      double left = from.x + (top - from.y) * slope, right = from.x + (bottom - from.y) * slope;
      if (left > right) std::swap(left, right);
      double* line = &area[static_cast<size_t>(row) * stride];
      int first = std::max(0, static_cast<int>(std::floor(left))), last = static_cast<int>(std::floor(right));
      if (first >= last) {
        double share = 1.0 - ((left + right) * 0.5 - first);
        line[first] += height * share;
        line[first + 1] += height * (1.0 - share);
        continue;
      }
      double per_column = height / (right - left), before = 0.0;  // `before`: the area up to and with the previous column
      for (int x = first; x <= last; ++x) {
        double start = std::max<double>(left, x), end = std::min<double>(right, x + 1.0);
        // Edge height inside this column times the mean share of the column at its right, and whole pixels for earlier columns.
        double here = per_column * (start - left) + per_column * (end - start) * (1.0 - ((start + end) * 0.5 - x));
        line[x] += here - before;
        before = here;
      }
      line[last + 1] += height - before;
    }
  }
  std::vector<Edge> edges_;
  Point begin_{0, 0}, at_{0, 0};
};

}  // namespace vldac
