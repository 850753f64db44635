// Tasks for `plait worker`: a shared library that registers them.
//   plait worker ./libexample_task_library.so --broker redis://127.0.0.1:6379/0
//   python3 -c "from celery import Celery; print(Celery(broker=B, backend=B).send_task('texts.count', ('a b',)).get())"
#include <chrono>
#include <sstream>
#include <stdexcept>
#include <string>

#include <plait/celery.hpp>
#include <plait/celery/library.hpp>
#include <plait/coroutines.hpp>

int count_words(std::string text) {
  if (text.empty()) throw std::invalid_argument("there is no text");
  std::istringstream words(text);
  int count = 0;
  for (std::string word; words >> word;) ++count;
  return count;
}

plait::task<std::string> remind(std::string what, double seconds) {
  co_await plait::sleep(std::chrono::duration_cast<plait::duration>(std::chrono::duration<double>(seconds)));
  co_return "time for " + what;
}

PLAIT_CELERY_TASKS(app) {
  app.task("texts.count", count_words);  // in a worker process
  app.task("texts.remind", remind);      // on the worker's event loop
}
