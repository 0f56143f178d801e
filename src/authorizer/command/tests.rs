//! Command lines as a shell reads them.

use super::*;

fn program(name: &str) -> Program {
    Program::new(OsStr::new(name), [], false)
}

fn subject(target: &str) -> Subject {
    let (store, kind) = (StoreKind::Keyring, EntryKind::Oauth);
    let (target, profile) = (target.to_owned(), DEFAULT_PROFILE.to_owned());
    Subject { target, name: None, profile, store, is_stored: true, kind, given: Given::default() }
}

/// What a shell makes of `word` as it stands in a command.
fn read_by_a_shell(word: &str) -> String {
    let script = format!("printf %s {}", quoted(word));
    let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn words_survive_a_shell() {
    let long = format!("/{}", "long/".repeat(200));
    for word in [
        "/usr/bin/mcp-front",
        "/Users/a b/mcp-front",
        "it's",
        "\"$HOME\" `id` \\ !x ^y",
        "https://x/?a=$(b)&c=~;#%20",
        "-n*?[a]{b,c}<>|",
        "ünïcödé",
        "",
        &long,
    ] {
        assert_eq!(read_by_a_shell(word), word);
    }
    assert_eq!(quoted("/usr/bin/mcp-front"), "/usr/bin/mcp-front");
    assert!(!quoted("a\u{1b}]0;x\u{7}\nb").contains(char::is_control));
    assert!(!quoted("read\u{202e}nigol").contains('\u{202e}'));
}

#[test]
fn commands_can_be_pasted() {
    let commands = Commands::new(program("/opt/bin/mcp-front"), subject("front"));
    assert_eq!(commands.login().as_str(), "/opt/bin/mcp-front login front");
    assert_eq!(commands.set_token().as_str(), "/opt/bin/mcp-front tokens set front");
    assert_eq!(commands.delete().as_str(), "/opt/bin/mcp-front tokens delete front");
    let seat = Subject { profile: "seat".to_owned(), ..subject("https://a.example/mcp?a=1&b") };
    let commands = Commands::new(program("/my apps/mcp-front"), seat);
    let scopes = ["mail:read".to_owned(), "x'; rm -rf ~ #".to_owned(), "--yes".to_owned()];
    assert_eq!(
        commands.login_with(&scopes).as_str(),
        "'/my apps/mcp-front' login 'https://a.example/mcp?a=…&…' --force --scope=mail:read \
         --scope=\"x'; rm -rf ~ #\" --scope=--yes --profile seat"
    );
    assert!(commands.login_anew().as_str().ends_with("--force --profile seat"));
    let given = Given {
        flags: vec![("--client-id", Some("an id".to_owned())), ("--callback-port", Some("9".to_owned()))],
        scope: vec![("--no-scope", None)],
    };
    let commands = Commands::new(program("mcp-front"), Subject { given, ..subject("https://a.example/mcp") });
    assert_eq!(
        commands.login().as_str(),
        "mcp-front login https://a.example/mcp --client-id='an id' --callback-port=9 --no-scope"
    );
    assert_eq!(
        commands.login_with(&["mail:read".to_owned()]).as_str(),
        "mcp-front login https://a.example/mcp --force --client-id='an id' --callback-port=9 --scope=mail:read"
    );
    assert_eq!(commands.set_token().as_str(), "mcp-front tokens set https://a.example/mcp");
    let named = Subject { name: Some("an x".to_owned()), ..subject("https://a.example/mcp") };
    let commands = Commands::new(program("mcp-front"), named);
    assert_eq!(
        commands.move_to_files().as_str(),
        "mcp-front login https://a.example/mcp --name 'an x' --store file --force"
    );
    assert_eq!(commands.delete().as_str(), "mcp-front tokens delete https://a.example/mcp");
}

#[test]
fn what_a_run_was_started_with_goes_along() {
    let variables = [("MCP_FRONT_HOME", "/a home"), ("MCP_FRONT_ENCRYPTION_KEY_FILE", "/k")];
    let variables = variables.map(|(name, value)| (name, value.to_owned()));
    let started = || Program::new(OsStr::new("mcp-front"), variables.clone(), false);
    let kept = Subject { store: StoreKind::File, ..subject("http://a.lan/mcp") };
    assert_eq!(
        Commands::new(started(), kept).login().as_str(),
        "MCP_FRONT_HOME='/a home' MCP_FRONT_ENCRYPTION_KEY_FILE=/k mcp-front login http://a.lan/mcp \
         --store file --allow-http"
    );
    let forgotten = Subject { store: StoreKind::Memory, ..subject("http://127.0.0.1:1/mcp") };
    let commands = Commands::new(program("mcp-front"), forgotten);
    assert_eq!(commands.login().as_str(), "mcp-front login http://127.0.0.1:1/mcp");
}

#[test]
fn a_key_is_asked_for_in_words_where_it_is_needed() {
    let program = || Program::new(OsStr::new("mcp-front"), [], true);
    let needed = Commands::new(program(), Subject { store: StoreKind::File, ..subject("front") });
    assert_eq!(needed.login().as_str(), "mcp-front login front --store file");
    assert!(needed.login().to_string().contains("MCP_FRONT_ENCRYPTION_KEY=…"));
    let unneeded = Commands::new(program(), subject("front"));
    assert_eq!(unneeded.login().to_string(), "`mcp-front login front`");
    assert_eq!(program().list().to_string(), "`mcp-front tokens list`");
}
