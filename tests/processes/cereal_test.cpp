#include <plait/processes.hpp>
#include <plait/processes/cereal.hpp>

#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

class account {
 public:
  account() = default;
  account(std::string owner, std::vector<int> moves)
      : owner_(std::move(owner)), moves_(std::move(moves)) {}
  template <class Archive>
  void serialize(Archive& archive) {
    archive(cereal::make_nvp("owner", owner_), moves_, tags_);
  }
  int balance() const {
    int sum = 0;
    for (int m : moves_) sum += m;
    return sum;
  }
  const std::string& owner() const { return owner_; }

 private:
  std::string owner_;
  std::vector<int> moves_;
  std::map<std::string, double> tags_{{"rate", 0.5}};
};

struct tree {  // holds itself
  int value = 0;
  std::unique_ptr<tree> left, right;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(value, left, right);
  }
};

account credited(account a) { return account(a.owner() + "!", {a.balance(), 1}); }
int sum(tree t) {
  int all = t.value;
  if (t.left) all += sum(std::move(*t.left));
  if (t.right) all += sum(std::move(*t.right));
  return all;
}

TEST(Cereal, ClassesWithSerializeTravelBothWays) {
  plait::process_pool_executor pool{1};
  const account a = pool.submit(credited, account("ann", {1, 2, 3})).get();
  EXPECT_EQ(a.owner(), "ann!");
  EXPECT_EQ(a.balance(), 7);
}

TEST(Cereal, InsideOurContainersAndWithPointersOfItsOwn) {
  plait::encoder to;
  const std::vector<account> two{account("a", {1}), account("b", {2})};
  plait::codec<std::vector<account>>::encode(to, two);
  plait::decoder from(to.data(), to.size());
  EXPECT_EQ(plait::codec<std::vector<account>>::decode(from).at(1).owner(), "b");

  tree t;
  t.value = 1;
  t.left = std::make_unique<tree>();
  t.left->value = 41;
  plait::encoder bytes;
  plait::codec<tree>::encode(bytes, t);
  plait::decoder back(bytes.data(), bytes.size());
  EXPECT_EQ(sum(plait::codec<tree>::decode(back)), 42);
}

TEST(Cereal, TruncatedBytesAreRefused) {
  plait::encoder to;
  plait::codec<account>::encode(to, account("ann", std::vector<int>(10, 1)));
  for (std::size_t n = 0; n < to.size(); ++n) {
    plait::decoder from(to.data(), n);
    EXPECT_THROW(plait::codec<account>::decode(from), plait::serialization_error) << n;
  }
}

}  // namespace
