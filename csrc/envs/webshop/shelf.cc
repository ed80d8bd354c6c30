#include "envs/webshop/shelf.h"

#include <mutex>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>

namespace vldac::webshop {
namespace {

struct Shelf {
  std::mutex mutex;
  std::unordered_map<int64_t, std::shared_ptr<const OpenShop>> shops;
};
Shelf& shelf() {
  static Shelf* only = new Shelf;  // outlives every pool
  return *only;
}

}  // namespace

void keep_shop(int64_t number, OpenShop shop) {
  auto kept = std::make_shared<const OpenShop>(std::move(shop));
  Shelf& all = shelf();
  std::lock_guard lock(all.mutex);
  all.shops[number] = std::move(kept);
}

std::shared_ptr<const OpenShop> find_shop(int64_t number) {
  Shelf& all = shelf();
  std::lock_guard lock(all.mutex);
  auto found = all.shops.find(number);
  if (found == all.shops.end()) throw std::invalid_argument("no shop has the number " + std::to_string(number));
  return found->second;
}

}  // namespace vldac::webshop
