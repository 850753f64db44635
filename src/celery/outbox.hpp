// celery/outbox.hpp: calls that the broker did not take, kept in a file until it does.
//
// Threads, stops, throws: as broker.hpp. Several programs may share one file: each call is handed on by
// one of them.
#pragma once

#include <memory>
#include <string>

#include "celery/canvas.hpp"
#include "celery/transport.hpp"
#include "plait/coroutines.hpp"

namespace plait::celery::detail {

class outbox {
 public:
  explicit outbox(std::string url) : url_(std::move(url)) {}
  struct kept {
    std::string lease;
    workflow_start start;
  };

  // Durable when it returns.
  task<> keep(std::shared_ptr<const workflow_start> start);
  // Waits for one. Its messages say that they may have been sent before.
  task<std::shared_ptr<kept>> next();
  task<> sent(std::string lease);
  task<> put_back(std::string lease);
  // What next() gave and nobody ended is there for the next one.
  task<> close();

 private:
  task<broker*> opened();
  const std::string url_;
  plait::lock opening_;
  std::unique_ptr<transport> file_;
  std::string leased_;
};

}  // namespace plait::celery::detail
