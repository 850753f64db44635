// plait/net/whole_file.hpp: all of a file at once.
//
//   const std::string text = co_await plait::net::read_file("settings.json");
//   co_await plait::net::write_file("settings.json", text, plait::net::write_manner::replace);
//
// Stops:    between pieces of a megabyte. A stopped replace leaves the file as it was; the other
//           manners may have written a part.
// Throws:   file_error, descriptors_exhausted.
// Cost:     one trip to a thread (see file.hpp).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "plait/net/file.hpp"

namespace plait::net {

// Also of files whose size the kernel does not know, as in /proc.
task<std::string> read_file(std::string path);

enum class write_manner : std::uint8_t {
  overwrite,  // makes or empties it, then writes
  append,     // makes it if need be, and adds to its end
  // Writes a new file beside it, on the disk for sure, and renames that: whoever reads sees all of
  // the old or all of the new, even after a power cut. Its mode stays, and a symbolic link.
  replace,
};
// `bytes` must stay where they are meanwhile.
task<> write_file(std::string path, std::string_view bytes,
                  write_manner manner = write_manner::overwrite);

}  // namespace plait::net
