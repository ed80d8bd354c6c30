// ALFWorld games outside a pool: for tests, the generator and people who study them.
#include "bind/bind.h"

namespace vldac::bind {

void bind_alfworld(py::module_&) {}

}  // namespace vldac::bind
