//! The fuzz target `paste`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::paste::check(data));
