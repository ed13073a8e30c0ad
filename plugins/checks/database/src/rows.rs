//! What a visit comes to, row by row: what was seen, why it failed, and what to do.

use crate::address::{Address, Mode};
use crate::conversation::{Trouble, Visit};
use crate::pods;
use todohost_plugin::tcp::Trust;
use todohost_plugin::{Finding, Outcome};

/// The rows, in the order in which a client meets them.
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
/// The last one.
pub const PODS: &str = "database.pods";

/// The secret has no value.
pub fn no_value(secret: &str) -> Finding {
    let message = format!("no URL: add --secret {secret}=env:VARIABLE");
    Finding::new(Outcome::NotJudged, SERVER, message)
        .help("where another secret holds it, name that with the option `secret` of the plugin `database`")
}

/// The secret's value cannot be gone to.
pub fn no_address(secret: &str, reason: &str) -> Finding {
    let message = format!("{secret} cannot be used: {reason}");
    Finding::failed(SERVER, message)
        .help("write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require")
}

/// What the visits from this machine and from a pod showed; the latter is not made where the pod would meet itself. What
/// comes after the first failure has no finding. The app is where pods are: where one gets further than this machine, the
/// rows are what it saw.
pub fn of(address: &Address, here: &Visit, pod: Option<&Visit>) -> Vec<Finding> {
    let asked = pod.filter(|pod| pods::not_asked(pod).is_none());
    let further = asked.filter(|pod| pod.depth() > here.depth());
    let mut findings = seen(address, further.unwrap_or(here), asked.is_some());
    findings.push(match pod {
        None => pods::itself(address, here),
        Some(pod) => pods::beside(address, here, pod),
    });
    findings
}

/// What one visit showed.
fn seen(address: &Address, visit: &Visit, pods_were_asked: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if visit.answered && !is_strange_from_the_start(visit) {
        let version = visit.version.as_ref().map(|version| address.hide(version));
        let version = version.map(|version| format!(", PostgreSQL {version}")).unwrap_or_default();
        findings.push(Finding::passed(SERVER, format!("{address}{version}")));
    }
    if let Some(encrypted) = visit.encrypted
        && !wants_encryption(visit)
    {
        findings.push(encryption(address, encrypted));
    }
    if visit.logged_in {
        findings.push(Finding::passed(LOGIN, format!("{} is let in", address.user)));
    }
    match &visit.trouble {
        None => findings.push(Finding::passed(NAME, format!("{} is there", address.database))),
        Some(trouble) => findings.push(failure(address, visit, trouble, pods_were_asked)),
    }
    findings
}

/// What answers is no database, or not ready to be one.
fn is_strange_from_the_start(visit: &Visit) -> bool {
    match &visit.trouble {
        Some(Trouble::Strange(_)) => visit.encrypted.is_none(),
        Some(Trouble::Refused { state, .. }) => is_busy(state),
        _ => false,
    }
}

/// Codes of a server that lets nobody in at the moment.
fn is_busy(state: &str) -> bool {
    matches!(state, "53300" | "57P01" | "57P02" | "57P03")
}

/// The server refused because the connection is not encrypted. It has no code of its own for that.
fn wants_encryption(visit: &Visit) -> bool {
    visit.encrypted == Some(false)
        && matches!(&visit.trouble, Some(Trouble::Refused { state, message })
            if state == "28000" && (message.contains("no encryption") || message.contains("SSL off")))
}

fn encryption(address: &Address, encrypted: bool) -> Finding {
    let message = match (address.mode, encrypted) {
        (Mode::Disable, _) => "none, as sslmode=disable says",
        (_, false) => "none: the server offers no TLS, or none that works",
        (Mode::Require(_), _) if address.own_authority => {
            return Finding::new(
                Outcome::NotJudged,
                ENCRYPTION,
                "TLS; only the app can judge the certificate by the file that sslrootcert names",
            );
        }
        (Mode::Require(Trust::VerifyFull), _) => {
            "TLS, and the certificate is trusted and for this name"
        }
        (Mode::Require(Trust::VerifyChain), _) => "TLS, and the certificate is trusted",
        (Mode::Prefer | Mode::Require(Trust::EncryptOnly), _) => {
            "TLS; the certificate is not asked for"
        }
    };
    Finding::passed(ENCRYPTION, message)
}

