//! C07: what holds tokens leaves no core file, and lets no debugger of the same user in.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, geteuid, getrlimit, prlimit};

use crate::support::authorization_server::Fault;
use crate::support::bridge::Bridge;
use crate::support::gate::Gate;
use crate::support::home::{BINARY, SOMEBODY};
use crate::support::kept_login::refreshing_process;
use crate::support::process::Process;
use crate::support::service::{NAME, Service};
use crate::support::skip;

fn limit_of(pid: i32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("a living process");
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    line.split_whitespace().nth(4).expect("a soft limit").to_owned()
}

/// Raises what the process lowered for itself, and has it crash. Says whether there was a core file.
fn crash(process: &mut Process) -> bool {
    let maximum = getrlimit(Resource::Core).maximum;
    let unlimited = Rlimit { current: maximum, maximum };
    let id = Pid::from_raw(i32::try_from(process.id()).unwrap());
    prlimit(id, Resource::Core, unlimited).expect("an own process");
    process.signal(Signal::ABORT);
    let status = process.wait();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
    status.core_dumped()
}

/// The limit alone keeps no core file from a system whose handler takes it through a pipe, so the
/// process itself may not be dumped.
#[test]
fn c07_a_crash_leaves_no_core_file() {
    let service = Service::with_expired_token();
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut bridge = service.bridge();
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    gate.wait_for_arrivals(1);
    assert_eq!(limit_of(i32::try_from(bridge.process.id()).unwrap()), "0");
    assert_eq!(limit_of(refreshing_process(service.home.path()).as_raw_nonzero().get()), "0");
    gate.open();

    let mut other = Command::new("sleep");
    let dumps = crash(&mut Process::start(other.arg("60").current_dir(service.home.path())));
    if !dumps {
        eprintln!("nothing dumps core on this machine: only the limits are known");
    }
    assert!(!crash(&mut bridge.process), "tokens lie in a core file");
}

/// A browser outlives the login, and its crashes are none of ours.
#[test]
fn c07_a_browser_has_the_limit_that_was_found() {
    if getrlimit(Resource::Core).maximum == Some(0) {
        return skip("a limit of core files that can be raised");
    }
    let limited = |service: &Service, arguments: &[String]| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "ulimit -S -c 8; exec \"$0\" \"$@\"", BINARY]).args(arguments);
        shell.env_clear().envs(service.home.environment()).current_dir(service.home.path());
        shell
    };
    let service = Service::new();
    let mut login = Process::start(&mut limited(&service, &service.login_arguments(&[])));
    assert!(login.wait().success(), "{}", login.stderr.text());
    assert!(service.browser.seen().contains("core limit 8\n"), "{}", service.browser.seen());

    let service = Service::new();
    let bridge = ["bridge".to_owned(), service.server.url(), "--login".to_owned()];
    let mut bridge = Bridge::spawn(limited(&service, &bridge));
    bridge.initialize();
    assert!(service.browser.seen().contains("core limit 8\n"), "{}", service.browser.seen());
}

/// What another program of this user reads of a process: its environment, memory, and open files.
fn looked_at(id: u32, user: u32) -> String {
    let mut shell = Command::new("/bin/sh");
    let look = "cat /proc/$0/environ; cat /proc/$0/maps; head -c 1 /proc/$0/mem; ls /proc/$0/fd";
    shell.args(["-c", look, &id.to_string()]).uid(user).stderr(Stdio::null());
    let output = shell.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// As a debugger's attaching is: both ask for the same permission.
#[test]
fn c07_no_other_program_of_the_user_looks_in() {
    let user = if geteuid().is_root() { SOMEBODY } else { geteuid().as_raw() };
    let service = Service::with_expired_token();
    service.home.belong_to(user);
    let gate = Gate::default();
    service.authorization.fault(Fault::Hold(gate.clone()));
    let mut command = service.home.command(["bridge", NAME]);
    command.uid(user);
    let mut bridge = Bridge::spawn(command);
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    gate.wait_for_arrivals(1);
    let refreshing = refreshing_process(service.home.path()).as_raw_nonzero().get();
    for id in [bridge.process.id(), refreshing.cast_unsigned()] {
        assert_eq!(looked_at(id, user), "");
    }
    gate.open();
    let mut other = Command::new("sleep");
    let other = Process::start(other.arg("60").uid(user).current_dir("/"));
    assert!(looked_at(other.id(), user).contains("PATH="), "what lets itself be looked at is seen");
}
