#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_replay::read_network_policy(input));
