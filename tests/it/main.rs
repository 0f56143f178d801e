//! The integration tests: the built binary among scripted and real servers, on loopback only.
//!
//! One binary, so that all of it links once. What a test starts ends with it, by process id; every
//! server binds port 0; nothing waits for a time to pass: deadlines only say that a test failed.

// A test's word for "this must hold" is a panic, and what it leaves out it says on stderr.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod ahead;
mod asked_again;
mod attacks;
mod authorizer;
mod authorizer_interruptions;
mod bare;
mod batches;
mod changes;
mod commands;
mod completions;
mod conformance;
mod corpora;
mod demo;
mod discovery;
mod doctor;
mod doctor_breaks;
mod era_moves;
mod eras;
mod faults;
mod fidelity;
mod fidelity_unasked;
mod hosts;
mod keychain;
mod keys_in_addresses;
mod leaving;
mod legacy_sse;
mod legacy_sse_faults;
mod legacy_sse_moves;
mod login;
mod login_again;
mod logout;
mod matrix;
mod migration;
mod missed_changes;
mod mistakes;
mod modern;
mod modern_host;
mod modern_host_questions;
mod modern_peers;
mod named_commands;
mod network;
mod pairs;
mod peers;
mod prompts;
mod questions;
mod readme;
mod redirects;
mod refresh_command;
mod renewal;
mod requirements;
mod schemas;
mod screen;
mod secrets;
mod secrets_said_aloud;
mod session;
mod session_faults;
mod snapshots;
mod stand_in;
mod status;
mod step_up;
mod store_file;
mod store_keyring;
mod subscriptions;
mod support;
mod suspension;
mod tidy;
mod translation;
mod translation_peers;
mod unknown_service;
