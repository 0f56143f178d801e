//! The fuzz target `edit`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::edit::check(data));
