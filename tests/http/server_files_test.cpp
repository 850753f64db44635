// Static files: what is sent of them, what is not, and that nothing outside the folder can be had.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "http/conditions.hpp"
#include "http/multipart_text.hpp"
#include "http/open_beneath.hpp"
#include "plait/http/form.hpp"
#include "plait/http/router.hpp"
#include "plait/http/static_files.hpp"
#include "plait/http/streamed.hpp"
#include "plait/testing/unhandled_recorder.hpp"
#include "servers.hpp"

namespace {

namespace http = plait::http;
namespace fs = std::filesystem;

TEST(Conditions, RangesAreReadAsTheRfcSays) {
  using enum http::range_kind;
  const auto is = [](const char* text, http::range_kind kind, std::uint64_t first = 0,
                     std::uint64_t size = 0) {
    const auto got = http::parse_range(text, 100);
    EXPECT_EQ(got.kind, kind) << text;
    EXPECT_EQ(got.part.first, first) << text;
    EXPECT_EQ(got.part.size, size) << text;
  };
  is("bytes=0-9", part, 0, 10);
  is("BYTES=5-", part, 5, 95);
  is("bytes=-5", part, 95, 5);
  is("bytes=-500", part, 0, 100);
  is("bytes=99-99999999999999999999999", part, 99, 1);
  is("bytes=100-", unsatisfiable);
  is("bytes=99999999999999999999999-", unsatisfiable);
  is("bytes=-0", unsatisfiable);
  for (const char* whole_of : {"", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "lines=0-1",
                               "bytes=0-1,5-6", "bytes=--5", "bytes=1-2-3", "bytes=0x1-2"})
    is(whole_of, whole);
  EXPECT_EQ(http::parse_range("bytes=0-", 0).kind, unsatisfiable);
  EXPECT_EQ(http::parse_range("bytes=-5", 0).kind, unsatisfiable);
}

TEST(Conditions, TagsAndDatesAreJudgedInTheirOrder) {
  const http::validators page{"\"v1\"", 784111777};
  const auto judged = [&](const char* name, const char* value) {
    return http::judge(http::headers{{name, value}}, page);
  };
  EXPECT_EQ(judged("If-None-Match", "\"v1\""), http::verdict::not_modified);
  EXPECT_EQ(judged("If-None-Match", "\"x\", W/\"v1\""), http::verdict::not_modified);
  EXPECT_EQ(judged("If-None-Match", "*"), http::verdict::not_modified);
  EXPECT_EQ(judged("If-None-Match", "\"v2\""), http::verdict::send);
  EXPECT_EQ(judged("If-Match", "W/\"v1\""), http::verdict::failed);
  EXPECT_EQ(judged("If-Match", "\"v1\""), http::verdict::send);
  EXPECT_EQ(judged("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),
            http::verdict::not_modified);
  EXPECT_EQ(judged("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"), http::verdict::send);
  EXPECT_EQ(judged("If-Modified-Since", "yesterday"), http::verdict::send);
  EXPECT_EQ(judged("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT"), http::verdict::failed);
  const http::headers both{{"If-None-Match", "\"v2\""},
                           {"If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"}};
  EXPECT_EQ(http::judge(both, page), http::verdict::send) << "the tag counts, not the date";
}

http::form_failure parts_of(const std::string& body, std::vector<http::form_part>& parts,
                            http::form_limits limits = {}) {
  parts.clear();
  return http::parse_multipart(body, "B", limits, parts);
}

TEST(Forms, AreReadInBothEncodings) {
  http::request asked;
  asked.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
  asked.content = "a=1+2&b=%C3%BC&&a=3&c";
  const auto sent = http::form_of(asked);
  EXPECT_EQ(sent.get("a"), "1 2");
  EXPECT_EQ(sent.get("b"), "\xc3\xbc");
  EXPECT_EQ(sent.parts.size(), 4u);
  EXPECT_EQ(sent.find("d"), nullptr);
  asked.headers.set("Content-Type", "multipart/form-data; boundary=\"B\"");
  asked.content =
      "preamble\r\n--B\r\nContent-Disposition: form-data; name=\"x \\\"y\\\"\"\r\n\r\none\r\n--B  "
      "\r\n"
      "content-type: image/png\r\ncontent-disposition: form-data; filename=\"a;b.png\"; "
      "name=file\r\n\r\n"
      "\r\n--\r\n--C\r\n--B\r\nContent-Disposition: form-data; name=e\r\n\r\n\r\n--B--\r\nepilogue";
  const auto parts = http::form_of(asked);
  ASSERT_EQ(parts.parts.size(), 3u);
  EXPECT_EQ(parts.get("x \"y\""), "one");
  EXPECT_EQ(parts.find("file")->file_name, "a;b.png");
  EXPECT_EQ(parts.find("file")->content_type, "image/png");
  EXPECT_EQ(parts.get("file"), "\r\n--\r\n--C");
  EXPECT_EQ(parts.get("e"), "");
}

TEST(Forms, ThatCannotBeReadOrAreTooLargeAreRefused) {
  std::vector<http::form_part> parts;
  const std::string head = "Content-Disposition: form-data; name=a\r\n\r\n";
  for (const std::string& bad :
       {std::string(), std::string("--B"), "--B\r\n" + head, "--B\r\n" + head + "text\r\n--",
        "--Bx\r\n" + head + "\r\n--B--", std::string("--B\r\nno colon\r\n\r\n\r\n--B--"),
        std::string("--B\r\nContent-Type: a\r\n\r\n\r\n--B--"),
        std::string("--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\n\r\n--B--")})
    EXPECT_EQ(parts_of(bad, parts), http::form_failure::malformed) << bad;
  const std::string two = "--B\r\n" + head + "1\r\n--B\r\n" + head + "2\r\n--B--";
  EXPECT_EQ(parts_of(two, parts), http::form_failure::none);
  EXPECT_EQ(parts_of(two, parts, {.parts = 1}), http::form_failure::too_many_parts);
  EXPECT_EQ(parts_of("--B\r\nX: " + std::string(500, 'x') + "\r\n" + head + "\r\n--B--", parts,
                     {.head_bytes = 100}),
            http::form_failure::head_too_large);
  http::request asked;
  EXPECT_THROW(http::form_of(asked), http::refusal);
}

class folder_on_disk {
 public:
  folder_on_disk() {
    char name[] = "/tmp/plait-files-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~folder_on_disk() { fs::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// root/ is served; secret.txt lies beside it.
struct site : folder_on_disk {
  site() {
    write("secret.txt", "secret");
    write("root/a.txt", "0123456789");
    write("root/.hidden", "hidden");
    write("root/sub/index.html", "<p>index");
    write("root/list/b&<.txt", "b");
    write("root/empty", "");
    fs::create_symlink("../secret.txt", path() / "root/out");
    fs::create_symlink("/etc/passwd", path() / "root/absolute");
    fs::create_symlink("..", path() / "root/up");
    fs::create_symlink("a.txt", path() / "root/in");
    mkfifo((path() / "root/fifo").c_str(), 0600);
  }
  std::string root() const { return path() / "root"; }
};

plait::task<http::response> asked(std::function<plait::task<http::response>(http::request)> files,
                                  http::request r) {
  http::response answer;
  try {
    answer = co_await files(std::move(r));
  } catch (const http::refusal& said) {
    answer = said.answer();
  }
  struct collect final : http::body_writer {
    std::string all;
    plait::task<> write(std::string_view piece) override {
      all.append(piece);
      co_return;
    }
  } out;
  if (answer.body != nullptr) {
    co_await answer.body->write_to(out);
    answer.content = out.all;
  }
  co_return answer;
}

http::response get(const site& s, const char* target, http::headers fields = {},
                   http::static_files_options options = {}, const char* method = "GET") {
  http::request r;
  r.method = method;
  r.target = target;
  r.headers = std::move(fields);
  return plait::run(asked(http::static_files(s.root(), std::move(options)), std::move(r)));
}

TEST(StaticFiles, AreSentWithTypeAndValidators) {
  const site s;
  const auto answer = get(s, "/a.txt?x=1");
  EXPECT_EQ(answer.status_code, 200);
  EXPECT_EQ(answer.content, "0123456789");
  EXPECT_EQ(answer.headers.get("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(answer.headers.get("Accept-Ranges"), "bytes");
  const std::string tag(answer.headers.get("ETag")), date(answer.headers.get("Last-Modified"));
  EXPECT_EQ(get(s, "/a.txt", {{"If-None-Match", tag}}).status_code, 304);
  EXPECT_EQ(get(s, "/a.txt", {{"If-Modified-Since", date}}).status_code, 304);
  EXPECT_EQ(get(s, "/a.txt", {{"If-Match", "\"other\""}}).status_code, 412);
  EXPECT_EQ(get(s, "/a.txt", {{"Range", "bytes=2-4"}}).content, "234");
  const auto part = get(s, "/a.txt", {{"Range", "bytes=-3"}, {"If-Range", tag}});
  EXPECT_EQ(part.status_code, 206);
  EXPECT_EQ(part.headers.get("Content-Range"), "bytes 7-9/10");
  EXPECT_EQ(part.content, "789");
  EXPECT_EQ(get(s, "/a.txt", {{"Range", "bytes=2-4"}, {"If-Range", "\"old\""}}).status_code, 200);
  const auto beyond = get(s, "/a.txt", {{"Range", "bytes=10-"}});
  EXPECT_EQ(beyond.status_code, 416);
  EXPECT_EQ(beyond.headers.get("Content-Range"), "bytes */10");
  EXPECT_EQ(get(s, "/a.txt", {{"Range", "bytes=0-1,3-4"}}).content, "0123456789");
  EXPECT_EQ(get(s, "/empty").content, "");
  EXPECT_EQ(get(s, "/in").content, "0123456789") << "a link to a file within";
  EXPECT_EQ(get(s, "/a.txt", {}, {}, "POST").status_code, 405);
}

TEST(StaticFiles, NothingLeadsOut) {
  const site s;
  for (const char* target : {"/../secret.txt",
                             "/%2e%2e/secret.txt",
                             "/..%2fsecret.txt",
                             "/sub/../../secret.txt",
                             "/%2e%2e%2fsecret.txt",
                             "//../secret.txt",
                             "/out",
                             "/absolute",
                             "/up/secret.txt",
                             "/./../secret.txt",
                             "/a.txt%00.html",
                             "/.hidden",
                             "/fifo",
                             "/a.txt/",
                             "/sub//index.html",
                             "/sub/.",
                             "/..",
                             "/.",
                             "/missing",
                             "/list/",
                             "http://h/../secret.txt"}) {
    const auto answer = get(s, target);
    EXPECT_EQ(answer.status_code, 404) << target;
    EXPECT_EQ(answer.content.find("secret"), std::string::npos) << target;
  }
  EXPECT_EQ(get(s, "/.hidden", {}, {.dots = http::dot_files::shown}).content, "hidden");
}

// As on a kernel without openat2.
TEST(StaticFiles, NothingLeadsOutWithoutTheKernelsHelp) {
  const site s;
  const plait::net::owned_descriptor root(
      open(s.root().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto opens = [&](const char* path) {
    return static_cast<bool>(http::open_beneath(root.get(), path, http::resolution::by_hand));
  };
  for (const char* inside : {"a.txt", ".", "sub", "sub/", "sub/index.html", "fifo"})
    EXPECT_TRUE(opens(inside)) << inside;
  for (const char* outside : {"..", "../secret.txt", "sub/../../secret.txt", "out", "up/secret.txt",
                              "absolute", "in", "/etc/passwd", "missing", "a.txt/x", "a.txt/"}) {
    const auto fd = http::open_beneath(root.get(), outside, http::resolution::by_hand);
    EXPECT_FALSE(fd) << outside;
  }
}

TEST(StaticFiles, FoldersHaveAnIndexAListOrNothing) {
  const site s;
  EXPECT_EQ(get(s, "/sub/").content, "<p>index");
  const auto moved = get(s, "/sub?x=1");
  EXPECT_EQ(moved.status_code, 308);
  EXPECT_EQ(moved.headers.get("Location"), "./sub/?x=1");
  EXPECT_EQ(get(s, "/list/").status_code, 404);
  const auto listed = get(s, "/list/", {}, {.folders = http::folder_page::listed});
  EXPECT_NE(listed.content.find("<a href=\"./b%26%3C.txt\">b&amp;&lt;.txt</a>"), std::string::npos)
      << listed.content;
  const auto top = get(s, "/", {}, {.folders = http::folder_page::listed});
  EXPECT_EQ(top.content.find(".hidden"), std::string::npos);
  EXPECT_NE(top.content.find("\"./sub/\""), std::string::npos);
  EXPECT_THROW(http::static_files("/no/such/folder"), http::error);
}

plait::task<> fetch_and_cut(const site& s, std::string url) {
  const std::string large(3'000'000, 'L');
  s.write("root/large.bin", large);
  http::client_session session;
  const auto whole = co_await session.get(url + "/f/large.bin");
  EXPECT_EQ(whole.content, large);
  const auto part = co_await session.get(
      url + "/f/large.bin", http::request_options().with_header("Range", "bytes=1000000-2999999"));
  EXPECT_EQ(part.status_code, 206);
  EXPECT_EQ(part.content.size(), 2'000'000u);
  const auto head = co_await session.head(url + "/f/large.bin");
  EXPECT_EQ(head.headers.get("Content-Length"), "3000000");
  // It shrinks while it is sent: the kernel's buffers take far less than it has.
  s.write("root/large.bin", std::string(60'000'000, 'L'));
  const http::url to(url);
  auto stream = co_await plait::net::tcp_stream::connect(to.host(), to.port());
  co_await stream.write_all("GET /f/large.bin HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto began = co_await read_head(stream);
  EXPECT_TRUE(began.starts_with("HTTP/1.1 200 "));
  fs::resize_file(s.path() / "root/large.bin", 100'000);
  bool cut = false;
  std::size_t got = began.size();
  std::string buffer(65536, '\0');
  try {
    while (const std::size_t n = co_await stream.read_some(buffer)) got += n;
  } catch (const plait::net::connection_closed&) {
    cut = true;
  }
  EXPECT_TRUE(cut);
  EXPECT_LT(got, 60'000'000u);
}

TEST(StaticFiles, LargeOnesTravelInPiecesAndOneThatShrinksIsCut) {
  const plait::testing::unhandled_recorder recorder;
  const site s;
  http::router routes;
  routes.get("/f/{path...}", http::static_files(s.root()));
  struct serving {
    static plait::task<> beside(http::server& server, const site& s) {
      auto running = plait::spawn(server.serve());
      co_await fetch_and_cut(s, server.url());
      co_await ended(std::move(running));
    }
  };
  http::server server({.drain = plait::duration::zero()}, std::move(routes));
  plait::run(serving::beside(server, s));
  EXPECT_EQ(recorder.count(), 1u);
}

}  // namespace
