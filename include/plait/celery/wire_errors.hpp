// plait/celery/wire_errors.hpp: what can be wrong with data that another program wrote, or must read.
//
//   celery::error
//   ├── decode_error   a message or a result that nobody can understand: why, where, of which task
//   ├── encode_error   a value that the other side could not read as what it is
//   └── type_error     a call whose arguments do not fit, in the words of Python's TypeError
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "plait/celery/errors.hpp"

namespace plait::celery {

class decode_error : public error {
 public:
  enum class reason : unsigned char {
    not_json,      // no JSON text: syntax, UTF-8, something after its end
    too_large,     // deeper or longer than the limits
    bad_envelope,  // body, properties or delivery_info missing or of another type
    bad_header,    // a task header that is missing or of another type
    bad_body,      // base64, compression, or not the [args, kwargs, embed] of a task
    refused,       // a content type that is not decoded here: pickle, yaml
    bad_result,    // what a result backend keeps is no result
    bad_control,   // a remote control message, its reply, or an event
  };
  decode_error(reason why, const std::string& message, std::optional<std::string> task_id = {})
      : error(message), why_(why), task_id_(std::move(task_id)) {}

  reason why() const noexcept { return why_; }
  // Of the task that waits for a result, where it could be read: its failure can be stored.
  const std::optional<std::string>& task_id() const noexcept { return task_id_; }

 private:
  reason why_;
  std::optional<std::string> task_id_;
};

class encode_error : public error {
 public:
  using error::error;
};

// `path` leads from the argument to the part that does not fit: "[3]['name']".
class type_error : public error {
 public:
  explicit type_error(const std::string& complaint) : type_error({}, complaint) {}
  type_error(std::string path, std::string complaint)
      : error(path.empty() ? complaint : path + " " + complaint),
        path_(std::move(path)),
        complaint_(std::move(complaint)) {}

  const std::string& path() const noexcept { return path_; }
  const std::string& complaint() const noexcept { return complaint_; }
  // The same, seen from one level further out.
  type_error within(const std::string& step) const { return {step + path_, complaint_}; }

 private:
  std::string path_, complaint_;
};

}  // namespace plait::celery
