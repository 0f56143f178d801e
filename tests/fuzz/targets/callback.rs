//! The fuzz target `callback`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::callback::check(data));
