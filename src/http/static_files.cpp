#include "plait/http/static_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <vector>

#include "http/conditions.hpp"
#include "http/http_date.hpp"
#include "http/open_beneath.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/http/refusal.hpp"
#include "plait/http/streamed.hpp"

namespace plait::http {
namespace {

constexpr std::size_t piece_size = 64 * 1024;

struct opened {
  net::owned_descriptor fd;
  struct stat status {};
  int error = 0;
};

opened open_now(int folder, const std::string& path, resolution how) {
  opened result;
  result.fd = open_beneath(folder, path, how);
  if (!result.fd || fstat(result.fd.get(), &result.status) == -1) result.error = errno;
  return result;
}

// What the kernel has in memory is opened here, the rest on a thread.
task<std::shared_ptr<opened>> open(std::shared_ptr<net::owned_descriptor> folder,
                                   std::string path) {
  auto result = std::make_shared<opened>(open_now(folder->get(), path, resolution::cached));
  if (result->error == EAGAIN || result->error == EINVAL) {
    const auto on_a_thread = [folder, path] {
      return std::make_shared<opened>(open_now(folder->get(), path, resolution::full));
    };
    result = co_await to_thread(on_a_thread);
  }
  co_return result;
}

// At least one byte unless the file has ended; -errno.
ssize_t read_now(int fd, char* to, std::size_t most, std::uint64_t at, int flags) {
  iovec into{to, most};
  ssize_t got = 0;
  do got = preadv2(fd, &into, 1, static_cast<off_t>(at), flags);
  while (got == -1 && errno == EINTR);
  return got == -1 ? -errno : got;
}

// A piece of a file; shared with the thread that reads it, which nobody can interrupt.
struct piece {
  std::shared_ptr<opened> file;
  std::string bytes;
};

task<std::size_t> read_piece(std::shared_ptr<piece> into, std::size_t wanted, std::uint64_t at) {
  into->bytes.resize(wanted);
  ssize_t got = read_now(into->file->fd.get(), into->bytes.data(), wanted, at, RWF_NOWAIT);
  if (got == -EAGAIN || got == -EOPNOTSUPP || got == -EINVAL) {
    const auto on_a_thread = [into, wanted, at] {
      return read_now(into->file->fd.get(), into->bytes.data(), wanted, at, 0);
    };
    got = co_await to_thread(on_a_thread);
  }
  if (got < 0) throw error("a file could not be read while it was sent");
  co_return static_cast<std::size_t>(got);
}

class file_part final : public response_body {
 public:
  file_part(std::shared_ptr<opened> file, byte_range part) : file_(std::move(file)), part_(part) {}
  std::optional<std::uint64_t> size() const override { return part_.size; }
  task<> write_to(body_writer& out) override {
    const auto into = std::make_shared<piece>(piece{file_, {}});
    for (std::uint64_t sent = 0; sent < part_.size;) {
      const auto wanted = std::min<std::uint64_t>(part_.size - sent, piece_size);
      const std::size_t got =
          co_await read_piece(into, static_cast<std::size_t>(wanted), part_.first + sent);
      if (got == 0) throw error("a file has become shorter while it was sent");
      co_await out.write(std::string_view(into->bytes).substr(0, got));
      sent += got;
    }
  }

 private:
  std::shared_ptr<opened> file_;
  byte_range part_;
};

std::string tag_of(const struct stat& status) {
  char text[80];
  std::snprintf(text, sizeof text, "\"%llx-%llx-%llx%08lx\"",
                static_cast<unsigned long long>(status.st_ino),
                static_cast<unsigned long long>(status.st_size),
                static_cast<unsigned long long>(status.st_mtim.tv_sec),
                static_cast<unsigned long>(status.st_mtim.tv_nsec));
  return text;
}

task<response> file_page(std::shared_ptr<opened> file, const request& asked, std::string name,
                         const static_files_options& options) {
  const struct stat& status = file->status;
  const std::string tag = tag_of(status);
  const validators page{tag, status.st_mtim.tv_sec};
  const auto size = static_cast<std::uint64_t>(status.st_size);
  response answer;
  answer.headers.add("ETag", tag);
  answer.headers.add("Last-Modified", http_date(page.modified));
  if (!options.cache_control.empty()) answer.headers.add("Cache-Control", options.cache_control);
  const verdict said = judge(asked.headers, page);
  if (said != verdict::send) {
    answer.status_code = said == verdict::failed ? 412 : 304;
    co_return answer;
  }
  answer.headers.add("Accept-Ranges", "bytes");
  const bool may_be_part = asked.method == "GET";
  const auto wanted = may_be_part ? range_of(asked.headers, page, size) : wanted_range{};
  if (wanted.kind == range_kind::unsatisfiable) {
    answer.status_code = 416;
    answer.headers.add("Content-Range", "bytes */" + std::to_string(size));
    co_return answer;
  }
  answer.headers.add("Content-Type", content_type_of(name));
  byte_range part{0, size};
  if (wanted.kind == range_kind::part) {
    part = wanted.part;
    answer.status_code = 206;
    answer.headers.add("Content-Range", "bytes " + std::to_string(part.first) + "-" +
                                            std::to_string(part.first + part.size - 1) + "/" +
                                            std::to_string(size));
  }
  if (part.size > piece_size || asked.method == "HEAD") {
    answer.body = std::make_shared<file_part>(std::move(file), part);
  } else if (part.size > 0) {
    const auto into = std::make_shared<piece>(piece{std::move(file), {}});
    const std::size_t got =
        co_await read_piece(into, static_cast<std::size_t>(part.size), part.first);
    if (got != part.size) throw error("a file has become shorter while it was sent");
    answer.content = std::move(into->bytes);
  }
  co_return answer;
}

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '&') {
      result += "&amp;";
    } else if (c == '<') {
      result += "&lt;";
    } else if (c == '>') {
      result += "&gt;";
    } else if (c == '"') {
      result += "&quot;";
    } else {
      result += c;
    }
  }
  return result;
}

