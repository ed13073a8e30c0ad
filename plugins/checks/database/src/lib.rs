//! The check `database`: whether the app can connect to the PostgreSQL database of a secret URL.
//!
//! It connects like a client, up to the point at which a query could be sent: server, TLS, login, database. Each is a
//! row, and the first failing row has the reason. It connects twice, from this machine and from a pod, since the app
//! will connect from a pod. No query is sent, and nothing is written. Findings contain neither the URL nor its password.

mod address;
mod client;
mod from_pod;
mod rows;

use crate::address::Address;
use crate::client::Network;
use serde::Deserialize;
use std::time::Duration;
use todohost_plugin::check::{CheckSpec, Phase};
use todohost_plugin::subject::Subject;
use todohost_plugin::tcp::{Connection, Trust};
use todohost_plugin::{Check, Finding, Result};
// Installs the host as the source of random numbers, which the login needs for its nonces.
use todohost_randomness as _;

/// Time limit for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time limit for a connection from a pod: the cluster's DNS may ask other servers first.
const PODS_PATIENCE: Duration = Duration::from_secs(10);

/// Size limit of one read, in bytes.
const MOST: u32 = 16 * 1024;

struct Database;

/// The options in todohost.toml.
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
        let title = "The app can connect to the database";
        let spec = CheckSpec::new("connection", title, [Phase::Values]);
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
                let here = client::try_connect(&Machine, &address);
                // In a pod, a loopback address is the pod itself, so a connection from there shows nothing.
                let pods =
                    (!address.is_loopback()).then(|| client::try_connect(&Cluster, &address));
                rows::of(&address, &here, pods.as_ref())
            }
            Err(reason) => vec![rows::no_address(&options.secret, &reason)],
        })
    }
}

todohost_plugin::export!(Database: check);

/// Connections that the host opens from this machine.
struct Machine;

impl Network for Machine {
    type Wire = Connection;
    const IS_DIRECT: bool = true;

    fn open(&self, host: &str, port: u16) -> Result<Connection> {
        Connection::open(host, port, PATIENCE)
    }
}

/// Connections that the host opens through a pod.
struct Cluster;

impl Network for Cluster {
    type Wire = Connection;
    const IS_DIRECT: bool = false;

    fn open(&self, host: &str, port: u16) -> Result<Connection> {
        Connection::open_from_cluster(host, port, PODS_PATIENCE)
    }
}

impl client::Wire for Connection {
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
