//! The flags of the commands that reach the network.

use std::path::PathBuf;

use clap::Args;

use crate::config::network;

/// How requests leave this machine.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Network options")]
pub(super) struct NetworkFlags {
    /// Trust the root certificates of this PEM file, beside the platform's
    #[arg(long, value_name = "PATH")]
    ca_file: Option<PathBuf>,
    /// Show this PEM certificate to the service's own origin, and to nobody else
    #[arg(long, value_name = "PATH")]
    client_cert: Option<PathBuf>,
    /// The certificate's private key in PEM [default: the certificate's file]
    #[arg(long, value_name = "PATH")]
    client_key: Option<PathBuf>,
    /// Let a public service name addresses of private networks at a login
    #[arg(long)]
    allow_private_network: bool,
}

impl NetworkFlags {
    /// The same flags in the terms of [`crate::config`].
    pub(super) fn flags(&self) -> network::NetworkFlags {
        network::NetworkFlags {
            ca_file: self.ca_file.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
            allow_private_network: self.allow_private_network,
        }
    }
}
