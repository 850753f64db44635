// The smallest case: proves that the harness sees a fault and reads what the compiler says about
// it.
#ifdef FAULT
static_assert(false, "the fault is present");
#endif
int main() {}
