//! The rows of a connection attempt: their findings, with help for each failure.

use crate::address::{Address, Mode};
use crate::client::{Attempt, Failure};
use crate::from_pod;
use todohost_plugin::tcp::Trust;
use todohost_plugin::{Finding, Outcome};

/// Code and title of each row, in the order of a connection.
pub const ROWS: [(&str, &str); 5] = [
    (SERVER, "Server answers"),
    (ENCRYPTION, "Encryption"),
    (LOGIN, "User and password"),
    (NAME, "Database"),
    (PODS, "As pods see it"),
];

const SERVER: &str = "database.server";
const ENCRYPTION: &str = "database.encryption";
const LOGIN: &str = "database.login";
const NAME: &str = "database.name";
/// Code of the row about connections from a pod.
pub const PODS: &str = "database.pods";

/// The finding if the secret has no value.
pub fn no_value(secret: &str) -> Finding {
    let message = format!("no URL: add --secret {secret}=env:VARIABLE");
    Finding::new(Outcome::NotJudged, SERVER, message)
        .help("if another secret contains the URL, set its path with the option `secret` of the plugin `database`")
}

/// The finding if the secret's value is not a usable URL.
pub fn no_address(secret: &str, reason: &str) -> Finding {
    let message = format!("{secret} cannot be used: {reason}");
    Finding::failed(SERVER, message)
        .help("write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require")
}

/// The findings for the attempts from this machine and from a pod; `pod` is `None` for a loopback address. Rows after the
/// first failure have no finding. The app runs in a pod, so the rows show the pod's attempt if it gets further than that
/// of this machine.
pub fn of(address: &Address, here: &Attempt, pod: Option<&Attempt>) -> Vec<Finding> {
    let checked = pod.filter(|pod| from_pod::not_checked(pod).is_none());
    let further = checked.filter(|pod| pod.depth() > here.depth());
    let mut findings = rows_of(address, further.unwrap_or(here), checked.is_some());
    findings.push(match pod {
        None => from_pod::loopback(address, here),
        Some(pod) => from_pod::compare(address, here, pod),
    });
    findings
}

/// The findings for one attempt.
fn rows_of(address: &Address, attempt: &Attempt, checked_from_pod: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if attempt.answered && !cannot_serve(attempt) {
        let version = attempt.version.as_ref().map(|version| address.hide(version));
        let version = version.map(|version| format!(", PostgreSQL {version}")).unwrap_or_default();
        findings.push(Finding::passed(SERVER, format!("{address}{version}")));
    }
    if let Some(encrypted) = attempt.encrypted
        && !requires_tls(attempt)
    {
        findings.push(encryption(address, encrypted));
    }
    if attempt.logged_in {
        findings.push(Finding::passed(LOGIN, format!("{} can log in", address.user)));
    }
    match &attempt.failure {
        None => findings.push(Finding::passed(NAME, format!("{} exists", address.database))),
        Some(failure) => {
            findings.push(failure_finding(address, attempt, failure, checked_from_pod));
        }
    }
    findings
}

/// Whether the server is not PostgreSQL, or accepts no connections at the moment.
fn cannot_serve(attempt: &Attempt) -> bool {
    match &attempt.failure {
        Some(Failure::Protocol(_)) => attempt.encrypted.is_none(),
        Some(Failure::Rejected { state, .. }) => is_busy(state),
        _ => false,
    }
}

/// Whether a `SQLSTATE` code means that the server accepts no connections at the moment.
fn is_busy(state: &str) -> bool {
    matches!(state, "53300" | "57P01" | "57P02" | "57P03")
}

/// Whether the server rejected the connection because it is not encrypted. PostgreSQL has no separate code for that.
fn requires_tls(attempt: &Attempt) -> bool {
    attempt.encrypted == Some(false)
        && matches!(&attempt.failure, Some(Failure::Rejected { state, message })
            if state == "28000" && (message.contains("no encryption") || message.contains("SSL off")))
}

fn encryption(address: &Address, encrypted: bool) -> Finding {
    let message = match (address.mode, encrypted) {
        (Mode::Disable, _) => "none, because of sslmode=disable",
        (_, false) => "none: the server offers no working TLS",
        (Mode::Require(_), _) if address.own_authority => {
            return Finding::new(
                Outcome::NotJudged,
                ENCRYPTION,
                "TLS; only the app can verify the certificate, with its sslrootcert",
            );
        }
        (Mode::Require(Trust::VerifyFull), _) => {
            "TLS; the certificate is trusted and valid for this host"
        }
        (Mode::Require(Trust::VerifyChain), _) => "TLS; the certificate is trusted",
        (Mode::Prefer | Mode::Require(Trust::EncryptOnly), _) => {
            "TLS; the certificate is not verified"
        }
    };
    Finding::passed(ENCRYPTION, message)
}

