// celery/application.hpp: what stands behind an app.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "celery/client.hpp"
#include "plait/celery/app.hpp"

namespace plait::celery {

struct app::core {
  explicit core(app_options o)
      : options(std::move(o)), client(std::make_shared<detail::client>(options)) {}
  const app_options options;
  std::map<std::string, std::unique_ptr<detail::task_entry>> tasks;
  std::shared_ptr<detail::client> client;
};

}  // namespace plait::celery
