//! The completion file as bash uses it: with the words of a line that somebody types.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::home::Home;

/// What readline does: it loads the file, finds the function that completes the program, and calls it.
const TAB: &str = r#"
    source "$1"; shift
    registered=$(complete -p mcp-front)
    function=${registered##*-F }; function=${function%% *}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    "$function" mcp-front "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}"
"#;

/// What Tab offers behind `words`, of which the last has been begun.
fn offered(words: &[&str]) -> BTreeSet<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions/mcp-front.bash");
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", TAB, "bash"]).arg(script).arg("mcp-front").args(words);
    let outcome = bash.output().expect("bash is installed");
    assert!(outcome.status.success(), "{outcome:?}");
    String::from_utf8(outcome.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// The long flags that a command's help names.
fn flags(home: &Home, command: &[&str]) -> BTreeSet<String> {
    let help = home.run([command, &["--help"]].concat()).expect(0).stdout;
    let words =
        help.lines().filter(|line| line.trim_start().starts_with('-')).flat_map(str::split_whitespace);
    let is_name = |character: char| character.is_ascii_lowercase() || character == '-';
    words.filter(|word| word.starts_with("--") && word.chars().all(is_name)).map(str::to_owned).collect()
}

#[test]
fn bash_completes_every_command_and_its_flags() {
    let home = Home::bare();
    let commands = ["login", "logout", "bridge", "status", "refresh", "tokens", "doctor", "demo"];
    assert!(commands.iter().all(|command| offered(&[""]).contains(*command)));
    assert_eq!(offered(&["tokens", ""]).iter().filter(|word| !word.starts_with('-')).count(), 3);
    assert_eq!(offered(&["status", "--fail"]), BTreeSet::from(["--fail-within".to_owned()]));
    let tokens = ["list", "set", "delete"].map(|command| vec!["tokens", command]);
    for command in commands.map(|command| vec![command]).into_iter().chain(tokens) {
        let named = flags(&home, &command);
        assert!(named.len() > 5, "{named:?}");
        let offered = offered(&[&command[..], &["--"]].concat());
        assert!(named.is_subset(&offered), "{command:?}: {:?}", named.difference(&offered));
    }
}
