#include "lane/gpu/beside_torch.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>

namespace kiln::lane {
namespace {

constexpr const char* kLibraryOfTorch = "libc10.so";
constexpr std::string_view kFromItsFolder = "/../../";  // torch/lib

}  // namespace

std::string path_beside_torch(std::string_view place) {
  void* torch = ::dlopen(kLibraryOfTorch, RTLD_LAZY | RTLD_NOLOAD);
  if (torch == nullptr) return "";
  std::string path;
  link_map* map = nullptr;
  if (::dlinfo(torch, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr) {
    path = map->l_name;
    path.resize(std::min(path.rfind('/'), path.size()));
    path.append(kFromItsFolder).append(place);
  }
  ::dlclose(torch);
  return path;
}

}  // namespace kiln::lane
