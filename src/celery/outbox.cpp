#include "celery/outbox.hpp"

#include "celery/client.hpp"
#include "celery/wire/envelope.hpp"
#include "plait/celery/json.hpp"

namespace plait::celery::detail {
namespace {

constexpr const char* queue_name = "outbox";

std::string encode(const workflow_start& start) {
  list groups, chords, parcels;
  for (const auto& group : start.groups) groups.push_back(group.to_value());
  for (const auto& chord : start.chords) chords.push_back(list{chord.group, chord.size});
  for (const auto& p : start.parcels)
    parcels.push_back(list{p.queue, p.priority, p.not_before, p.envelope});
  return to_json(list{std::move(groups), std::move(chords), std::move(parcels)});
}

// As kombu marks what it restores: a worker does not run again what has succeeded.
std::string marked(const std::string& text) {
  auto e = decode_envelope(text);
  e.headers.set("redelivered", true);
  return encode_envelope(e);
}

workflow_start decode(std::string_view text) {
  workflow_start start;
  const auto all = from_value<list>(parse_json(text));
  for (const value& group : from_value<list>(all.at(0)))
    start.groups.push_back(result_tree::from_value(group));
  for (const value& each : from_value<list>(all.at(1))) {
    const auto chord = from_value<list>(each);
    start.chords.push_back(
        {from_value<std::string>(chord.at(0)), from_value<std::size_t>(chord.at(1))});
  }
  for (const value& each : from_value<list>(all.at(2))) {
    const auto p = from_value<list>(each);
    start.parcels.emplace_back(marked(from_value<std::string>(p.at(3))),
                               from_value<std::string>(p.at(0)), from_value<int>(p.at(1)),
                               from_value<std::int64_t>(p.at(2)));
  }
  return start;
}

template <class T>
std::vector<T> just(T one) {
  std::vector<T> all;
  all.push_back(std::move(one));
  return all;
}

}  // namespace

task<broker*> outbox::opened() {
  const auto turn = co_await opening_.acquire();
  if (file_ == nullptr) file_ = co_await open_transport(url_);
  co_return &file_->broker();
}

task<> outbox::keep(std::shared_ptr<const workflow_start> start) {
  auto* file = co_await opened();
  parcel one(encode(*start), queue_name);
  co_await file->publish(just(std::move(one)));
}

task<std::shared_ptr<outbox::kept>> outbox::next() {
  auto* file = co_await opened();
  for (;;) {
    const auto got =
        co_await file->reserve(just(std::string(queue_name)), 1, std::chrono::seconds(30));
    if (got.empty()) continue;
    auto one = std::make_shared<kept>();
    one->lease = leased_ = got.front().tag;
    std::string why;
    try {
      one->start = decode(got.front().envelope);
    } catch (const std::exception& e) {
      why = e.what();
    }
    if (why.empty()) co_return one;
    ending bad;
    bad.tag = one->lease;
    bad.bury_because = why;
    co_await file->finish(just(std::move(bad)));
  }
}

task<> outbox::sent(std::string lease) {
  ending done;
  done.tag = std::move(lease);
  co_await file_->broker().finish(just(std::move(done)));
  leased_.clear();
}

task<> outbox::put_back(std::string lease) {
  co_await file_->broker().restore(just(std::move(lease)), broker::hand_out::does_not_count);
  leased_.clear();
}

task<> outbox::close() {
  if (file_ == nullptr) co_return;
  try {
    if (!leased_.empty()) co_await put_back(leased_);
  } catch (const transport_error&) {  // its lease ends by itself
  }
  co_await file_->close();
  file_.reset();
}

}  // namespace plait::celery::detail
