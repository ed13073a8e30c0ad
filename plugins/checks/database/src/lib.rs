//! The check `database`: whether the PostgreSQL that a secret URL names lets the app in.
//!
//! It goes the way of a client up to the first moment at which a query could be sent: name, port, TLS, user and
//! password, database; each is a row, and the first that fails says why. It goes there twice, from this machine and from
//! a pod: what pods see is what the app will see. No query is sent, and nothing is written. No finding holds the URL or
//! its password.

mod address;
mod conversation;
mod pods;
mod rows;

use crate::address::Address;
use crate::conversation::Network;
use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::subject::Subject;
use todohost_plugin::tcp::{Connection, Trust};
use todohost_plugin::{Check, Finding, Result};
// The nonces of a log-in come from the host.
use todohost_randomness as _;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same from a pod, whose name service may ask others first.
const PODS_PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes that are read at once.
const MOST: u32 = 16 * 1024;

struct Database;

/// What a project may set.
#[derive(Deserialize)]
#[serde(default)]
struct Options {
    secret: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { secret: "secrets.databaseUrl".into() }
    }
}

impl Check for Database {
    type Options = Options;

    fn checks() -> Vec<CheckSpec> {
        let spec = CheckSpec::new("connection", "The database lets the app in", [Phase::Values]);
        let spec = spec.timeout(Duration::from_mins(2));
        vec![rows::ROWS.into_iter().fold(spec, |spec, (code, title)| spec.row(code, title))]
    }

    fn run(_id: &str, options: Options, subject: &Subject) -> Result<Vec<Finding>> {
        let values = subject.values()?;
        let keys = options.secret.split('.');
        let value = keys.fold(&values.effective, |value, key| &value[key]);
        let Some(url) = value.as_str().filter(|url| !url.is_empty()) else {
            return Ok(vec![rows::no_value(&options.secret)]);
        };
        Ok(match Address::parse(url) {
            Ok(address) => {
                let here = conversation::visit(&Machine, &address);
                // There it would be the pod itself, and no pod need be asked for that.
                let pods =
                    (!address.is_loopback()).then(|| conversation::visit(&Cluster, &address));
                rows::of(&address, &here, pods.as_ref())
            }
            Err(reason) => vec![rows::no_address(&options.secret, &reason)],
        })
    }
}

todohost_plugin::export!(Database: check);

/// The connections that the host opens for this component.
struct Machine;

impl Network for Machine {
    type Wire = Connection;
    const IS_DIRECT: bool = true;

    fn open(&self, host: &str, port: u16) -> Result<Connection> {
        Connection::open(host, port, PATIENCE)
    }
}

/// Those that a pod of the host's opens.
struct Cluster;

impl Network for Cluster {
    type Wire = Connection;
    const IS_DIRECT: bool = false;

    fn open(&self, host: &str, port: u16) -> Result<Connection> {
        Connection::open_from_cluster(host, port, PODS_PATIENCE)
    }
}

impl conversation::Wire for Connection {
    fn start_tls(&self, server_name: &str, trust: Trust) -> Result<()> {
        self.start_tls(server_name, trust, None)
    }

    fn read(&self) -> Result<Vec<u8>> {
        self.read(MOST, PATIENCE)
    }

    fn write(&self, data: &[u8]) -> Result<()> {
        self.write(data)
    }
}
