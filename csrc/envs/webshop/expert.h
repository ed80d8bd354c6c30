// Shops by the goal's fields, as one who knows what is wanted: searches the name of the product, leafs through the results until it is
// there, opens it, chooses the wanted options, and buys it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "envs/webshop/ratio.h"
#include "envs/webshop/session.h"

namespace vldac::webshop {

class Expert {
 public:
  // Notes what was done, so that a search that did not find the product is not repeated.
  void reset() { searches_ = 0; }
  void note_search() { ++searches_; }
  // The command now; empty after the purchase.
  void next(const Session& session, std::string& out) const;

  void save(Bytes& out) const { out.put(searches_); }
  void load(Bytes& in) { searches_ = in.get<uint32_t>(); }

 private:
  void search(const Session& session, std::string& out) const;
  bool choose(const Session& session, std::string& out) const;

  uint32_t searches_ = 0;
  mutable Ratio ratio_;
  mutable Product product_;
};

}  // namespace vldac::webshop