/// The row at which it ended.
pub fn failure(
    address: &Address,
    visit: &Visit,
    trouble: &Trouble,
    pods_were_asked: bool,
) -> Finding {
    let (host, user) = (&address.host, &address.user);
    match trouble {
        Trouble::Network(error) => {
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
                    format!("a firewall may be between: nc -vz {host} {}", address.port),
                ),
                _ => (address.hide(&error.message), format!("nc -vz {host} {}", address.port)),
            };
            let finding = if is_name && !pods_were_asked && address.may_be_the_clusters() {
                let message = format!("{message} here; the cluster may know it");
                Finding::new(Outcome::NotJudged, SERVER, message)
            } else {
                Finding::failed(SERVER, message).help(help)
            };
            error.causes.iter().fold(finding, |finding, cause| finding.evidence(address.hide(cause)))
        }
        Trouble::NoTls => Finding::failed(ENCRYPTION, "the server offers no TLS, and the URL asks for it")
            .help("switch TLS on at the server (ssl = on), or write sslmode=prefer where you trust the network"),
        Trouble::Tls(error) => {
            let causes = error.causes.iter().map(|cause| format!(": {}", address.hide(cause)));
            let message = causes.fold("no agreement on TLS".to_owned(), |text, cause| text + &cause);
            Finding::failed(ENCRYPTION, message).help(
                "sslmode=require encrypts without judging the certificate; sslmode=verify-full needs one that this \
                 system trusts, for this very name",
            )
        }
        Trouble::WantsCleartext => Finding::failed(
            LOGIN,
            "the server wants the password as it is over a connection that is not encrypted; it was not sent",
        )
        .help("write sslmode=require, or let the server ask for scram-sha-256"),
        Trouble::Withheld => Finding::new(
            Outcome::NotJudged,
            LOGIN,
            "the server wants the password as it is, which was not sent through the pod",
        )
        .help("sslmode=verify-full, or a server that asks for scram-sha-256, lets it be sent"),
        Trouble::OtherLogin => Finding::new(
            Outcome::NotJudged,
            LOGIN,
            "the server wants a log-in by something else than a password",
        ),
        Trouble::Strange(reason) => {
            let row = match (visit.encrypted, visit.logged_in) {
                (None, _) => SERVER,
                (_, false) => LOGIN,
                (_, true) => NAME,
            };
            let message = format!("{address} is no PostgreSQL that works: {}", address.hide(reason));
            Finding::failed(row, message).help("correct host and port in the URL")
        }
        Trouble::Refused { state, message } => {
            let (row, told, help): (_, String, String) = match state.as_str() {
                "28P01" => (
                    LOGIN,
                    format!("the password of {user} is wrong, or there is no such user"),
                    "correct the URL; what is not a letter or digit in a password is written as %XX there".into(),
                ),
                "28000" if wants_encryption(visit) => (
                    ENCRYPTION,
                    "the server lets nobody in without TLS".into(),
                    "write sslmode=require in the URL".into(),
                ),
                "28000" => (
                    LOGIN,
                    format!("{user} may not log in from here"),
                    "the server's pg_hba.conf has to allow it, also for the cluster's addresses".into(),
                ),
                "3D000" => (
                    NAME,
                    format!("there is no database {}", address.database),
                    format!("createdb {}, or correct the URL", address.database),
                ),
                "42501" => (
                    NAME,
                    format!("{user} may not connect to {}", address.database),
                    format!("GRANT CONNECT ON DATABASE \"{}\" TO \"{user}\"", address.database),
                ),
                state if is_busy(state) => (
                    SERVER,
                    format!("{address} lets nobody in at the moment"),
                    "wait until it has started, or raise max_connections".into(),
                ),
                _ if visit.logged_in => (NAME, "the server refuses".into(), String::new()),
                _ => (LOGIN, "the server refuses".into(), String::new()),
            };
            let finding = Finding::failed(row, told)
                .evidence(format!("{}: {}", address.hide(state), address.hide(message)));
            if help.is_empty() { finding } else { finding.help(help) }
        }
    }
}

#[cfg(test)]
mod tests;
