#include "plait/core/errors.hpp"

#include <cxxabi.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "plait/core/exception_group.hpp"

namespace plait {
namespace {

void write_line(const unhandled_exception& unhandled) noexcept {
  try {
    const std::string line =
        "plait: nobody retrieved an exception: " + detail::describe_exception(unhandled.error) +
        "\n       " + unhandled.origin + "\n";
    std::fwrite(line.data(), 1, line.size(), stderr);
  } catch (...) {
    std::fputs("plait: nobody retrieved an exception (and no memory to say which)\n", stderr);
  }
}

std::atomic<unhandled_exception_handler> handler{write_line};

}  // namespace

remote_error::remote_error(std::string type, const std::string& message, std::string traceback)
    : error(message), type_(std::move(type)), traceback_(std::move(traceback)) {}

unhandled_exception_handler set_unhandled_exception_handler(
    unhandled_exception_handler next) noexcept {
  return handler.exchange(next != nullptr ? next : write_line);
}

namespace detail {

void report_unhandled(std::exception_ptr error, std::string origin) noexcept {
  handler.load()({std::move(error), std::move(origin)});
}

std::string demangled(const char* type_name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(type_name, nullptr, nullptr, &status), std::free);
  return status == 0 ? name.get() : type_name;
}

std::string describe_address(const void* address) {
  Dl_info info{};
  if (address == nullptr || dladdr(address, &info) == 0 || info.dli_fname == nullptr)
    return "at an unknown place";
  char offset[32];
  std::snprintf(offset, sizeof offset, "+0x%zx",
                static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(address) -
                                         reinterpret_cast<std::uintptr_t>(info.dli_fbase)));
  std::string text;
  if (info.dli_sname != nullptr) text = "in " + demangled(info.dli_sname) + " ";
  return text + "(" + info.dli_fname + offset + ")";
}

}  // namespace detail
}  // namespace plait
