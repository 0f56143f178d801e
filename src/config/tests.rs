//! How flags, environment and defaults decide, as tables.

use super::*;

fn resolve(flags: Flags, variables: &[(&str, &str)]) -> Result<Settings, String> {
    Settings::resolve(&flags, &Environment::from_iter(variables.iter().copied()))
        .map_err(|error| error.to_string())
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_default() {
    let store = |flag, variables: &[_]| {
        let flags = Flags { store: flag, ..Flags::default() };
        resolve(flags, variables).map(|settings| (settings.store, settings.store_source))
    };
    let variable = ("MCP_FRONT_STORE", "file");
    assert_eq!(store(None, &[]), Ok((StoreKind::Keyring, Source::Default)));
    assert_eq!(store(None, &[("MCP_FRONT_STORE", "")]), Ok((StoreKind::Keyring, Source::Default)));
    assert_eq!(store(None, &[variable]), Ok((StoreKind::File, Source::Variable("MCP_FRONT_STORE"))));
    let flag = Some(StoreKind::Memory);
    assert_eq!(store(flag, &[variable]), Ok((StoreKind::Memory, Source::Flag("--store"))));

    let profile = |flag: Option<&str>, variables: &[_]| {
        let flags = Flags { profile: flag.map(str::to_owned), ..Flags::default() };
        resolve(flags, variables).map(|settings| settings.profile)
    };
    assert_eq!(profile(None, &[]).as_deref(), Ok("default"));
    assert_eq!(profile(None, &[("MCP_FRONT_PROFILE", "work")]).as_deref(), Ok("work"));
    assert_eq!(profile(Some("home"), &[("MCP_FRONT_PROFILE", "work")]).as_deref(), Ok("home"));

    let transport = |flag, variables: &[_]| {
        let flags = Flags { transport: flag, ..Flags::default() };
        resolve(flags, variables).map(|settings| settings.transport)
    };
    let variable = [("MCP_FRONT_TRANSPORT", "sse")];
    assert_eq!(transport(None, &[]), Ok(Transport::Auto));
    assert_eq!(transport(None, &[("MCP_FRONT_TRANSPORT", "")]), Ok(Transport::Auto));
    assert_eq!(transport(None, &variable), Ok(Transport::Sse));
    assert_eq!(transport(Some(Transport::Http), &variable), Ok(Transport::Http));
    assert_eq!(transport(Some(Transport::Auto), &variable), Ok(Transport::Auto));

    let filter = |verbosity, variables: &[_]| {
        resolve(Flags { verbosity, ..Flags::default() }, variables).map(|settings| settings.log_filter)
    };
    let directive = [("MCP_FRONT_LOG", "mcp_front=debug")];
    assert_eq!(filter(0, &[]), Ok(LogFilter::Verbosity(0)));
    assert_eq!(filter(0, &directive), Ok(LogFilter::Directive("mcp_front=debug".to_owned())));
    assert_eq!(filter(2, &directive), Ok(LogFilter::Verbosity(2)));
}

#[test]
fn colour_follows_flag_then_environment() {
    use ColorChoice::{Always, Auto, Never};
    for (flag, variables, expected) in [
        (None, &[] as &[(&str, &str)], Auto),
        (None, &[("NO_COLOR", "1")], Never),
        (None, &[("NO_COLOR", "")], Auto),
        (None, &[("CLICOLOR_FORCE", "1")], Always),
        (None, &[("CLICOLOR_FORCE", "0")], Auto),
        (None, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], Never),
        (None, &[("TERM", "dumb")], Never),
        (None, &[("TERM", "xterm")], Auto),
        (Some(Always), &[("NO_COLOR", "1")], Always),
        (Some(Never), &[("CLICOLOR_FORCE", "1")], Never),
        (Some(Auto), &[("NO_COLOR", "1")], Auto),
    ] {
        let environment = Environment::from_iter(variables.iter().copied());
        assert_eq!(color(flag, &environment), expected, "{flag:?} {variables:?}");
    }
}

#[test]
fn the_key_file_wins_over_the_key() {
    let key = |variables: &[_]| resolve(Flags::default(), variables).unwrap().encryption_key;
    assert!(key(&[]).is_none());
    assert!(matches!(key(&[("MCP_FRONT_ENCRYPTION_KEY", "k")]), Some(KeySource::Inline(_))));
    let both = [("MCP_FRONT_ENCRYPTION_KEY", "k"), ("MCP_FRONT_ENCRYPTION_KEY_FILE", "/k")];
    assert!(matches!(key(&both), Some(KeySource::File(path)) if path == std::path::Path::new("/k")));
    for (name, value) in [("MCP_FRONT_ENCRYPTION_KEY", "/k"), ("MCP_FRONT_ENCRYPTION_KEY_FILE", "k")] {
        let empty = ["MCP_FRONT_ENCRYPTION_KEY", "MCP_FRONT_ENCRYPTION_KEY_FILE"];
        let empty = empty.into_iter().find(|other| *other != name).unwrap();
        for variables in [&[(empty, "")][..], &[(empty, ""), (name, value)]] {
            let found = key(variables);
            assert!(matches!(found, Some(KeySource::Empty { variable }) if variable == empty), "{empty}");
        }
    }
}

#[test]
fn what_another_terminal_needs_goes_along() {
    let flags = Flags {
        network: network::NetworkFlags { ca_file: Some("ca.pem".into()), ..network::NetworkFlags::default() },
        ..Flags::default()
    };
    let variables = [
        ("MCP_FRONT_HOME", "/home"),
        ("MCP_FRONT_ENCRYPTION_KEY_FILE", "key"),
        ("MCP_FRONT_ALLOW_PRIVATE_NETWORK", "true"),
        ("MCP_FRONT_LOG", "debug"),
    ];
    let program = resolve(flags, &variables).unwrap().program;
    let here = std::env::current_dir().unwrap();
    let at = |name| here.join(name).to_str().unwrap().to_owned();
    let expected = [
        ("MCP_FRONT_HOME", "/home".to_owned()),
        ("MCP_FRONT_ENCRYPTION_KEY_FILE", at("key")),
        ("MCP_FRONT_CA_FILE", at("ca.pem")),
        ("MCP_FRONT_ALLOW_PRIVATE_NETWORK", "1".to_owned()),
    ];
    assert_eq!(program.variables(), expected);
    let inline = resolve(Flags::default(), &[("MCP_FRONT_ENCRYPTION_KEY", "k")]).unwrap().program;
    assert!(inline.has_inline_key() && inline.variables().is_empty());
}

#[test]
fn what_makes_no_sense_names_where_it_stands() {
    for (variables, named) in [
        ([("MCP_FRONT_STORE", "vault")], "MCP_FRONT_STORE: `vault`"),
        ([("MCP_FRONT_TRANSPORT", "stdio")], "MCP_FRONT_TRANSPORT: `stdio`"),
        ([("MCP_FRONT_PROFILE", "a/b")], "MCP_FRONT_PROFILE: `a/b`"),
        ([("MCP_FRONT_PROFILE", "-v")], "MCP_FRONT_PROFILE: `-v`"),
        ([("MCP_FRONT_PROFILE", "\u{1b}[0m")], "MCP_FRONT_PROFILE: `\\u{1b}[0m`"),
    ] {
        let error = resolve(Flags::default(), &variables).err().unwrap();
        assert!(error.contains(named), "{error}");
    }
}
