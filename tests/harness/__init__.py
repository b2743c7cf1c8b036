"""What tests, crash trial and benchmarks are built on: policy, people, clock, wire and processes."""
