//! The matrix of pairs: hosts of either era, servers of either and of both, over every transport there is,
//! of two SDKs that nobody here wrote; in each cell, all that a session is made of. A host of an SDK, where
//! the two sides differ, is in `sdk_host`.

mod host;
mod rmcp;
mod rmcp_sse;
mod rows;
mod sdk_host;
mod server;

use std::collections::BTreeSet;
use std::process::Command;

use host::Host;

/// What a server speaks, and what is spoken with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Era {
    /// `initialize`: 2025-11-25 and earlier.
    Legacy,
    /// 2026-07-28 alone.
    Modern,
    /// Both: a host is served in the era in which it opens.
    Dual,
}

/// What a host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaks {
    /// `initialize`: 2025-11-25 and earlier.
    Legacy,
    /// 2026-07-28, and `initialize` where it is told to go back to that, as that specifies.
    Modern,
    /// 2026-07-28 alone, with `--era modern`.
    ModernAlone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    StreamableHttp,
    HttpSse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sdk {
    /// Of servers before 2026-07-28, version 1; of others, version 2.
    TypeScript,
    /// Over HTTP+SSE, version 0.8, the last that had it; otherwise version 3.
    Rmcp,
}

/// One pair, and what is between.
#[derive(Clone, Copy, Debug)]
struct Cell {
    host: Speaks,
    server: Era,
    transport: Transport,
    sdk: Sdk,
}

impl Cell {
    /// The era in which the host ends up.
    fn spoken(self) -> Era {
        match (self.host, self.server) {
            (Speaks::ModernAlone, _) | (Speaks::Modern, Era::Modern | Era::Dual) => Era::Modern,
            (Speaks::Legacy, _) | (Speaks::Modern, Era::Legacy) => Era::Legacy,
        }
    }

    /// The era in which the server ends up.
    fn served(self) -> Era {
        if self.server == Era::Dual { self.spoken() } else { self.server }
    }
}

/// What cannot exist, and why.
const IMPOSSIBLE: [(Era, Transport, &str); 2] = [
    (Era::Modern, Transport::HttpSse, "HTTP+SSE is of 2024-11-05, and begins with `initialize`"),
    (
        Era::Dual,
        Transport::HttpSse,
        "at the address of an HTTP+SSE stream nothing but 2024-11-05 is spoken: a server that has \
         2026-07-28 too has another address for it",
    ),
];

/// The rows of every cell, one test each.
const ROWS: [&str; 9] = [
    "list",
    "call",
    "progress",
    "cancel",
    "elicitation",
    "sampling",
    "change",
    "cut_stream",
    "end_of_process",
];