/// The finding for the step that failed.
pub fn failure_finding(
    address: &Address,
    attempt: &Attempt,
    failure: &Failure,
    checked_from_pod: bool,
) -> Finding {
    let (host, user) = (&address.host, &address.user);
    match failure {
        Failure::Network(error) => {
            let is_name = error.code == "todohost.connect.unknown-host";
            let (message, help) = match error.code.as_str() {
                "todohost.connect.unknown-host" => {
                    (format!("the name {host} has no address"), "correct the host in the URL".into())
                }
                "todohost.connect.refused" => (
                    format!("nothing listens at {address}"),
                    "start the server, or correct host and port in the URL".into(),
                ),
                "todohost.connect.timeout" => (
                    format!("{address} does not answer"),
                    format!("a firewall may block it: nc -vz {host} {}", address.port),
                ),
                _ => (address.hide(&error.message), format!("nc -vz {host} {}", address.port)),
            };
            let finding = if is_name && !checked_from_pod && address.may_be_cluster_name() {
                let message = format!("{message} on this machine; the cluster may resolve it");
                Finding::new(Outcome::NotJudged, SERVER, message)
            } else {
                Finding::failed(SERVER, message).help(help)
            };
            error.causes.iter().fold(finding, |finding, cause| finding.evidence(address.hide(cause)))
        }
        Failure::TlsNotOffered => Finding::failed(ENCRYPTION, "the server offers no TLS, but the URL requires it")
            .help("enable TLS on the server (ssl = on), or write sslmode=prefer if you trust the network"),
        Failure::Tls(error) => {
            let causes = error.causes.iter().map(|cause| format!(": {}", address.hide(cause)));
            let message = causes.fold("the TLS handshake failed".to_owned(), |text, cause| text + &cause);
            Finding::failed(ENCRYPTION, message).help(
                "sslmode=require encrypts without verifying the certificate; sslmode=verify-full needs a certificate for \
                 this host name that this system trusts",
            )
        }
        Failure::CleartextRequired => Finding::failed(
            LOGIN,
            "the server asks for the password in clear text over an unencrypted connection; it was not sent",
        )
        .help("write sslmode=require, or set the server's authentication method to scram-sha-256"),
        Failure::Withheld => Finding::new(
            Outcome::NotJudged,
            LOGIN,
            "the server asks for the password in clear text or as MD5; it was not sent through the pod",
        )
        .help("write sslmode=verify-full, or set the server's authentication method to scram-sha-256"),
        Failure::OtherLogin => Finding::new(
            Outcome::NotJudged,
            LOGIN,
            "the server asks for a login method other than a password",
        ),
        Failure::Protocol(reason) => {
            let row = match (attempt.encrypted, attempt.logged_in) {
                (None, _) => SERVER,
                (_, false) => LOGIN,
                (_, true) => NAME,
            };
            let message = format!("{address} is not a working PostgreSQL server: {}", address.hide(reason));
            Finding::failed(row, message).help("correct host and port in the URL")
        }
        Failure::Rejected { state, message } => {
            let (row, summary, help): (_, String, String) = match state.as_str() {
                "28P01" => (
                    LOGIN,
                    format!("the password of {user} is wrong, or the user does not exist"),
                    "correct the URL; write characters of the password other than letters and digits as %XX".into(),
                ),
                "28000" if requires_tls(attempt) => (
                    ENCRYPTION,
                    "the server requires TLS".into(),
                    "write sslmode=require in the URL".into(),
                ),
                "28000" => (
                    LOGIN,
                    format!("the server does not allow {user} to log in from this address"),
                    "allow it in the server's pg_hba.conf, also for the cluster's addresses".into(),
                ),
                "3D000" => (
                    NAME,
                    format!("the database {} does not exist", address.database),
                    format!("createdb {}, or correct the URL", address.database),
                ),
                "42501" => (
                    NAME,
                    format!("{user} is not allowed to connect to {}", address.database),
                    format!("GRANT CONNECT ON DATABASE \"{}\" TO \"{user}\"", address.database),
                ),
                state if is_busy(state) => (
                    SERVER,
                    format!("{address} accepts no connections at the moment"),
                    "wait until the server has started, or raise max_connections".into(),
                ),
                _ if attempt.logged_in => {
                    (NAME, "the server rejected the connection".into(), String::new())
                }
                _ => (LOGIN, "the server rejected the login".into(), String::new()),
            };
            let finding = Finding::failed(row, summary)
                .evidence(format!("{}: {}", address.hide(state), address.hide(message)));
            if help.is_empty() { finding } else { finding.help(help) }
        }
    }
}

#[cfg(test)]
mod tests;
