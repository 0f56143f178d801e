//! The fault matrix: each test is named after its case in `cases.txt`.

mod concurrency;
mod network_environment;
mod storage;
mod time_and_network;
mod token_endpoint;
