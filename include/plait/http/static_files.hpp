// plait/http/static_files.hpp: a folder's files as pages.
//
//   routes.get("/files/{path...}", plait::http::static_files("/srv/files"));
//
// The path below the folder is what the pattern's last {name...} stands for; without one, the whole
// path. A folder is answered by its index.html, and one without the slash at its end by 308 to it.
//
// Nothing outside of the folder is ever opened, whatever the path or a symbolic link says: the kernel
// resolves the name beneath it (openat2, RESOLVE_BENEATH), and without that call no symbolic link is
// followed at all. Names that begin with a dot are not there, unless options say so.
//
// Validation: ETag (from inode, size and time) and Last-Modified; If-Match, If-None-Match,
//           If-Modified-Since, If-Unmodified-Since, If-Range, and Range with one range: 206 or 416.
//           Several ranges at once are answered by the whole file, as RFC 9110, 14.2 allows.
// Blocks:   never the loop: what the page cache has not is read on default_thread_pool().
// Throws:   static_files(): error if the folder cannot be opened. A file that becomes shorter while
//           it is sent cuts the connection, for its length has been promised.
// Cost:     64 KiB a file that is being sent, of whatever size; smaller ones go with their header in
//           one system call.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "plait/coroutines/task.hpp"
#include "plait/http/request.hpp"
#include "plait/http/response.hpp"

namespace plait::http {

enum class folder_page { missing, listed };
enum class dot_files { hidden, shown };

struct static_files_options {
  // What a folder without index.html answers: 404, or a page with its files' names.
  folder_page folders = folder_page::missing;
  dot_files dots = dot_files::hidden;
  // Sent as it is, such as "public, max-age=3600"; empty: none.
  std::string cache_control = {};
};

// A handler for router::get and server.
std::function<task<response>(request)> static_files(const std::string& folder,
                                                    static_files_options wanted = {});

// "text/html; charset=utf-8" for "index.html"; application/octet-stream for what is not known.
std::string_view content_type_of(std::string_view file_name) noexcept;

}  // namespace plait::http
