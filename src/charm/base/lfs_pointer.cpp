#include "charm/base/lfs_pointer.h"

#include "charm/base/error.h"

namespace charm {

void refuse_lfs_pointer(std::string_view head, std::string_view file) {
  if (!head.starts_with("version https://git-lfs.github.com/spec/")) return;
  throw Error(ErrorKind::kInput,
              "{}: is a pointer of Git LFS, not the data itself; fetch it with git lfs pull, or "
              "download the file",
              file);
}

}  // namespace charm
