// plait/processes/cereal.hpp: types with a cereal `serialize`, `save` and `load` travel too.
//
// Include it before the calls that need it, beside the <cereal/types/...> that the types need; a
// program that uses it needs cereal's headers (Debian: libcereal-dev). The archives below are
// ordinary cereal binary archives on our bytes; sizes are checked before memory is taken, and what
// cereal throws arrives as serialization_error.
#pragma once

#include <cereal/cereal.hpp>

#include <string>
#include <type_traits>

#include "plait/processes/codec.hpp"
#include "plait/processes/errors.hpp"

namespace plait {

class output_archive
    : public cereal::OutputArchive<output_archive, cereal::AllowEmptyClassElision> {
 public:
  explicit output_archive(encoder& to) : OutputArchive(this), to_(to) {}
  void write(const void* bytes, std::size_t n) { to_.write(bytes, n); }

 private:
  encoder& to_;
};

class input_archive : public cereal::InputArchive<input_archive, cereal::AllowEmptyClassElision> {
 public:
  explicit input_archive(decoder& from) : InputArchive(this), from_(from) {}
  void read(void* to, std::size_t n) { from_.read(to, n); }
  std::size_t remaining() const noexcept { return from_.remaining(); }

 private:
  decoder& from_;
};

// cereal finds these by argument-dependent lookup; the names are its own.
template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const T& value) {
  archive.write(&value, sizeof value);
}
template <class T>
requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, T& value) {
  archive.read(&value, sizeof value);
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(output_archive& archive, cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}
template <class T>
void CEREAL_SERIALIZE_FUNCTION_NAME(input_archive& archive, cereal::NameValuePair<T>& pair) {
  archive(pair.value);
}
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const cereal::SizeTag<T>& tag) {
  archive(static_cast<cereal::size_type>(tag.size));
}
// cereal's containers resize to what they read here: more elements than bytes cannot be true.
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, cereal::SizeTag<T>& tag) {
  cereal::size_type size = 0;
  archive(size);
  if (size > archive.remaining()) detail::throw_bad_size(size, archive.remaining());
  tag.size = static_cast<std::remove_cvref_t<T>>(size);
}
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const cereal::BinaryData<T>& data) {
  archive.write(data.data, static_cast<std::size_t>(data.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, cereal::BinaryData<T>& data) {
  archive.read(data.data, static_cast<std::size_t>(data.size));
}

// Whoever wrote a serialize decides how the type travels, also where its members would do.
template <class T>
requires(detail::has_serialize<T>&& std::is_default_constructible_v<T>) struct codec<T> {
  static void encode(encoder& to, const T& value) {
    try {
      output_archive archive(to);
      archive(value);
    } catch (const cereal::Exception& e) {
      throw serialization_error(std::string("cannot encode: ") + e.what());
    }
  }
  static T decode(decoder& from) {
    T value{};
    try {
      input_archive archive(from);
      archive(value);
    } catch (const cereal::Exception& e) {
      throw serialization_error(std::string("cannot decode: ") + e.what());
    }
    return value;
  }
};

}  // namespace plait

CEREAL_REGISTER_ARCHIVE(plait::output_archive)
CEREAL_REGISTER_ARCHIVE(plait::input_archive)
CEREAL_SETUP_ARCHIVE_TRAITS(plait::input_archive, plait::output_archive)
