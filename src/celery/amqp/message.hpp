// src/celery/amqp/message.hpp: kombu's message as one JSON text, which the seam has, and as AMQP's
// properties and body, which RabbitMQ has.
//
// A text that is no such message travels as it is, under a content type of its own.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "celery/amqp/connection.hpp"

namespace plait::celery::amqp {

// Headers of ours; no text that we hand out has them.
inline constexpr const char* deliveries_header = "x-plait-deliveries";  // hand-outs before this one
inline constexpr const char* reason_header = "x-plait-reason";          // of the dead
inline constexpr const char* died_at_header = "x-plait-died-at";        // milliseconds since 1970

// By the default exchange.
outgoing to_queue(std::string_view envelope, const std::string& queue);
// To wherever the envelope's delivery_info says; for control and events.
outgoing to_exchange(std::string_view envelope, const std::string& exchange,
                     const std::string& routing_key);
std::string envelope_of(const incoming& message);
// A header of ours; 0 if there is none.
std::int64_t number_in(const incoming& message, const char* header);
std::string text_in(const incoming& message, const char* header);
// How often it was handed out, this time included, as far as RabbitMQ tells.
unsigned deliveries_of(const incoming& message);
// The same to be published again, without headers of ours.
outgoing again(const incoming& message, const std::string& queue);

}  // namespace plait::celery::amqp
