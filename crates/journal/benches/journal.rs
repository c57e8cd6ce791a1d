//! Placeholder of the benchmark.
fn main() {}
