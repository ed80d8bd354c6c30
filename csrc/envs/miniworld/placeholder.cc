// Until the rasteriser is here.
#include <stdexcept>

#include "render/raster/rasterizer.h"

namespace vldac {

void Rasterizer::draw(const Scene&, const Camera&, uint8_t*, int, int) const { throw std::runtime_error("rasteriser: not built yet"); }
void Rasterizer::draw(const Scene&, const TopCamera&, uint8_t*, int, int) const { throw std::runtime_error("rasteriser: not built yet"); }
void Rasterizer::depth(const Scene&, const Camera&, float*, int, int) const { throw std::runtime_error("rasteriser: not built yet"); }

}  // namespace vldac
