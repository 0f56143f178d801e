//! The fuzz target `metadata`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::metadata::check(data));
