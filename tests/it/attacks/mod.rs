//! The attack matrix: each test is named after its case in `cases.txt`.

mod addresses;
mod answers;
mod authorization;
mod bindings;
mod callback;
mod challenges;
mod discovery;
mod documents;
mod dumps;
mod files;
mod floods;
mod headers;
mod ids;
mod keychain;
mod log_files;
mod login;
mod memory;
mod observer;
mod ports;
mod processes;
mod project;
mod publisher;
mod refusal;
mod sayings;
mod stdio;
