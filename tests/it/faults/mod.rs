//! The fault matrix: each test is named after its case in `cases.txt`.

mod clocks_and_outages;
mod concurrency;
mod damage;
mod disks;
mod interruptions;
mod locks;
mod network_environment;
mod power;
mod readers;
mod storage;
mod time_and_network;
mod token_endpoint;
mod token_lives;
