// Pictures of ALFWorld rooms: for tests and for people.
#include "bind/bind.h"

namespace vldac::bind {

void bind_alfworld_picture(py::module_&) {}

}  // namespace vldac::bind
