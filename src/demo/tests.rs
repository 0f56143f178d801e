//! What the demo says when a step misbehaves; the whole demo is run by an integration test.

use super::*;

async fn outcome(executable: &str) -> Result<(), DemoError> {
    // A second test of this process finds the provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let out = Box::new(io::sink());
    let executable = executable.into();
    run(Config { browser: false, executable, out, colour: false, countdown: false, columns: None }).await
}

#[tokio::test]
async fn the_step_that_misbehaves_is_named() {
    for (executable, said) in [
        ("/bin/false", "log in: the process ended with exit status: 1"),
        ("/bin/true", "log in: the server saw no login"),
        (
            "/nowhere/mcp-front",
            "log in: this program could not be started again: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(outcome(executable).await.unwrap_err().to_string(), said);
    }
}
