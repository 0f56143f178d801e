//! Turning a terminal's echo off, or a part of it, and back on whatever happens.
//!
//! The guard restores what it found when it is dropped: at the end, at an error, and when Ctrl-C
//! drops the command's future. Interrupt keys go on working meanwhile; suspending does not, for a
//! shell would give the terminal back with its echo on.

/// Keeps stdin's terminal silent until it is dropped. One that begins within another's life has to
/// end within it.
#[derive(Debug)]
pub(in crate::cli) struct Hidden {
    #[cfg(unix)]
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Hidden {
    /// Turns off echo and the terminal's own line editing.
    ///
    /// # Errors
    /// Where stdin is no terminal, or refuses.
    pub(in crate::cli) fn begin() -> std::io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
        /// `_POSIX_VDISABLE`: no character has this function.
        const DISABLED: u8 = if cfg!(any(target_os = "linux", target_os = "android")) { 0 } else { 0xff };

        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON);
        silent.special_codes[SpecialCodeIndex::VSUSP] = DISABLED;
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(std::io::stdin(), OptionalActions::Now, &silent)?;
        Ok(Self { before })
    }

    /// Keeps what is drawn in place when Ctrl-C is typed: the terminal does not show it as `^C`, and
    /// does not throw away what was written last.
    ///
    /// # Errors
    /// Where stdin is no terminal, or refuses.
    pub(in crate::cli) fn control_keys() -> std::io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

        let before = tcgetattr(std::io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHOCTL);
        quiet.local_modes.insert(LocalModes::NOFLSH);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &quiet)?;
        Ok(Self { before })
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // What was typed or pasted in vain, the rest of a secret perhaps, must not reach the shell's
        // next prompt, hence the flush.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.before);
    }
}

#[cfg(not(unix))]
impl Hidden {
    /// Elsewhere nothing here can hide what is typed, so nothing secret is asked for.
    ///
    /// # Errors
    /// Always.
    pub(in crate::cli) fn begin() -> std::io::Result<Self> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }

    /// Elsewhere nothing moves.
    ///
    /// # Errors
    /// Always.
    pub(in crate::cli) fn control_keys() -> std::io::Result<Self> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }
}
