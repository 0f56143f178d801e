//! The attack matrix: each test is named after its case in `cases.txt`.

mod authorization;
mod callback;
mod discovery;
mod dumps;
mod files;
mod headers;
mod ids;
mod keychain;
mod log_files;
mod login;
mod memory;
mod ports;
mod processes;
mod project;
mod stdio;
