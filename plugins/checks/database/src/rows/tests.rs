//! The rows for every kind of server.

use super::*;
use crate::client::{Network, Wire, try_connect};
use std::cell::RefCell;
use std::collections::VecDeque;
use todohost_plugin::{Error, ErrorKind, Result};

const PASSWORD: &str = "canary-51d0";

/// The behaviour of a scripted server for one connection.
#[derive(Clone)]
enum Script {
    Unreachable(&'static str),
    Answers { answers: Vec<Vec<u8>>, tls: bool },
}
use Script::{Answers, Unreachable};

struct Scripted {
    scripts: RefCell<VecDeque<Script>>,
    sent: RefCell<Vec<u8>>,
}

struct Line<'a> {
    server: &'a Scripted,
    answers: RefCell<VecDeque<Vec<u8>>>,
    tls: bool,
}

impl<'a> Network for &'a Scripted {
    type Wire = Line<'a>;
    const IS_DIRECT: bool = true;

    fn open(&self, host: &str, _port: u16) -> Result<Line<'a>> {
        self.line(host)
    }
}

/// The same server behind a relay.
struct Relayed<'a>(&'a Scripted);

impl<'a> Network for Relayed<'a> {
    type Wire = Line<'a>;
    const IS_DIRECT: bool = false;

    fn open(&self, host: &str, _port: u16) -> Result<Line<'a>> {
        self.0.line(host)
    }
}

impl Scripted {
    fn line(&self, host: &str) -> Result<Line<'_>> {
        match self.scripts.borrow_mut().pop_front() {
            Some(Answers { answers, tls }) => {
                Ok(Line { server: self, answers: RefCell::new(answers.into()), tls })
            }
            Some(Unreachable(code)) => {
                let message = format!("{host} cannot be reached");
                Err(Error::new(ErrorKind::Unavailable, code, message).cause("os error"))
            }
            None => panic!("an unexpected connection"),
        }
    }
}

impl Wire for Line<'_> {
    fn start_tls(&self, server_name: &str, _trust: Trust) -> Result<()> {
        assert_eq!(server_name, "db.example");
        let bad = || Error::unavailable("todohost.connect.tls", "no TLS").cause("UnknownIssuer");
        self.tls.then_some(()).ok_or_else(bad)
    }

    fn read(&self) -> Result<Vec<u8>> {
        Ok(self.answers.borrow_mut().pop_front().unwrap_or_default())
    }

    fn write(&self, data: &[u8]) -> Result<()> {
        self.server.sent.borrow_mut().extend_from_slice(data);
        Ok(())
    }
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag], length.as_slice(), body].concat()
}

fn refusal(state: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0C{state}\0M{text}\0\0").as_bytes())
}

fn authentication(kind: u32) -> Vec<u8> {
    message(b'R', &kind.to_be_bytes())
}

/// Accepts the login without a password.
fn welcome() -> Vec<u8> {
    let version = message(b'S', b"server_version\x0017.2\0");
    [authentication(0), version, message(b'Z', b"I")].concat()
}

fn answers(answers: &[&[u8]]) -> Script {
    Answers { answers: answers.iter().map(|answer| answer.to_vec()).collect(), tls: true }
}

fn at(host: &str, parameters: &str) -> Address {
    Address::parse(&format!("postgresql://todo:{PASSWORD}@{host}/shop?{parameters}")).unwrap()
}

/// An attempt, and the bytes that it sent.
fn attempt_with(address: &Address, scripts: &[Script]) -> (Attempt, Vec<u8>) {
    let scripts = RefCell::new(scripts.to_vec().into());
    let server = Scripted { scripts, sent: RefCell::default() };
    let try_connect = try_connect(&&server, address);
    assert!(server.scripts.borrow().is_empty(), "a connection was not made");
    (try_connect, server.sent.into_inner())
}

