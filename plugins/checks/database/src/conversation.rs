//! The way of a client into a database, up to where it could send a query: without any input or output of its own.

use crate::address::{Address, Mode};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Header, Message};
use postgres_protocol::message::frontend;
use todohost_plugin::tcp::Trust;
use todohost_plugin::{Error, Result};

/// Larger messages have no place in a log-in.
const LARGEST: usize = 64 * 1024;
/// More messages have neither.
const MOST_MESSAGES: usize = 200;

/// Opens connections.
pub trait Network {
    /// What it opens.
    type Wire: Wire;

    /// Whether nobody is between but the network itself. A program that passes bytes on might pretend to be the server.
    const IS_DIRECT: bool;

    /// Opens one.
    ///
    /// # Errors
    /// Where nothing answers.
    fn open(&self, host: &str, port: u16) -> Result<Self::Wire>;
}

/// A connection.
pub trait Wire {
    /// Goes on in TLS.
    ///
    /// # Errors
    /// Where the other side cannot, or is not trusted.
    fn start_tls(&self, server_name: &str, trust: Trust) -> Result<()>;

    /// What arrived; empty at the end.
    ///
    /// # Errors
    /// Where nothing arrives in time.
    fn read(&self) -> Result<Vec<u8>>;

    /// Sends all of it.
    ///
    /// # Errors
    /// Where the connection broke.
    fn write(&self, data: &[u8]) -> Result<()>;
}

/// How far it went, and what ended it.
#[derive(Debug, Default)]
pub struct Visit {
    /// Something answered there.
    pub answered: bool,
    /// Whether the connection is encrypted, once that is settled.
    pub encrypted: Option<bool>,
    /// User and password were taken.
    pub logged_in: bool,
    /// The server's version, as it says itself.
    pub version: Option<String>,
    /// What ended it before a query could be sent.
    pub trouble: Option<Trouble>,
}

impl Visit {
    /// How many steps it took: the connection, its encryption, the log-in, and all of it.
    pub fn depth(&self) -> u8 {
        match (self.answered, self.encrypted, self.logged_in, &self.trouble) {
            (_, _, _, None) => 4,
            (_, _, true, _) => 3,
            (_, Some(_), _, _) => 2,
            (true, ..) => 1,
            _ => 0,
        }
    }

    /// Let in.
    pub fn is_in(&self) -> bool {
        self.trouble.is_none()
    }
}

/// Why a client does not get in.
#[derive(Debug)]
pub enum Trouble {
    /// No connection.
    Network(Error),
    /// The server offers no TLS, and the URL wants it.
    NoTls,
    /// No agreement on TLS.
    Tls(Error),
    /// It wants the password as it is, over a connection that everybody can read. It was not sent.
    WantsCleartext,
    /// It wants the password as it is, or a mere digest of it, and whoever passes the bytes on could be the one who asks.
    /// It was not sent.
    Withheld,
    /// It wants a way of logging in that URLs have nothing for.
    OtherLogin,
    /// The server said no.
    Refused {
        /// Its five letters for that.
        state: String,
        /// Its words.
        message: String,
    },
    /// Something else than PostgreSQL talks there, or the connection broke.
    Strange(String),
}

/// Goes there, and for a URL that only prefers TLS a second time without, as clients do.
pub fn visit<N: Network>(network: &N, address: &Address) -> Visit {
    let first = attempt(network, address, address.mode);
    match (&first.trouble, address.mode) {
        (Some(Trouble::Tls(_)), Mode::Prefer) => attempt(network, address, Mode::Disable),
        _ => first,
    }
}

fn attempt<N: Network>(network: &N, address: &Address, mode: Mode) -> Visit {
    let mut visit = Visit::default();
    let ended =
        network.open(&address.host, address.port).map_err(Trouble::Network).and_then(|wire| {
            let is_verified = matches!(mode, Mode::Require(Trust::VerifyChain | Trust::VerifyFull));
            let may_tell = N::IS_DIRECT || is_verified;
            Client { wire, address, arrived: BytesMut::new(), may_tell }.enter(mode, &mut visit)
        });
    visit.trouble = ended.err();
    visit
}

struct Client<'a, W> {
    wire: W,
    address: &'a Address,
    arrived: BytesMut,
    /// Who is at the other end may be shown the password, where the server asks for it.
    may_tell: bool,
}

