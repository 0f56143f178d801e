//! G02: the power fails while a login or its refresh is stored, and after it was.

use std::path::PathBuf;
use std::process::Command;

use super::interruptions::{comes_back, dies};
use crate::support::bridge::Bridge;
use crate::support::browser::{Browser, follow};
use crate::support::clock::HOUR;
use crate::support::failpoint::{self, Failpoint};
use crate::support::home::{Home, finish};
use crate::support::power::Power;
use crate::support::service::{NAME, Service};

/// A bridge on what the power cut has left.
fn bridge_on(service: &Service, power: &Power) -> Bridge {
    let left: PathBuf = service.home.path().join("left");
    power.cut(&left);
    let mut command = service.home.command(["bridge", NAME, "--strict"]);
    command.env("MCP_FRONT_HOME", left);
    Bridge::spawn(command)
}

/// What a person was told is stored stays so, the directories that it made included.
#[test]
fn g02_a_login_that_was_told_survives_a_power_cut() {
    for earlier in [false, true] {
        let service = Service::new();
        if earlier {
            service.login(&[]).expect(0);
        }
        let Some(power) = Power::over(service.home.path()) else { return };
        let command = service.home.command(service.login_arguments(&["--force"]));
        finish(power.around(command), b"").expect(0);
        if earlier {
            service.authorization.revoke_grant(0);
        }
        let mut bridge = bridge_on(&service, &power);
        bridge.initialize();
        assert_eq!(bridge.echo(1, "the new login"), "the new login", "{earlier}");
        service.authorization.refuse_issued_access_tokens();
        assert_eq!(bridge.echo(2, "renews"), "renews", "{earlier}");
    }
}

/// At every step of every write there is the old login or the new one, whole.
#[test]
fn g02_a_power_cut_while_a_login_is_stored_leaves_old_or_new() {
    if Power::over(Home::bare().path()).is_none() {
        return;
    }
    let cut_at = |step: &str| {
        for time in 1.. {
            let (mut service, clock) = Service::with_clock();
            // The process that the person comes back to may be gone.
            service.browser = Browser::start(|url| drop(follow(url)));
            service.home = service.home.with("BROWSER", service.browser.executable());
            let power = Power::over(service.home.path()).expect("the means are there");
            let failpoint = Failpoint::set(&service.home, &format!("{step}:{time}"));
            let mut command = service.home.command(service.login_arguments(&["--force"]));
            command.env(failpoint::VARIABLE, failpoint.value());
            finish(power.around(command), b"");
            if !failpoint.is_reached() {
                return time - 1;
            }
            let mut bridge = bridge_on(&service, &power);
            bridge.initialize();
            assert_eq!(bridge.echo(1, "old or new"), "old or new", "{step}:{time}");
            clock.advance(2 * HOUR);
            assert_eq!(bridge.echo(2, "renews"), "renews", "{step}:{time}");
            assert_eq!(service.authorization.replays(), 0, "{step}:{time}");
        }
        0
    };
    let steps = ["file-written", "file-synced", "file-renamed", "file-removed"];
    let times: Vec<_> = std::thread::scope(|scope| {
        let cutting = steps.map(|step| scope.spawn(move || cut_at(step)));
        cutting.into_iter().map(|cut| cut.join().unwrap()).collect()
    });
    // Journal, record and entry are written, and the journal is removed.
    assert_eq!(times, [3, 3, 3, 1]);
}

/// What a host was served with is on the disk, and renews: the helper that refreshed has synced it.
#[test]
fn g02_a_refresh_that_was_used_survives_a_power_cut() {
    let (service, clock) = Service::with_clock();
    clock.advance(2 * HOUR);
    let Some(power) = Power::over(service.home.path()) else { return };
    let command = service.home.command(["bridge", NAME, "--strict"]);
    let Some(command) = power.around_all(&command) else { return };
    let mut bridge = Bridge::spawn(command);
    bridge.initialize();
    let mut after = bridge_on(&service, &power);
    after.initialize();
    assert_eq!(after.echo(1, "the new token"), "the new token");
    let authorization = &service.authorization;
    assert_eq!((authorization.refreshes(), authorization.replays()), (1, 0));
    clock.advance(2 * HOUR);
    assert_eq!(after.echo(2, "renews"), "renews");
    assert_eq!((authorization.refreshes(), authorization.replays()), (2, 0));
}

/// At every step of every write of a refresh: until the journal has the answer, a name and all, the answer
/// is lost, which is told; afterwards nothing is.
#[test]
fn g02_a_power_cut_at_any_step_of_a_refresh_loses_what_no_disk_has() {
    let probe = Home::bare();
    let Some(power) = Power::over(probe.path()) else { return };
    let Some(_) = power.around_all(&Command::new("true")) else { return };
    let cut_at = |step: &'static str| {
        let mut lost = Vec::new();
        for time in 1.. {
            let (service, clock) = Service::with_clock();
            clock.advance(2 * HOUR);
            let power = Power::over(service.home.path()).expect("the means are there");
            let point = format!("{step}:{time}");
            let failpoint = Failpoint::set(&service.home, &point);
            let mut command = service.home.command(["bridge", NAME, "--strict"]);
            command.env(failpoint::VARIABLE, failpoint.value());
            let bridge = Bridge::spawn(power.around_all(&command).expect("the means are there"));
            if !dies(bridge, &failpoint) {
                return (time - 1, lost);
            }
            let (state, left) = (service.home.path().join("state"), service.home.path().join("left"));
            power.cut(&left);
            std::fs::remove_dir_all(&state).unwrap();
            std::fs::rename(left.join("state"), &state).unwrap();
            if !comes_back(&service, &point) {
                lost.push(time);
            }
        }
        (0, lost)
    };
    let steps = ["file-written", "file-synced", "file-renamed", "file-removed"];
    let lost: Vec<_> = std::thread::scope(|scope| {
        let cutting = steps.map(|step| scope.spawn(move || cut_at(step)));
        cutting.into_iter().map(|cut| cut.join().unwrap()).collect()
    });
    assert_eq!(lost, [(4, vec![2]), (4, vec![2]), (4, vec![2]), (1, vec![])]);
}
