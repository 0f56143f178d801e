//! Which variables of the host's environment a helper gets. What needs none of them is not asked about: the
//! user's other secrets stand there, under any names.

/// What a refresh needs: where things live, and how to reach the network. A `*` stands for any end.
const REFRESH: [&str; 26] = [
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_*",
    "TZ",
    "TMPDIR",
    "TMP",
    "TEMP",
    "XDG_*",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "USERPROFILE",
    "USERNAME",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "COMSPEC",
];

/// Our own that a helper reads to find and open the store.
const STORE: [&str; 3] = ["MCP_FRONT_HOME", "MCP_FRONT_ENCRYPTION_KEY", "MCP_FRONT_ENCRYPTION_KEY_FILE"];

/// What a browser, and what opens it, needs beside [`REFRESH`]: the session, the desktop's and the drivers'
/// settings, and Windows around a WSL.
const BROWSER: [&str; 67] = [
    "ALLUSERSPROFILE",
    "ANDROID_*",
    "BROWSER",
    "CHROME_*",
    "CINNAMON_*",
    "CLUTTER_*",
    "COLORTERM",
    "COMMAND_MODE",
    "COMMONPROGRAM*",
    "COSMIC_*",
    "DBUS_*",
    "DESKTOP_SESSION",
    "DESKTOP_STARTUP_ID",
    "DISPLAY",
    "DRI_PRIME",
    "FLATPAK_ID",
    "FONTCONFIG_*",
    "GDK_*",
    "GIO_*",
    "GNOME_*",
    "GSETTINGS_*",
    "GTK*",
    "HOMEDRIVE",
    "HOMEPATH",
    "HYPRLAND_*",
    "I3SOCK",
    "ICEAUTHORITY",
    "KDE_*",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LIBGL_*",
    "LIBVA_*",
    "LXQT_*",
    "MATE_*",
    "MESA_*",
    "MOZ_*",
    "NIXOS_*",
    "NIX_PROFILES",
    "OS",
    "PATHEXT",
    "PIPEWIRE_*",
    "PLASMA_*",
    "PREFIX",
    "PROGRAMFILES*",
    "PROGRAMW6432",
    "PUBLIC",
    "PULSE_*",
    "QML*",
    "QT*",
    "SDL_*",
    "SESSIONNAME",
    "SESSION_MANAGER",
    "SHELL",
    "SNAP*",
    "SSH_AUTH_SOCK",
    "SWAYSOCK",
    "TERM",
    "TERMUX_*",
    "WAYLAND_*",
    "WINDIR",
    "WSL*",
    "XAUTHORITY",
    "XCURSOR_*",
    "XDG_ACTIVATION_TOKEN",
    "XMODIFIERS",
    "__CF*",
    "__GLX_*",
];

/// Parts of names whose values are taken for secrets, where a `*` stands for them.
const SECRET_WORDS: [&str; 7] = ["SECRET", "TOKEN", "PASS", "CREDENTIAL", "KEY", "AUTH", "COOKIE"];

/// Whether no helper works without the variable, whatever else its value is used for.
pub(super) fn is_needed(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    [&REFRESH[..], &STORE].concat().contains(&name.as_str())
}

/// Whether the helper that refreshes gets the variable.
pub(super) fn is_for_refresh(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.starts_with("MCP_FRONT_") || is_listed(&REFRESH, &name)
}

/// Whether the helper that opens a browser, and with it the browser, gets the variable.
pub(super) fn is_for_browser(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    is_listed(&REFRESH, &name) || is_listed(&BROWSER, &name)
}

fn is_listed(list: &[&str], name: &str) -> bool {
    let is_secret = || SECRET_WORDS.iter().any(|word| name.contains(word));
    list.iter().any(|listed| match listed.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning) && !is_secret(),
        None => name == *listed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C06: a browser gets its session, and neither our own variables nor anybody's secrets.
    #[test]
    fn a_browser_gets_its_session_and_no_secret() {
        for (name, passed_on) in [
            ("DISPLAY", true),
            ("WAYLAND_DISPLAY", true),
            ("BROWSER", true),
            ("XDG_ACTIVATION_TOKEN", true),
            ("XDG_SEAT_PATH", true),
            ("DBUS_SESSION_BUS_ADDRESS", true),
            ("XAUTHORITY", true),
            ("ICEAUTHORITY", true),
            ("SSH_AUTH_SOCK", true),
            ("https_proxy", true),
            ("ProgramFiles(x86)", true),
            ("MCP_FRONT_ENCRYPTION_KEY", false),
            ("MCP_FRONT_HOME", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("github_token", false),
            ("DATABASE_URL", false),
            ("SENTRY_DSN", false),
            ("STRIPE_SK", false),
            ("XDG_SECRET", false),
            ("GTK_COOKIE", false),
            ("LD_PRELOAD", false),
        ] {
            assert_eq!(is_for_browser(name), passed_on, "{name}");
        }
    }

    /// C06: a child's environment holds what it needs, and no secret that is not its own.
    #[test]
    fn a_refresh_gets_what_it_needs() {
        for (name, passed_on) in [
            ("HOME", true),
            ("XDG_RUNTIME_DIR", true),
            ("MCP_FRONT_HOME", true),
            ("https_proxy", true),
            ("DBUS_SESSION_BUS_ADDRESS", true),
            ("LC_ALL", true),
            ("MCP_FRONT_ENCRYPTION_KEY", true),
            ("MCP_FRONT_LOG", true),
            ("XDG_SECRET_TOKEN", false),
            ("DISPLAY", false),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("FRONT_API_TOKEN", false),
            ("LD_PRELOAD", false),
        ] {
            assert_eq!(is_for_refresh(name), passed_on, "{name}");
        }
    }

    #[test]
    fn what_a_header_uses_is_spared_where_a_helper_needs_it() {
        for (name, needed) in [
            ("HOME", true),
            ("https_proxy", true),
            ("MCP_FRONT_HOME", true),
            ("MCP_FRONT_OF_THE_USERS", false),
            ("TEAM", false),
            ("XDG_TEAM", false),
        ] {
            assert_eq!(is_needed(name), needed, "{name}");
        }
    }
}