/// The rows for an attempt from this machine alone, and the bytes that it sent.
fn rows_for(parameters: &str, scripts: &[Script]) -> (Vec<String>, Vec<u8>) {
    let address = at("db.example", parameters);
    let (here, sent) = attempt_with(&address, scripts);
    let (pod, _) = attempt_with(&address, &[Unreachable("todohost.relay.none")]);
    (lines(&of(&address, &here, Some(&pod))), sent)
}

/// The rows for an attempt from this machine and one from a pod.
fn both(here: Script, pod: Script) -> Vec<String> {
    let address = at("db.example", "");
    let (here, _) = attempt_with(&address, &[here]);
    let (pod, _) = attempt_with(&address, &[pod]);
    lines(&of(&address, &here, Some(&pod)))
}

/// Findings as `CODE OUTCOME: MESSAGE`.
fn lines(findings: &[Finding]) -> Vec<String> {
    let whole = format!("{findings:?}");
    assert!(!whole.contains(PASSWORD), "{whole}");
    let word = |outcome: Outcome| match outcome {
        Outcome::Passed => "pass",
        Outcome::Failed => "fail",
        Outcome::Warning => "warn",
        Outcome::NotJudged => "none",
    };
    let row = |it: &Finding| {
        let code = it.code.trim_start_matches("database.");
        format!("{code} {}: {}", word(it.outcome), it.message)
    };
    findings.iter().map(row).collect()
}

#[test]
fn successful_connection_passes_every_row() {
    let (rows, sent) = rows_for("sslmode=require", &[answers(&[b"S", &welcome()])]);
    assert_eq!(
        rows,
        [
            "server pass: db.example:5432, PostgreSQL 17.2",
            "encryption pass: TLS; the certificate is not verified",
            "login pass: todo can log in",
            "name pass: shop exists",
            "pods none: not checked from a pod: db.example cannot be reached",
        ]
    );
    assert!(sent.ends_with(b"X\0\0\0\x04"), "the client ends with Terminate");
}

#[test]
fn messages_may_arrive_byte_by_byte() {
    let pieces: Vec<Vec<u8>> = welcome().into_iter().map(|byte| vec![byte]).collect();
    let script = Answers { answers: [vec![b"S".to_vec()], pieces].concat(), tls: true };
    assert!(rows_for("", &[script]).0[3].starts_with("name pass"));
}

#[test]
fn failing_step_is_the_row_that_fails() {
    let cases: [(&str, Script, &str); 13] = [
        (
            "",
            Unreachable("todohost.connect.unknown-host"),
            "server fail: the name db.example has no address",
        ),
        (
            "",
            Unreachable("todohost.connect.refused"),
            "server fail: nothing listens at db.example:5432",
        ),
        (
            "",
            Unreachable("todohost.connect.timeout"),
            "server fail: db.example:5432 does not answer",
        ),
        (
            "sslmode=require",
            answers(&[b"N"]),
            "encryption fail: the server offers no TLS, but the URL requires it",
        ),
        (
            "sslmode=verify-full",
            Answers { answers: vec![b"S".to_vec()], tls: false },
            "encryption fail: the TLS handshake failed: UnknownIssuer",
        ),
        (
            "sslmode=disable",
            answers(&[&refusal("28000", "no pg_hba.conf entry for host, no encryption")]),
            "encryption fail: the server requires TLS",
        ),
        (
            "",
            answers(&[b"S", &refusal("28P01", PASSWORD)]),
            "login fail: the password of todo is wrong, or the user does not exist",
        ),
        (
            "",
            answers(&[b"S", &[authentication(0), refusal("3D000", "no")].concat()]),
            "name fail: the database shop does not exist",
        ),
        (
            "",
            answers(&[b"S", &refusal("57P03", "the database system is starting up")]),
            "server fail: db.example:5432 accepts no connections at the moment",
        ),
        (
            "",
            answers(&[b"HTTP/1.1 400 Bad Request"]),
            "server fail: db.example:5432 is not a working PostgreSQL server: its answer is not in the PostgreSQL protocol",
        ),
        (
            "",
            answers(&[b"S", &message(b'R', &[0, 0, 0, 7])]),
            "login none: the server asks for a login method other than a password",
        ),
        (
            "",
            answers(&[b"S", b"R\x7f\xff\xff\xff\0"]),
            "login fail: db.example:5432 is not a working PostgreSQL server: its message is too large for a login",
        ),
        (
            "",
            answers(&[b"S and more"]),
            "server fail: db.example:5432 is not a working PostgreSQL server: its answer is not in the PostgreSQL protocol",
        ),
    ];
    for (parameters, script, expected) in cases {
        let (rows, _) = rows_for(parameters, &[script]);
        let ended = &rows[rows.len() - 2];
        assert_eq!(ended, expected, "{rows:?}");
        assert!(rows[..rows.len() - 2].iter().all(|row| row.contains(" pass: ")), "{rows:?}");
    }
}