impl<W: Wire> Client<'_, W> {
    fn enter(&mut self, mode: Mode, visit: &mut Visit) -> Result<(), Trouble> {
        visit.answered = true;
        let encrypted = self.encrypt(mode)?;
        visit.encrypted = Some(encrypted);
        let mut start = BytesMut::new();
        let Address { user, database, .. } = self.address;
        let parameters = [("user", user.as_str()), ("database", database.as_str())];
        frontend::startup_message(parameters, &mut start)
            .map_err(|_| strange("the URL has a null byte"))?;
        self.send(&start)?;
        self.log_in(encrypted)?;
        visit.logged_in = true;
        for _ in 0..MOST_MESSAGES {
            match self.receive()? {
                Message::ParameterStatus(status)
                    if status.name().is_ok_and(|it| it == "server_version") =>
                {
                    visit.version = status.value().ok().map(str::to_owned);
                }
                Message::ReadyForQuery(_) => {
                    let mut end = BytesMut::new();
                    frontend::terminate(&mut end);
                    // It is over; a server that hangs up first is no trouble.
                    let _ = self.send(&end);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(strange("it talks on and on"))
    }

    /// Whether the connection is encrypted from here on.
    fn encrypt(&mut self, mode: Mode) -> Result<bool, Trouble> {
        if mode == Mode::Disable {
            return Ok(false);
        }
        let mut wish = BytesMut::new();
        frontend::ssl_request(&mut wish);
        self.send(&wish)?;
        let answer = self.wire.read().map_err(|error| broken(&error))?;
        let trust = match mode {
            Mode::Require(trust) => trust,
            Mode::Prefer | Mode::Disable => Trust::EncryptOnly,
        };
        // One byte and no more: what came with it would be taken for something encrypted.
        match answer.as_slice() {
            b"S" => {
                self.wire.start_tls(&self.address.host, trust).map_err(Trouble::Tls)?;
                Ok(true)
            }
            b"N" if mode == Mode::Prefer => Ok(false),
            b"N" => Err(Trouble::NoTls),
            [] => Err(strange("it hangs up when it is asked for TLS")),
            // A server that takes no more connections says so at once.
            [b'E', ..] => {
                self.arrived.extend_from_slice(&answer);
                self.receive().and(Err(strange("it does not know what TLS is")))
            }
            _ => Err(strange("what answers there is no PostgreSQL")),
        }
    }

    fn log_in(&mut self, encrypted: bool) -> Result<(), Trouble> {
        let mut scram: Option<ScramSha256> = None;
        for _ in 0..MOST_MESSAGES {
            let mut reply = BytesMut::new();
            let io =
                |error: std::io::Error| strange(&format!("its log-in makes no sense: {error}"));
            let password = self.address.password();
            match self.receive()? {
                Message::AuthenticationOk => return Ok(()),
                Message::AuthenticationCleartextPassword if !encrypted => {
                    return Err(Trouble::WantsCleartext);
                }
                Message::AuthenticationCleartextPassword
                | Message::AuthenticationMd5Password(_)
                    if !self.may_tell =>
                {
                    return Err(Trouble::Withheld);
                }
                Message::AuthenticationCleartextPassword => {
                    frontend::password_message(password, &mut reply).map_err(io)?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(self.address.user.as_bytes(), password, body.salt());
                    frontend::password_message(hash.as_bytes(), &mut reply).map_err(io)?;
                }
                Message::AuthenticationSasl(body) => {
                    let mut mechanisms = body.mechanisms();
                    let mut known = false;
                    while let Some(mechanism) = mechanisms.next().map_err(io)? {
                        known |= mechanism == SCRAM_SHA_256;
                    }
                    if !known || scram.is_some() {
                        return Err(Trouble::OtherLogin);
                    }
                    let exchange = ScramSha256::new(password, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), &mut reply)
                        .map_err(io)?;
                    scram = Some(exchange);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let Some(exchange) = &mut scram else { return Err(Trouble::OtherLogin) };
                    exchange.update(body.data()).map_err(io)?;
                    frontend::sasl_response(exchange.message(), &mut reply).map_err(io)?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    let Some(exchange) = &mut scram else { return Err(Trouble::OtherLogin) };
                    exchange
                        .finish(body.data())
                        .map_err(|_| strange("it does not know the password itself"))?;
                }
                Message::NoticeResponse(_) => {}
                _ => return Err(Trouble::OtherLogin),
            }
            if !reply.is_empty() {
                self.send(&reply)?;
            }
        }
        Err(strange("its log-in has no end"))
    }

    fn send(&self, data: &[u8]) -> Result<(), Trouble> {
        self.wire.write(data).map_err(|error| broken(&error))
    }

    /// The next message; what the server refuses is an error.
    fn receive(&mut self) -> Result<Message, Trouble> {
        loop {
            let nonsense = |_| strange("what it says is no PostgreSQL");
            let length = Header::parse(&self.arrived).map_err(nonsense)?.map_or(0, Header::len);
            if usize::try_from(length).unwrap_or(usize::MAX) > LARGEST {
                return Err(strange("it sends more than a log-in is"));
            }
            match Message::parse(&mut self.arrived).map_err(nonsense)? {
                Some(Message::ErrorResponse(body)) => return Err(refused(body.fields())),
                Some(message) => return Ok(message),
                None => {}
            }
            let more = self.wire.read().map_err(|error| broken(&error))?;
            if more.is_empty() {
                return Err(strange("it hangs up"));
            }
            self.arrived.extend_from_slice(&more);
        }
    }
}

fn refused(mut fields: ErrorFields<'_>) -> Trouble {
    let (mut state, mut message) = (String::new(), String::new());
    while let Ok(Some(field)) = fields.next() {
        let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => state = text(),
            b'M' => message = text(),
            _ => {}
        }
    }
    Trouble::Refused { state, message }
}

fn strange(reason: &str) -> Trouble {
    Trouble::Strange(reason.to_owned())
}

fn broken(error: &Error) -> Trouble {
    let causes = error.causes.iter().map(|cause| format!(": {cause}"));
    Trouble::Strange(causes.fold(error.message.clone(), |text, cause| text + &cause))
}
