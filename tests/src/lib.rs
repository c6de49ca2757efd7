//! End-to-end suites with the real servers that they need, and benchmarks against peers.