#[test]
fn clear_text_password_is_never_sent_unencrypted() {
    let script = answers(&[b"N", &authentication(3)]);
    let (rows, sent) = rows_for("sslmode=prefer", &[script]);
    assert!(
        rows[2].starts_with("login fail: the server asks for the password in clear text"),
        "{rows:?}"
    );
    let has = |sent: &[u8]| sent.windows(PASSWORD.len()).any(|it| it == PASSWORD.as_bytes());
    assert!(!has(&sent));
    let (rows, sent) = rows_for("", &[answers(&[b"S", &authentication(3), &welcome()])]);
    assert!(rows[3].starts_with("name pass"), "{rows:?}");
    assert!(has(&sent), "it is sent inside TLS");
}

#[test]
fn readable_password_is_not_sent_through_an_unverified_relay() {
    let md5 = message(b'R', &[0, 0, 0, 5, 1, 2, 3, 4]);
    for (asks, shown) in [(authentication(3), PASSWORD), (md5, "md5")] {
        let sent = |parameters: &str| {
            let scripts = RefCell::new([answers(&[b"S", &asks, &welcome()])].into());
            let server = Scripted { scripts, sent: RefCell::default() };
            let address = at("db.example", parameters);
            let pod = try_connect(&Relayed(&server), &address);
            let (here, _) = attempt_with(&address, &[answers(&[b"S", &welcome()])]);
            let rows = lines(&of(&address, &here, Some(&pod)));
            (rows[4].clone(), server.sent.into_inner())
        };
        let (row, sent_unverified) = sent("sslmode=require");
        let expected =
            "pods none: a pod can reach the server; the server asks for the password in clear text";
        assert!(row.starts_with(expected), "{row}");
        let (row, sent_verified) = sent("sslmode=verify-full");
        assert_eq!(row, "pods pass: a pod can connect too");
        let has = |sent: &[u8]| String::from_utf8_lossy(sent).contains(shown);
        assert!(has(&sent_verified) && !has(&sent_unverified), "{shown}");
    }
}

#[test]
fn preferred_tls_falls_back_to_no_encryption() {
    let broken = Answers { answers: vec![b"S".to_vec()], tls: false };
    let (rows, _) = rows_for("", &[broken, answers(&[&welcome()])]);
    assert_eq!(rows[1], "encryption pass: none: the server offers no working TLS");
    assert!(rows[3].starts_with("name pass"), "{rows:?}");
}

#[test]
fn server_that_does_not_know_the_password_fails_the_login() {
    let sasl = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let forged = message(b'R', b"\0\0\0\x0br=forged,s=c2FsdA==,i=4096");
    let (rows, _) = rows_for("", &[answers(&[b"S", &sasl, &forged])]);
    assert!(rows[2].starts_with("login fail"), "{rows:?}");
}

