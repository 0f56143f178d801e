//! The fuzz target `events`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::events::check(data));
