#include "processes/exception_wire.hpp"

#include <cxxabi.h>
#include <any>
#include <functional>
#include <future>
#include <ios>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <variant>

#include "plait/processes/codec.hpp"
#include "plait/processes/errors.hpp"
#include "plait/processes/remote_call.hpp"

namespace plait::detail {
namespace {

using text = codec<std::string>;

// How each type that arrives as itself is rebuilt from what(). Its place in the table is its
// number: both sides are the same program.
struct rebuilder {
  const std::type_info& type;
  void (*rethrow)(const std::string& what);
};
template <class E>
constexpr rebuilder with_text() {
  return {typeid(E), [](const std::string& what) { throw E(what); }};
}
template <class E>
constexpr rebuilder without_text() {
  return {typeid(E), [](const std::string&) { throw E(); }};
}
const rebuilder rebuilders[] = {with_text<std::runtime_error>(),
                                with_text<std::logic_error>(),
                                with_text<std::invalid_argument>(),
                                with_text<std::out_of_range>(),
                                with_text<std::domain_error>(),
                                with_text<std::length_error>(),
                                with_text<std::range_error>(),
                                with_text<std::overflow_error>(),
                                with_text<std::underflow_error>(),
                                without_text<std::bad_alloc>(),
                                without_text<std::bad_array_new_length>(),
                                without_text<std::bad_cast>(),
                                without_text<std::bad_typeid>(),
                                without_text<std::bad_exception>(),
                                without_text<std::bad_function_call>(),
                                without_text<std::bad_optional_access>(),
                                without_text<std::bad_variant_access>(),
                                without_text<std::bad_any_cast>(),
                                without_text<std::bad_weak_ptr>(),
                                without_text<std::exception>(),
                                with_text<error>(),
                                with_text<cancelled_error>(),
                                with_text<timeout_error>(),
                                with_text<would_deadlock>(),
                                with_text<invalid_state>(),
                                without_text<broken_promise>(),
                                with_text<executor_shutdown>(),
                                with_text<broken_executor>(),
                                with_text<task_error>(),
                                with_text<initializer_failed>(),
                                with_text<limits_unavailable>(),
                                with_text<image_mismatch>(),
                                with_text<supervisor_lost>(),
                                with_text<serialization_error>(),
                                with_text<function_not_found>(),
                                with_text<sandbox_unavailable>()};
constexpr std::uint32_t number_of_system_error = 1000, number_of_crash = 1001,
                        number_of_remote = 1002;

std::string nested_lines(const std::exception& outer) {
  std::string lines;
  try {
    std::rethrow_if_nested(outer);
  } catch (const std::exception& inner) {
    lines = demangled(typeid(inner).name()) + ": " + inner.what() + "\n" + nested_lines(inner);
  } catch (...) {
    lines = "an exception that is no std::exception\n";
  }
  return lines;
}

void encode_remote(encoder& to, const std::string& type, const std::string& what,
                   const std::string& traceback) {
  to.write_plain(number_of_remote);
  text::encode(to, type);
  text::encode(to, what);
  text::encode(to, traceback);
}

// system_error's what() ends in the code's own message, which its constructor would add again.
std::string own_text(const std::system_error& e) {
  std::string what = e.what();
  const std::string tail = e.code().message();
  if (what.size() < tail.size() || !what.ends_with(tail)) return what;
  what.resize(what.size() - tail.size());
  if (what.ends_with(": ")) what.resize(what.size() - 2);
  return what;
}

bool encode_system_error(encoder& to, const std::exception& e) {
  if (typeid(e) != typeid(std::system_error)) return false;
  const auto& s = static_cast<const std::system_error&>(e);
  const bool generic = s.code().category() == std::generic_category();
  if (!generic && s.code().category() != std::system_category()) return false;
  to.write_plain(number_of_system_error);
  to.write_plain(generic);
  to.write_plain(s.code().value());
  text::encode(to, own_text(s));
  return true;
}

bool encode_crash(encoder& to, const std::exception& e) {
  const auto* crash = dynamic_cast<const worker_crashed*>(&e);
  if (crash == nullptr) return false;
  to.write_plain(number_of_crash);
  to.write_plain(crash->pid());
  to.write_plain(crash->signal());
  to.write_plain(crash->exit_code());
  text::encode(to, crash->stderr_tail());
  text::encode(to, crash->call());
  codec<std::optional<std::uint64_t>>::encode(to, crash->fault_address());
  to.write_plain(crash->is_stack_overflow());
  codec<std::vector<worker_crashed::frame>>::encode(to, crash->frames());
  to.write_plain(crash->cause());
  codec<resource_usage>::encode(to, crash->usage());
  to.write_plain(crash->core_dumped());
  to.write_plain(crash->attempt());
  return true;
}

void encode_standard(encoder& to, const std::exception& e) {
  std::uint32_t number = 0;
  for (const rebuilder& r : rebuilders) {
    if (r.type == typeid(e)) {
      to.write_plain(number);
      return text::encode(to, e.what());
    }
    ++number;
  }
  if (encode_system_error(to, e) || encode_crash(to, e)) return;
  if (const auto* remote = dynamic_cast<const remote_error*>(&e))
    return encode_remote(to, remote->type(), remote->what(), remote->traceback());
  encode_remote(to, demangled(typeid(e).name()), e.what(), nested_lines(e));
}

}  // namespace

void encode_exception(encoder& to, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    encode_standard(to, e);
  } catch (...) {
    const std::type_info* type = abi::__cxa_current_exception_type();
    encode_remote(to, type != nullptr ? demangled(type->name()) : "an unknown type",
                  "an exception that is no std::exception", "");
  }
}

void throw_decoded(decoder& from) {
  const auto number = from.read_plain<std::uint32_t>();
  if (number == number_of_system_error) {
    const bool generic = codec<bool>::decode(from);
    const int code = from.read_plain<int>();
    throw std::system_error(code, generic ? std::generic_category() : std::system_category(),
                            text::decode(from));
  }
  if (number == number_of_crash) {
    worker_crashed::verdict v;
    v.pid = from.read_plain<int>();
    v.signal = from.read_plain<int>();
    v.exit_code = from.read_plain<int>();
    v.stderr_tail = text::decode(from);
    v.call = text::decode(from);
    v.fault_address = codec<std::optional<std::uint64_t>>::decode(from);
    v.stack_overflow = codec<bool>::decode(from);
    v.frames = codec<std::vector<worker_crashed::frame>>::decode(from);
    v.cause = from.read_plain<crash_cause>();
    v.usage = codec<resource_usage>::decode(from);
    v.core_dumped = codec<bool>::decode(from);
    v.attempt = from.read_plain<unsigned>();
    throw worker_crashed(std::move(v));
  }
  if (number == number_of_remote) {
    const std::string type = text::decode(from), what = text::decode(from);
    throw remote_error(type, what, text::decode(from));
  }
  if (number < std::size(rebuilders)) rebuilders[number].rethrow(text::decode(from));
  throw_bad_value("an exception of a kind that does not exist");
}

void throw_remote(const reply& r) {
  decoder from(r.bytes, r.size);
  throw_decoded(from);
}

}  // namespace plait::detail