#[test]
fn loopback_address_is_the_pod_itself() {
    let address = at("localhost", "");
    let (here, _) = attempt_with(&address, &[Unreachable("todohost.connect.refused")]);
    let rows = lines(&of(&address, &here, None));
    assert_eq!(rows[1], "pods warn: in a pod, localhost is the pod itself, not this machine");
    let (here, _) = attempt_with(&address, &[answers(&[b"N", &welcome()])]);
    let rows = lines(&of(&address, &here, None));
    assert_eq!(
        rows[4],
        "pods fail: reachable from here but not from the cluster: in a pod, localhost is the pod itself, not this machine"
    );
}

#[test]
fn cluster_name_is_judged_only_if_a_pod_resolved_it() {
    let address = at("postgres.shop.svc", "");
    let unknown = [Unreachable("todohost.connect.unknown-host")];
    let (here, _) = attempt_with(&address, &unknown);
    let (unchecked, _) = attempt_with(&address, &[Unreachable("todohost.relay.none")]);
    let rows = lines(&of(&address, &here, Some(&unchecked)));
    assert!(rows[0].starts_with("server none: "), "{rows:?}");
    let (pod, _) = attempt_with(&address, &unknown);
    let rows = lines(&of(&address, &here, Some(&pod)));
    assert!(rows[0].starts_with("server fail: "), "{rows:?}");
    assert_eq!(rows[1], "pods none: a pod gets the same result as this machine");
}

#[test]
fn differences_between_pod_and_machine_are_reported() {
    let connects = || answers(&[b"S", &welcome()]);
    let wrong = || answers(&[b"S", &refusal("28P01", "no")]);
    let not_allowed = || answers(&[b"S", &refusal("28000", "no pg_hba.conf entry")]);
    let refused = || Unreachable("todohost.connect.refused");
    let unknown = || Unreachable("todohost.connect.unknown-host");
    let late = || Unreachable("todohost.connect.timeout");
    let only_here = "pods fail: reachable from here but not from the cluster";
    let cases: [(Script, Script, &str); 8] = [
        (connects(), connects(), "pods pass: a pod can connect too"),
        (connects(), refused(), &format!("{only_here}: nothing listens at db.example:5432")),
        (connects(), unknown(), &format!("{only_here}: the name db.example has no address")),
        (connects(), late(), &format!("{only_here}: db.example:5432 does not answer")),
        (wrong(), late(), &format!("{only_here}: db.example:5432 does not answer")),
        (
            connects(),
            not_allowed(),
            "pods fail: a pod gets another result than this machine: the server does not allow todo to log in from this address",
        ),
        (wrong(), wrong(), "pods none: a pod gets the same result as this machine"),
        (
            refused(),
            unknown(),
            "pods fail: a pod gets another result than this machine: the name db.example has no address",
        ),
    ];
    for (here, pod, expected) in cases {
        let rows = both(here, pod);
        assert_eq!(rows.last().unwrap(), expected, "{rows:?}");
    }
}

#[test]
fn rows_come_from_the_pod_if_it_gets_further() {
    let unreached = || Unreachable("todohost.connect.timeout");
    let rows = both(unreached(), answers(&[b"S", &welcome()]));
    assert_eq!(rows[0], "server pass: db.example:5432, PostgreSQL 17.2");
    assert_eq!(
        rows[4],
        "pods pass: a pod can connect; this machine cannot, but the app does not need that: db.example:5432 does not answer"
    );
    let rows = both(unreached(), answers(&[b"S", &refusal("28P01", "no")]));
    assert_eq!(rows[2], "login fail: the password of todo is wrong, or the user does not exist");
    assert_eq!(
        rows[3],
        "pods none: the rows above were checked from a pod; from this machine: db.example:5432 does not answer"
    );
}

#[test]
fn secret_without_a_value_is_not_judged_and_an_invalid_one_fails() {
    assert_eq!(no_value("a.b").outcome, Outcome::NotJudged);
    assert_eq!(no_address("a.b", "it has no host").message, "a.b cannot be used: it has no host");
}