std::string in_url(std::string_view name) {
  constexpr char hex[] = "0123456789ABCDEF";
  std::string result = "./";  // so that a colon in it makes no scheme
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      result += c;
    } else {
      result += '%';
      result += hex[byte >> 4];
      result += hex[byte & 15];
    }
  }
  return result;
}

// On a thread. Folders first have a slash at their end; sorted by bytes.
std::string listing(int fd, const std::string& title, dot_files dots) {
  std::vector<std::string> names;
  net::owned_descriptor copy(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (DIR* folder = copy ? fdopendir(copy.get()) : nullptr) {
    copy.release();
    while (const dirent* entry = readdir(folder)) {
      std::string name = entry->d_name;
      if (name == "." || name == ".." || (dots == dot_files::hidden && name.front() == '.'))
        continue;
      struct stat status {};
      const bool is_folder = fstatat(fd, name.c_str(), &status, 0) == 0 && S_ISDIR(status.st_mode);
      names.push_back(std::move(name) + (is_folder ? "/" : ""));
    }
    closedir(folder);
  }
  std::sort(names.begin(), names.end());
  const std::string heading = escaped(title);
  std::string page = "<!doctype html>\n<meta charset=\"utf-8\">\n<title>" + heading +
                     "</title>\n<h1>" + heading + "</h1>\n<ul>\n";
  for (const auto& name : names) {
    const bool is_folder = name.ends_with('/');
    const auto bare = std::string_view(name).substr(0, name.size() - (is_folder ? 1 : 0));
    page +=
        "<li><a href=\"" + in_url(bare) + (is_folder ? "/" : "") + "\">" + escaped(name) + "</a>\n";
  }
  return page + "</ul>\n";
}

// The path within the folder; nothing for what is not there for anybody.
std::optional<std::string> name_within(const request& asked, dot_files dots) {
  std::string path = asked.path_parameters.empty() ? asked.path() : asked.path_parameters.back();
  while (path.starts_with('/')) path.erase(0, 1);
  if (path.find('\0') != std::string::npos) return std::nullopt;
  for (std::size_t at = 0; at <= path.size();) {
    const auto slash = std::min(path.find('/', at), path.size());
    const auto segment = std::string_view(path).substr(at, slash - at);
    if (segment == "." || segment == ".." || (segment.empty() && slash != path.size()))
      return std::nullopt;
    if (dots == dot_files::hidden && segment.starts_with('.')) return std::nullopt;
    at = slash + 1;
  }
  return path;
}

[[noreturn]] void refuse(int code) {
  if (code == EMFILE || code == ENFILE || code == ENOMEM)
    throw refusal(503, "The server is short of descriptors: try again later.");
  if (code == EACCES || code == EPERM) throw refusal(403);
  throw refusal(404, "There is no such page.");
}

struct site {
  std::shared_ptr<net::owned_descriptor> folder;
  static_files_options options;
};

task<response> folder_answer(std::shared_ptr<const site> s, std::shared_ptr<opened> folder,
                             request asked, std::string path) {
  if (!path.empty() && !path.ends_with('/')) {
    std::string to(asked.raw_path());
    // The last segment is enough, and can name no other server.
    to = "./" + to.substr(to.rfind('/') + 1) + "/";
    if (!asked.query_text().empty()) to.append("?").append(asked.query_text());
    response moved;
    moved.status_code = 308;
    moved.headers.add("Location", to);
    co_return moved;
  }
  std::string name = path + "index.html";
  const auto index = co_await open(s->folder, std::move(name));
  if (index->error == 0 && S_ISREG(index->status.st_mode))
    co_return co_await file_page(index, asked, "index.html", s->options);
  if (s->options.folders == folder_page::missing) refuse(ENOENT);
  const std::string title = asked.path();
  const dot_files dots = s->options.dots;
  response answer;
  answer.headers.add("Content-Type", "text/html; charset=utf-8");
  const auto on_a_thread = [folder, title, dots] { return listing(folder->fd.get(), title, dots); };
  answer.content = co_await to_thread(on_a_thread);
  co_return answer;
}

task<response> answer(std::shared_ptr<const site> s, request asked) {
  if (asked.method != "GET" && asked.method != "HEAD") {
    response no = refusal(405).answer();
    no.headers.add("Allow", "GET, HEAD");
    co_return no;
  }
  auto path = name_within(asked, s->options.dots);
  if (!path) refuse(ENOENT);
  std::string name = *path;
  if (name.empty()) name = ".";
  auto file = co_await open(s->folder, std::move(name));
  if (file->error != 0) refuse(file->error);
  if (S_ISDIR(file->status.st_mode))
    co_return co_await folder_answer(s, std::move(file), std::move(asked), std::move(*path));
  if (!S_ISREG(file->status.st_mode) || path->ends_with('/')) refuse(ENOENT);
  co_return co_await file_page(std::move(file), asked, std::move(*path), s->options);
}

}  // namespace

std::function<task<response>(request)> static_files(const std::string& folder,
                                                    static_files_options options) {
  auto fd = std::make_shared<net::owned_descriptor>(
      ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!*fd)
    throw error("the folder '" + folder +
                "' cannot be opened: " + std::error_code(errno, std::generic_category()).message());
  auto s = std::make_shared<const site>(site{std::move(fd), std::move(options)});
  return [s](request asked) { return answer(s, std::move(asked)); };
}

}  // namespace plait::http
