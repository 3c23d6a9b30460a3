//! The key that the nodes of a cluster share.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::wire::ClusterKey;

/// What a node is told of it.
#[derive(Clone, Debug, Args)]
pub struct KeyFlags {
    /// Key that the nodes of a cluster share: heartbeats are signed with it, and clients get tickets; better given by the
    /// variable or a file, which `ps` does not show; `distr-chat token key` makes one
    #[arg(long, env = KEY_VARIABLE, hide_env_values = true, conflicts_with = "cluster_key_file")]
    cluster_key: Option<String>,

    /// File that holds the key
    #[arg(long, env = "DISTR_CLUSTER_KEY_FILE", value_name = "FILE")]
    cluster_key_file: Option<PathBuf>,
}

/// Tells a node the key.
pub const KEY_VARIABLE: &str = "DISTR_CLUSTER_KEY";

impl KeyFlags {
    /// The key, if one is told.
    pub fn key(&self) -> anyhow::Result<Option<ClusterKey>> {
        let text = self.text()?;
        Ok(text.as_deref().map(ClusterKey::parse).transpose()?)
    }

    /// As it was written.
    pub fn text(&self) -> anyhow::Result<Option<String>> {
        let Some(file) = &self.cluster_key_file else { return Ok(self.cluster_key.clone()) };
        let text = fs::read_to_string(file)
            .with_context(|| format!("--cluster-key-file: cannot read {}", file.display()))?;
        Ok(Some(text.trim().to_owned()))
    }
}
