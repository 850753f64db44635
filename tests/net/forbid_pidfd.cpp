// Linked to a test, this makes the kernel answer pidfd_open() as one from before Linux 5.3 does.
#include "../support/refuse_system_call.hpp"

namespace {

[[maybe_unused]] const bool forbidden = (refuse_system_call(SYS_pidfd_open, ENOSYS), true);

}  // namespace
