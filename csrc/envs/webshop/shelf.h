// Shops that environments sell in. An environment is made of numbers: a shop is known by one, which its maker derives from its contents,
// so that it is the same in every process. Shops are kept for as long as the process lives.
#pragma once

#include <cstdint>
#include <memory>

#include "envs/webshop/render/photos.h"
#include "envs/webshop/session.h"

namespace vldac::webshop {

struct OpenShop {
  Shop shop;
  std::shared_ptr<const PhotoSet> photos;  // null: drawings
};

// One with the same number takes the earlier one's place.
void keep_shop(int64_t number, OpenShop shop);
// Throws std::invalid_argument for a number that no shop has.
std::shared_ptr<const OpenShop> find_shop(int64_t number);

}  // namespace vldac::webshop
