#include "celery/sqlite/store.hpp"
#include "plait/coroutines/run.hpp"
#include "plait/coroutines/shield.hpp"

namespace plait::celery {
namespace sqlite {
namespace {

struct location {
  std::string file, synchronous = "FULL";
  // sqlite:FILE and sqlite:///FILE; ?synchronous=normal gives the last commits up to a power cut.
  explicit location(const std::string& url) : file(url.substr(url.find(':') + 1)) {
    if (file.starts_with("//")) file.erase(0, 2);
    if (const auto mark = file.find('?'); mark != std::string::npos) {
      const std::string option = file.substr(mark + 1);
      file.resize(mark);
      if (option == "synchronous=normal") {
        synchronous = "NORMAL";
      } else if (option == "synchronous=off") {
        synchronous = "OFF";
      } else if (option != "synchronous=full") {
        throw std::invalid_argument(
            "sqlite: \"" + option +
            "\": synchronous=full, =normal or =off is all that can be said");
      }
    }
    if (file.empty())
      throw std::invalid_argument("sqlite: expected sqlite:FILE, not \"" + url + '"');
    if (file == ":memory:")
      throw std::invalid_argument("sqlite: a database in memory is nobody else's; use memory:");
  }
};

class whole final : public detail::transport {
 public:
  explicit whole(const location& l)
      : bell_(l.file),
        database_(
            l.file, l.synchronous, [](void* b) { static_cast<bell*>(b)->ring(); }, &bell_) {}
  // Flows that have not begun must not.
  ~whole() override { stop(); }

  // The loop's part, after the thread that opened the file has done so.
  task<> begin() {
    co_await mail_.begin();
    listening_ = spawn(bell_.listen());
    watching_ = spawn(results_.watch());
  }
  detail::broker& broker() override { return queue_; }
  detail::result_backend& backend() override { return results_; }
  detail::control_channel& control() override { return mail_; }
  task<> close() override {
    stop();
    for (auto* background : {&watching_, &listening_}) {
      if (!background->valid()) continue;
      try {
        co_await *background;
      } catch (const cancelled_error&) {
      } catch (const transport_error&) {  // what it failed of is over
      }
    }
  }

 private:
  void stop() noexcept {
    for (auto* background : {&watching_, &listening_})
      if (background->valid()) background->cancel();
  }
  bell bell_;
  database database_;
  results results_{database_, bell_};
  queue_broker queue_{database_, bell_, results_};
  mail mail_{database_, bell_};
  future<> listening_, watching_;
};

}  // namespace
}  // namespace sqlite

namespace detail {

task<std::unique_ptr<transport>> open_sqlite(std::string url) {
  const sqlite::location where(url);
  const auto open = [&where] { return std::make_unique<sqlite::whole>(where); };
  auto opened = co_await to_thread(open);  // waited for, should it be stopped
  co_await opened->begin();
  co_return opened;
}

}  // namespace detail
}  // namespace plait::celery
