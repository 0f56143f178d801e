//! The fuzz target `framing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::framing::check(data));
