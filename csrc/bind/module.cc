#include "bind/bind.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "Native core of vldac: environments, stepper, rollout buffer, advantages, parsing. Links neither torch nor CUDA.";
  vldac::bind::bind_envs(module);
  vldac::bind::bind_buffer(module);
  vldac::bind::bind_ops(module);
  vldac::bind::bind_kernel_rows(module);
  vldac::bind::bind_kernel_attention(module);
  vldac::bind::bind_kernel_decoder(module);
  vldac::bind::bind_vision(module);
  vldac::bind::bind_cards(module);
  vldac::bind::bind_miniworld(module);
  vldac::bind::bind_scene(module);
  vldac::bind::bind_webshop_page(module);
  vldac::bind::bind_alfworld_panel(module);
  vldac::bind::bind_alfworld(module);
  vldac::bind::bind_alfworld_picture(module);
  vldac::bind::bind_kernel_vectors(module);
  vldac::bind::bind_webshop(module);
}
