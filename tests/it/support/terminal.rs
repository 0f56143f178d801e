//! A terminal with a person before it: for prompts, hidden input and what only a terminal shows.

use std::io::{Read, Write};
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex};

use pty_process::Size;
use pty_process::blocking::{Command, Pty};
use url::Url;

use super::DEADLINE;
use super::home::{BINARY, Home};

/// The binary under test on a terminal of its own.
pub(crate) struct Terminal {
    child: std::process::Child,
    pty: Arc<Pty>,
    screen: Arc<(Mutex<Screen>, Condvar)>,
}

#[derive(Default)]
struct Screen {
    bytes: Vec<u8>,
    /// Up to where the person has read.
    read: usize,
    ended: bool,
}

impl Terminal {
    /// Starts `mcp-front ARGUMENTS` in `home` with stdin, stdout and stderr on the terminal.
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::sized(home, arguments, 200)
    }

    /// The same on a terminal that has so many columns.
    pub(crate) fn sized(home: &Home, arguments: &[&str], columns: u16) -> Self {
        Self::of(Command::new(BINARY).args(arguments), home, columns)
    }

    /// Has a shell run `line`.
    pub(crate) fn shell(home: &Home, line: &str) -> Self {
        Self::of(Command::new("/bin/sh").args(["-c", line]), home, 200)
    }

    fn of(command: Command, home: &Home, columns: u16) -> Self {
        let (pty, pts) = pty_process::blocking::open().expect("a terminal");
        pty.resize(Size::new(40, columns)).expect("its size");
        let command = command.env_clear().envs(home.environment()).current_dir(home.path());
        let child = command.spawn(pts).expect("the binary starts");
        let (pty, screen) = (Arc::new(pty), Arc::new((Mutex::new(Screen::default()), Condvar::new())));
        let (reading, filled) = (Arc::clone(&pty), Arc::clone(&screen));
        std::thread::spawn(move || read(&reading, &filled));
        Self { child, pty, screen }
    }

    /// Waits until `text` appears after what was read before.
    pub(crate) fn expect(&self, text: &str) {
        let (screen, changed) = &*self.screen;
        let find = |screen: &Screen| {
            screen.bytes[screen.read..].windows(text.len()).position(|window| window == text.as_bytes())
        };
        let (mut screen, _) = changed
            .wait_timeout_while(screen.lock().unwrap(), DEADLINE, |screen| {
                find(screen).is_none() && !screen.ended
            })
            .unwrap();
        let Some(place) = find(&screen) else {
            panic!(
                "`{text}` does not appear; the terminal shows:\n{}",
                String::from_utf8_lossy(&screen.bytes)
            );
        };
        screen.read += place + text.len();
    }

    /// Waits for a URL that starts with `address` and stands whole on one line.
    pub(crate) fn printed_url(&self, address: &str) -> Url {
        self.expect(address);
        self.expect("\n");
        let text = self.text();
        let start = text.find(address).expect("it was shown");
        let is_end = |character: char| character.is_whitespace() || character.is_control();
        Url::parse(text[start..].split(is_end).next().unwrap_or_default()).expect("a URL")
    }

    /// Types `text` as it is; a carriage return is the Enter key, `\x03` is Ctrl-C.
    pub(crate) fn type_in(&self, text: &str) {
        (&*self.pty).write_all(text.as_bytes()).expect("the terminal takes input");
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn echoes(&self) -> bool {
        let modes = rustix::termios::tcgetattr(&*self.pty).expect("the terminal's modes").local_modes;
        modes.contains(rustix::termios::LocalModes::ECHO)
    }

    /// All that was shown so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.0.lock().unwrap().bytes).into_owned()
    }

    /// Waits for the end of the program.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let (screen, changed) = &*self.screen;
        let (screen, _) =
            changed.wait_timeout_while(screen.lock().unwrap(), DEADLINE, |screen| !screen.ended).unwrap();
        let text = String::from_utf8_lossy(&screen.bytes);
        assert!(screen.ended, "the program does not end; the terminal shows:\n{text}");
        self.child.wait().expect("a child that left its terminal ends")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(pty: &Pty, screen: &(Mutex<Screen>, Condvar)) {
    let (screen, changed) = screen;
    let mut buffer = [0; 4096];
    loop {
        // Linux answers EIO once nobody has the other end open.
        let count = { pty }.read(&mut buffer).unwrap_or(0);
        let mut screen = screen.lock().unwrap();
        screen.bytes.extend_from_slice(&buffer[..count]);
        screen.ended |= count == 0;
        changed.notify_all();
        if screen.ended {
            return;
        }
    }
}
