#include "processes/module_list.hpp"

#include <sys/mman.h>

#include <cstring>
#include <system_error>

namespace plait::detail {
namespace {

struct record_head {
  std::uint32_t path, build_id;  // bytes that follow
};

}  // namespace

module_list_writer::module_list_writer()
    : file_(make_memfd("plait-modules", module_list_size)),
      page_(static_cast<module_list_page*>(map_shared(file_.get(), module_list_size))) {
  // No worker tells another what to open. Before Linux 5.1 that is not to be had.
  try {
    seal(file_.get(), page_access::read);
  } catch (const std::system_error&) {
  }
}

module_list_writer::~module_list_writer() { munmap(page_, module_list_size); }

void module_list_writer::add(const module_identity& module) noexcept {
  const std::size_t n = sizeof(record_head) + module.path.size() + module.build_id.size();
  if (n > sizeof page_->records - used_) {
    used_ = sizeof page_->records;  // numbers count: nobody may come after a gap
    return;
  }
  const record_head head{static_cast<std::uint32_t>(module.path.size()),
                         static_cast<std::uint32_t>(module.build_id.size())};
  char* to = page_->records + used_;
  std::memcpy(to, &head, sizeof head);
  std::memcpy(to + sizeof head, module.path.data(), module.path.size());
  std::memcpy(to + sizeof head + module.path.size(), module.build_id.data(),
              module.build_id.size());
  used_ += n;
  page_->count.fetch_add(1, std::memory_order_release);
}

module_list_reader::module_list_reader(descriptor file) {
  void* memory = mmap(nullptr, module_list_size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) throw_errno("cannot map the list of libraries");
  page_ = static_cast<const module_list_page*>(memory);
}

std::optional<module_identity> module_list_reader::next() {
  if (taken_ == page_->count.load(std::memory_order_acquire)) return std::nullopt;
  record_head head;
  const char* from = page_->records + used_;
  std::memcpy(&head, from, sizeof head);
  used_ += sizeof head + head.path + head.build_id;
  ++taken_;
  from += sizeof head;
  return module_identity{{from, head.path}, {from + head.path, head.build_id}};
}

}  // namespace plait::detail