macro_rules! rows {
    ($cell:expr; $($row:ident)*) => {
        $(#[test] fn $row() { super::check($cell, super::rows::$row); })*
    };
}

macro_rules! cells {
    ($($name:ident: $host:ident, $server:ident, $transport:ident, $sdk:ident;)*) => {
        const CELLS: &[(&str, Cell)] = &[$((stringify!($name), $name::CELL)),*];
        $(mod $name {
            use super::{Cell, Era, Sdk, Speaks, Transport};

            pub(super) const CELL: Cell = Cell {
                host: Speaks::$host,
                server: Era::$server,
                transport: Transport::$transport,
                sdk: Sdk::$sdk,
            };
            rows! { CELL;
                list call progress cancel elicitation sampling change cut_stream end_of_process
            }
        })*
    };
}

cells! {
    legacy_host_legacy_server_typescript: Legacy, Legacy, StreamableHttp, TypeScript;
    legacy_host_legacy_server_rmcp: Legacy, Legacy, StreamableHttp, Rmcp;
    legacy_host_legacy_server_sse_typescript: Legacy, Legacy, HttpSse, TypeScript;
    legacy_host_legacy_server_sse_rmcp: Legacy, Legacy, HttpSse, Rmcp;
    legacy_host_modern_server_typescript: Legacy, Modern, StreamableHttp, TypeScript;
    legacy_host_modern_server_rmcp: Legacy, Modern, StreamableHttp, Rmcp;
    legacy_host_dual_server_typescript: Legacy, Dual, StreamableHttp, TypeScript;
    legacy_host_dual_server_rmcp: Legacy, Dual, StreamableHttp, Rmcp;
    modern_host_legacy_server_typescript: Modern, Legacy, StreamableHttp, TypeScript;
    modern_host_legacy_server_rmcp: Modern, Legacy, StreamableHttp, Rmcp;
    modern_host_legacy_server_sse_typescript: Modern, Legacy, HttpSse, TypeScript;
    modern_host_legacy_server_sse_rmcp: Modern, Legacy, HttpSse, Rmcp;
    modern_host_modern_server_typescript: Modern, Modern, StreamableHttp, TypeScript;
    modern_host_modern_server_rmcp: Modern, Modern, StreamableHttp, Rmcp;
    modern_host_dual_server_typescript: Modern, Dual, StreamableHttp, TypeScript;
    modern_host_dual_server_rmcp: Modern, Dual, StreamableHttp, Rmcp;
    modern_host_alone_legacy_server_typescript: ModernAlone, Legacy, StreamableHttp, TypeScript;
    modern_host_alone_legacy_server_rmcp: ModernAlone, Legacy, StreamableHttp, Rmcp;
    modern_host_alone_legacy_server_sse_typescript: ModernAlone, Legacy, HttpSse, TypeScript;
    modern_host_alone_legacy_server_sse_rmcp: ModernAlone, Legacy, HttpSse, Rmcp;
    modern_host_alone_modern_server_typescript: ModernAlone, Modern, StreamableHttp, TypeScript;
    modern_host_alone_modern_server_rmcp: ModernAlone, Modern, StreamableHttp, Rmcp;
    modern_host_alone_dual_server_typescript: ModernAlone, Dual, StreamableHttp, TypeScript;
    modern_host_alone_dual_server_rmcp: ModernAlone, Dual, StreamableHttp, Rmcp;
}

/// Runs one row of one cell.
fn check(cell: Cell, row: fn(&mut Host)) {
    let Some(server) = server::start(cell) else { return };
    row(&mut Host::on(cell, server));
}

/// Every cell is either tested, once and in every row, or cannot exist.
#[test]
fn no_cell_is_missing() {
    for host in [Speaks::Legacy, Speaks::Modern, Speaks::ModernAlone] {
        for server in [Era::Legacy, Era::Modern, Era::Dual] {
            for transport in [Transport::StreamableHttp, Transport::HttpSse] {
                let reason = IMPOSSIBLE.iter().find(|(era, over, _)| (*era, *over) == (server, transport));
                for sdk in [Sdk::TypeScript, Sdk::Rmcp] {
                    let is_it = |cell: &Cell| {
                        (cell.host, cell.server, cell.transport, cell.sdk) == (host, server, transport, sdk)
                    };
                    let tested: Vec<_> = CELLS.iter().filter(|(_, cell)| is_it(cell)).collect();
                    let what = format!("{host:?} host, {server:?} server, {transport:?}, {sdk:?}");
                    match (reason, &tested[..]) {
                        (None, [(name, _)]) => eprintln!("{what}: {name}"),
                        (Some((_, _, reason)), []) => eprintln!("{what}: cannot exist: {reason}"),
                        _ => panic!("{what}: {tested:?}, {reason:?}"),
                    }
                }
            }
        }
    }
    let own = std::env::current_exe().expect("this test's executable");
    let listed = Command::new(own).args(["pairs::", "--list", "--format", "terse"]).output();
    let listed = String::from_utf8(listed.expect("the list of tests").stdout).expect("UTF-8");
    let listed: BTreeSet<_> =
        listed.lines().filter_map(|line| line.strip_prefix("pairs::")?.strip_suffix(": test")).collect();
    let rows: Vec<_> = CELLS.iter().flat_map(|(cell, _)| ROWS.map(|row| format!("{cell}::{row}"))).collect();
    let expected = rows.iter().map(String::as_str).chain([
        "no_cell_is_missing",
        "sdk_host::the_sdks_client_is_served_by_every_server_of_the_era_before",
    ]);
    assert_eq!(listed, expected.collect());
}
