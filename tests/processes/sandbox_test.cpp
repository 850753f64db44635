#include <plait/processes.hpp>
#include <gtest/gtest.h>
#include <fcntl.h>
#include <unistd.h>
int f(int x){ return x+1; }
int o(const std::string& p){ int fd=open(p.c_str(),O_RDONLY); return fd<0?errno:0; }
TEST(S,S){ plait::process_pool_executor pool({.max_workers=1,.sandbox=plait::sandbox{}}); EXPECT_EQ(pool.submit(f,1).get(),2); EXPECT_EQ(pool.submit(o,std::string("/etc/passwd")).get(),EPERM);
 plait::process_pool_executor p2({.max_workers=1,.sandbox=plait::sandbox{.readable={"/etc/hostname"}}}); EXPECT_EQ(p2.submit(o,std::string("/etc/hostname")).get(),0); EXPECT_EQ(p2.submit(o,std::string("/etc/passwd")).get(),EACCES);
}
