//! What every kind of server makes of the rows.

use super::*;
use crate::conversation::{Network, Wire, visit};
use std::cell::RefCell;
use std::collections::VecDeque;
use todohost_plugin::{Error, ErrorKind, Result};

const PASSWORD: &str = "canary-51d0";

/// What a server does when it is connected to, once for each connection.
#[derive(Clone)]
enum Script {
    Unreachable(&'static str),
    Says { answers: Vec<Vec<u8>>, tls: bool },
}
use Script::{Says, Unreachable};

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

/// The same with somebody between.
struct Between<'a>(&'a Scripted);

impl<'a> Network for Between<'a> {
    type Wire = Line<'a>;
    const IS_DIRECT: bool = false;

    fn open(&self, host: &str, _port: u16) -> Result<Line<'a>> {
        self.0.line(host)
    }
}

impl Scripted {
    fn line(&self, host: &str) -> Result<Line<'_>> {
        match self.scripts.borrow_mut().pop_front() {
            Some(Says { answers, tls }) => {
                Ok(Line { server: self, answers: RefCell::new(answers.into()), tls })
            }
            Some(Unreachable(code)) => {
                let message = format!("{host} cannot be reached");
                Err(Error::new(ErrorKind::Unavailable, code, message).cause("os error"))
            }
            None => panic!("nobody expects another connection"),
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

/// Lets everybody in who does not need a password.
fn welcome() -> Vec<u8> {
    let version = message(b'S', b"server_version\x0017.2\0");
    [authentication(0), version, message(b'Z', b"I")].concat()
}

fn says(answers: &[&[u8]]) -> Script {
    Says { answers: answers.iter().map(|answer| answer.to_vec()).collect(), tls: true }
}

fn at(host: &str, parameters: &str) -> Address {
    Address::parse(&format!("postgresql://todo:{PASSWORD}@{host}/shop?{parameters}")).unwrap()
}

/// A visit, and what was sent.
fn visit_of(address: &Address, scripts: &[Script]) -> (Visit, Vec<u8>) {
    let scripts = RefCell::new(scripts.to_vec().into());
    let server = Scripted { scripts, sent: RefCell::default() };
    let visit = visit(&&server, address);
    assert!(server.scripts.borrow().is_empty(), "a connection was not made");
    (visit, server.sent.into_inner())
}

/// The rows that a visit from this machine gives, where no pod is asked, and what was sent.
fn visited(parameters: &str, scripts: &[Script]) -> (Vec<String>, Vec<u8>) {
    let address = at("db.example", parameters);
    let (here, sent) = visit_of(&address, scripts);
    let (pod, _) = visit_of(&address, &[Unreachable("todohost.relay.none")]);
    (told(&of(&address, &here, Some(&pod))), sent)
}

/// The rows that a visit from this machine and one from a pod give.
fn both(here: Script, pod: Script) -> Vec<String> {
    let address = at("db.example", "");
    let (here, _) = visit_of(&address, &[here]);
    let (pod, _) = visit_of(&address, &[pod]);
    told(&of(&address, &here, Some(&pod)))
}

/// Findings as `CODE OUTCOME: MESSAGE`.
fn told(findings: &[Finding]) -> Vec<String> {
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
fn the_whole_way_in() {
    let (rows, sent) = visited("sslmode=require", &[says(&[b"S", &welcome()])]);
    assert_eq!(
        rows,
        [
            "server pass: db.example:5432, PostgreSQL 17.2",
            "encryption pass: TLS; the certificate is not asked for",
            "login pass: todo is let in",
            "name pass: shop is there",
            "pods none: no pod was asked: db.example cannot be reached",
        ]
    );
    assert!(sent.ends_with(b"X\0\0\0\x04"), "it says goodbye");
}

#[test]
fn an_answer_may_come_in_pieces() {
    let pieces: Vec<Vec<u8>> = welcome().into_iter().map(|byte| vec![byte]).collect();
    let script = Says { answers: [vec![b"S".to_vec()], pieces].concat(), tls: true };
    assert!(visited("", &[script]).0[3].starts_with("name pass"));
}

#[test]
fn where_it_ends_is_the_row_that_fails() {
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
            says(&[b"N"]),
            "encryption fail: the server offers no TLS, and the URL asks for it",
        ),
        (
            "sslmode=verify-full",
            Says { answers: vec![b"S".to_vec()], tls: false },
            "encryption fail: no agreement on TLS: UnknownIssuer",
        ),
        (
            "sslmode=disable",
            says(&[&refusal("28000", "no pg_hba.conf entry for host, no encryption")]),
            "encryption fail: the server lets nobody in without TLS",
        ),
        (
            "",
            says(&[b"S", &refusal("28P01", PASSWORD)]),
            "login fail: the password of todo is wrong, or there is no such user",
        ),
        (
            "",
            says(&[b"S", &[authentication(0), refusal("3D000", "no")].concat()]),
            "name fail: there is no database shop",
        ),
        (
            "",
            says(&[b"S", &refusal("57P03", "the database system is starting up")]),
            "server fail: db.example:5432 lets nobody in at the moment",
        ),
        (
            "",
            says(&[b"HTTP/1.1 400 Bad Request"]),
            "server fail: db.example:5432 is no PostgreSQL that works: what answers there is no PostgreSQL",
        ),
        (
            "",
            says(&[b"S", &message(b'R', &[0, 0, 0, 7])]),
            "login none: the server wants a log-in by something else than a password",
        ),
        (
            "",
            says(&[b"S", b"R\x7f\xff\xff\xff\0"]),
            "login fail: db.example:5432 is no PostgreSQL that works: it sends more than a log-in is",
        ),
        (
            "",
            says(&[b"S and more"]),
            "server fail: db.example:5432 is no PostgreSQL that works: what answers there is no PostgreSQL",
        ),
    ];
    for (parameters, script, expected) in cases {
        let (rows, _) = visited(parameters, &[script]);
        let ended = &rows[rows.len() - 2];
        assert_eq!(ended, expected, "{rows:?}");
        assert!(rows[..rows.len() - 2].iter().all(|row| row.contains(" pass: ")), "{rows:?}");
    }
}

#[test]
fn a_password_is_never_sent_for_all_to_read() {
    let script = says(&[b"N", &authentication(3)]);
    let (rows, sent) = visited("sslmode=prefer", &[script]);
    assert!(rows[2].starts_with("login fail: the server wants the password as it is"), "{rows:?}");
    let has = |sent: &[u8]| sent.windows(PASSWORD.len()).any(|it| it == PASSWORD.as_bytes());
    assert!(!has(&sent));
    let (rows, sent) = visited("", &[says(&[b"S", &authentication(3), &welcome()])]);
    assert!(rows[3].starts_with("name pass"), "{rows:?}");
    assert!(has(&sent), "inside TLS it is");
}

#[test]
fn nor_is_it_sent_to_whoever_passes_bytes_on() {
    let md5 = message(b'R', &[0, 0, 0, 5, 1, 2, 3, 4]);
    for (asks, shown) in [(authentication(3), PASSWORD), (md5, "md5")] {
        let sent = |parameters: &str| {
            let scripts = RefCell::new([says(&[b"S", &asks, &welcome()])].into());
            let server = Scripted { scripts, sent: RefCell::default() };
            let address = at("db.example", parameters);
            let pod = visit(&Between(&server), &address);
            let (here, _) = visit_of(&address, &[says(&[b"S", &welcome()])]);
            let rows = told(&of(&address, &here, Some(&pod)));
            (rows[4].clone(), server.sent.into_inner())
        };
        let (row, sent_unverified) = sent("sslmode=require");
        let told = "pods none: a pod reaches it; the server wants the password as it is";
        assert!(row.starts_with(told), "{row}");
        let (row, sent_verified) = sent("sslmode=verify-full");
        assert_eq!(row, "pods pass: a pod is let in, too");
        let has = |sent: &[u8]| String::from_utf8_lossy(sent).contains(shown);
        assert!(has(&sent_verified) && !has(&sent_unverified), "{shown}");
    }
}

#[test]
fn where_tls_is_only_preferred_it_goes_on_without() {
    let broken = Says { answers: vec![b"S".to_vec()], tls: false };
    let (rows, _) = visited("", &[broken, says(&[&welcome()])]);
    assert_eq!(rows[1], "encryption pass: none: the server offers no TLS, or none that works");
    assert!(rows[3].starts_with("name pass"), "{rows:?}");
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    let sasl = message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
    let forged = message(b'R', b"\0\0\0\x0br=forged,s=c2FsdA==,i=4096");
    let (rows, _) = visited("", &[says(&[b"S", &sasl, &forged])]);
    assert!(rows[2].starts_with("login fail"), "{rows:?}");
}

#[test]
fn what_is_this_machine_here_is_the_pod_there() {
    let address = at("localhost", "");
    let (here, _) = visit_of(&address, &[Unreachable("todohost.connect.refused")]);
    let rows = told(&of(&address, &here, None));
    assert_eq!(rows[1], "pods warn: localhost is the pod itself there, not this machine");
    let (here, _) = visit_of(&address, &[says(&[b"N", &welcome()])]);
    let rows = told(&of(&address, &here, None));
    assert_eq!(
        rows[4],
        "pods fail: reachable from here but not from the cluster: localhost is the pod itself there, not this machine"
    );
}

#[test]
fn a_name_of_the_clusters_is_judged_where_a_pod_looked_for_it() {
    let address = at("postgres.shop.svc", "");
    let unknown = [Unreachable("todohost.connect.unknown-host")];
    let (here, _) = visit_of(&address, &unknown);
    let (nobody, _) = visit_of(&address, &[Unreachable("todohost.relay.none")]);
    let rows = told(&of(&address, &here, Some(&nobody)));
    assert!(rows[0].starts_with("server none: "), "{rows:?}");
    let (pod, _) = visit_of(&address, &unknown);
    let rows = told(&of(&address, &here, Some(&pod)));
    assert!(rows[0].starts_with("server fail: "), "{rows:?}");
    assert_eq!(rows[1], "pods none: a pod comes as far as this machine");
}

#[test]
fn where_pods_and_this_machine_differ_is_said() {
    let lets_in = || says(&[b"S", &welcome()]);
    let wrong = || says(&[b"S", &refusal("28P01", "no")]);
    let no_way = || says(&[b"S", &refusal("28000", "no pg_hba.conf entry")]);
    let refused = || Unreachable("todohost.connect.refused");
    let unknown = || Unreachable("todohost.connect.unknown-host");
    let late = || Unreachable("todohost.connect.timeout");
    let only_here = "pods fail: reachable from here but not from the cluster";
    let cases: [(Script, Script, &str); 8] = [
        (lets_in(), lets_in(), "pods pass: a pod is let in, too"),
        (lets_in(), refused(), &format!("{only_here}: nothing listens at db.example:5432")),
        (lets_in(), unknown(), &format!("{only_here}: the name db.example has no address")),
        (lets_in(), late(), &format!("{only_here}: db.example:5432 does not answer")),
        (wrong(), late(), &format!("{only_here}: db.example:5432 does not answer")),
        (
            lets_in(),
            no_way(),
            "pods fail: a pod meets something else than this machine: todo may not log in from here",
        ),
        (wrong(), wrong(), "pods none: a pod comes as far as this machine"),
        (
            refused(),
            unknown(),
            "pods fail: a pod meets something else than this machine: the name db.example has no address",
        ),
    ];
    for (here, pod, expected) in cases {
        let rows = both(here, pod);
        assert_eq!(rows.last().unwrap(), expected, "{rows:?}");
    }
}

#[test]
fn where_a_pod_gets_further_the_rows_are_what_it_saw() {
    let unreached = || Unreachable("todohost.connect.timeout");
    let rows = both(unreached(), says(&[b"S", &welcome()]));
    assert_eq!(rows[0], "server pass: db.example:5432, PostgreSQL 17.2");
    assert_eq!(
        rows[4],
        "pods pass: a pod is let in; this machine is not, which the app does not need: db.example:5432 does not answer"
    );
    let rows = both(unreached(), says(&[b"S", &refusal("28P01", "no")]));
    assert_eq!(rows[2], "login fail: the password of todo is wrong, or there is no such user");
    assert_eq!(
        rows[3],
        "pods none: the rows above are a pod's; this machine: db.example:5432 does not answer"
    );
}

#[test]
fn a_secret_without_a_value_is_not_judged_and_a_bad_one_fails() {
    assert_eq!(no_value("a.b").outcome, Outcome::NotJudged);
    assert_eq!(no_address("a.b", "it is none").message, "a.b cannot be used: it is none");
}
