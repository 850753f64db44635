// Compiles with and without FAULT: the harness must refuse it.
int main() {}
