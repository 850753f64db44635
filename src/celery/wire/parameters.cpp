#include "plait/celery/parameters.hpp"

#include <algorithm>
#include <stdexcept>

namespace plait::celery {
namespace {

// Python names the function, not the module: "add()".
std::string called(std::string_view task) {
  return std::string(task.substr(task.rfind('.') + 1)) + "()";
}

// "'a'", "'a' and 'b'", "'a', 'b', and 'c'"
std::string enumerated(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += names.size() == 2 ? " and " : i + 1 == names.size() ? ", and " : ", ";
    text += names[i];
  }
  return text;
}

const char* plural(std::size_t count) { return count == 1 ? "" : "s"; }

}  // namespace

parameters::parameters(std::initializer_list<parameter> all) : all_(all) {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    for (std::size_t before = 0; before < i; ++before)
      if (all_[before].name == all_[i].name)
        throw std::invalid_argument("duplicate argument '" + all_[i].name +
                                    "' in the parameters of a task");
    if (i > 0 && all_[i - 1].fallback && !all_[i].fallback)
      throw std::invalid_argument("non-default argument '" + all_[i].name +
                                  "' follows default argument");
  }
}

// In CPython's order: keywords first, then too many, then too few.
list parameters::bind(std::string_view task, std::size_t arity, list args, dict kwargs) const {
  if (!all_.empty() && all_.size() != arity)
    throw std::invalid_argument(called(task) + " takes " + std::to_string(arity) +
                                " arguments but " + std::to_string(all_.size()) + " are named");
  const std::size_t given = args.size();
  std::vector<bool> bound(arity);
  std::fill_n(bound.begin(), std::min(given, arity), true);
  args.resize(std::max(given, arity));
  for (dict::entry& each : kwargs) {
    const auto at = std::find_if(all_.begin(), all_.end(),
                                 [&](const parameter& p) { return p.name == each.key; });
    if (at == all_.end())
      throw type_error(called(task) + " got an unexpected keyword argument '" + each.key + "'");
    const auto index = static_cast<std::size_t>(at - all_.begin());
    if (bound[index])
      throw type_error(called(task) + " got multiple values for argument '" + each.key + "'");
    args[index] = std::move(each.value);
    bound[index] = true;
  }
  if (given > arity) {
    const auto defaults = static_cast<std::size_t>(
        std::count_if(all_.begin(), all_.end(), [](const parameter& p) { return p.fallback; }));
    const std::string takes =
        defaults == 0 ? std::to_string(arity)
                      : "from " + std::to_string(arity - defaults) + " to " + std::to_string(arity);
    throw type_error(called(task) + " takes " + takes + " positional argument" +
                     (defaults == 0 ? plural(arity) : "s") + " but " + std::to_string(given) +
                     (given == 1 ? " was" : " were") + " given");
  }
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < arity; ++i) {
    if (bound[i]) continue;
    if (all_.empty())
      missing.push_back('#' + std::to_string(i + 1));
    else if (all_[i].fallback)
      args[i] = *all_[i].fallback;
    else
      missing.push_back('\'' + all_[i].name + '\'');
  }
  if (!missing.empty())
    throw type_error(called(task) + " missing " + std::to_string(missing.size()) +
                     " required positional argument" + plural(missing.size()) + ": " +
                     enumerated(missing));
  return args;
}

type_error detail::wrong_argument(std::string_view task, const parameters& names, std::size_t index,
                                  const type_error& e) {
  const std::string name = index < names.all().size() ? '\'' + names.all()[index].name + '\''
                                                      : std::to_string(index + 1);
  return type_error(called(task) + " argument " + name + e.path() + ' ' + e.complaint());
}

}  // namespace plait::celery
