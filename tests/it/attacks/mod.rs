//! The attack matrix: each test is named after its case in `cases.txt`.

mod authorization;
mod discovery;
mod files;
mod machine;
mod stdio;
