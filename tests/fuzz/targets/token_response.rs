//! The fuzz target `token_response`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::token_response::check(data));
