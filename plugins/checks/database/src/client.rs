//! A PostgreSQL client that stops before the first query. The traits [`Network`] and [`Wire`] do its input and output.

use crate::address::{Address, Mode};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorFields, Header, Message};
use postgres_protocol::message::frontend;
use todohost_plugin::tcp::Trust;
use todohost_plugin::{Error, Result};

/// Size limit of a message during the login, in bytes.
const LARGEST: usize = 64 * 1024;

/// Limit of messages during the login.
const MOST_MESSAGES: usize = 200;

/// Opens connections to a server; tests use a scripted one.
pub trait Network {
    /// The connections that it opens.
    type Wire: Wire;

    /// Whether connections go directly to the server. A relay in between could impersonate the server.
    const IS_DIRECT: bool;

    /// Opens a connection.
    ///
    /// # Errors
    /// If the server cannot be reached.
    fn open(&self, host: &str, port: u16) -> Result<Self::Wire>;
}

/// An open connection that transports bytes.
pub trait Wire {
    /// Starts TLS on the connection.
    ///
    /// # Errors
    /// If the handshake fails or the certificate is not trusted.
    fn start_tls(&self, server_name: &str, trust: Trust) -> Result<()>;

    /// The next bytes; empty at the end of the connection.
    ///
    /// # Errors
    /// If the connection breaks or nothing arrives in time.
    fn read(&self) -> Result<Vec<u8>>;

    /// Sends all bytes.
    ///
    /// # Errors
    /// If the connection breaks.
    fn write(&self, data: &[u8]) -> Result<()>;
}

/// The result of a connection attempt: the steps that succeeded, and the failure of the next one.
#[derive(Debug, Default)]
pub struct Attempt {
    /// The connection was opened.
    pub answered: bool,
    /// Whether the connection is encrypted; `None` before that is negotiated.
    pub encrypted: Option<bool>,
    /// The server accepted user and password.
    pub logged_in: bool,
    /// The version that the server reports.
    pub version: Option<String>,
    /// The failure that ended the attempt before a query could be sent.
    pub failure: Option<Failure>,
}

impl Attempt {
    /// Number of successful steps: connection, encryption, login, database.
    pub fn depth(&self) -> u8 {
        match (self.answered, self.encrypted, self.logged_in, &self.failure) {
            (_, _, _, None) => 4,
            (_, _, true, _) => 3,
            (_, Some(_), _, _) => 2,
            (true, ..) => 1,
            _ => 0,
        }
    }

    /// Whether a query could be sent.
    pub fn is_connected(&self) -> bool {
        self.failure.is_none()
    }
}

/// The reason for which an attempt failed.
#[derive(Debug)]
pub enum Failure {
    /// The connection could not be opened.
    Network(Error),
    /// The server offers no TLS, but the URL requires it.
    TlsNotOffered,
    /// The TLS handshake failed.
    Tls(Error),
    /// The server asks for the password in clear text over an unencrypted connection. It was not sent.
    CleartextRequired,
    /// The server asks for the password in clear text or as MD5, and a relay could have forged the request. It was not
    /// sent.
    Withheld,
    /// The server asks for a login method that does not use the URL's password.
    OtherLogin,
    /// The server rejected the login or the database.
    Rejected {
        /// `SQLSTATE` code.
        state: String,
        message: String,
    },
    /// The other side does not speak PostgreSQL, or the connection broke.
    Protocol(String),
}

/// Tries to connect. If the URL only prefers TLS and the handshake fails, tries again without TLS, like libpq.
pub fn try_connect<N: Network>(network: &N, address: &Address) -> Attempt {
    let first = connect(network, address, address.mode);
    match (&first.failure, address.mode) {
        (Some(Failure::Tls(_)), Mode::Prefer) => connect(network, address, Mode::Disable),
        _ => first,
    }
}

fn connect<N: Network>(network: &N, address: &Address, mode: Mode) -> Attempt {
    let mut attempt = Attempt::default();
    let ended =
        network.open(&address.host, address.port).map_err(Failure::Network).and_then(|wire| {
            let is_verified = matches!(mode, Mode::Require(Trust::VerifyChain | Trust::VerifyFull));
            let may_send_password = N::IS_DIRECT || is_verified;
            Client { wire, address, arrived: BytesMut::new(), may_send_password }
                .enter(mode, &mut attempt)
        });
    attempt.failure = ended.err();
    attempt
}

struct Client<'a, W> {
    wire: W,
    address: &'a Address,
    arrived: BytesMut,
    /// Whether the other end is the server itself, so that it may receive a readable password.
    may_send_password: bool,
}

impl<W: Wire> Client<'_, W> {
    fn enter(&mut self, mode: Mode, attempt: &mut Attempt) -> Result<(), Failure> {
        attempt.answered = true;
        let encrypted = self.encrypt(mode)?;
        attempt.encrypted = Some(encrypted);
        let mut start = BytesMut::new();
        let Address { user, database, .. } = self.address;
        let parameters = [("user", user.as_str()), ("database", database.as_str())];
        frontend::startup_message(parameters, &mut start)
            .map_err(|_| protocol_error("the URL contains a null byte"))?;
        self.send(&start)?;
        self.log_in(encrypted)?;
        attempt.logged_in = true;
        for _ in 0..MOST_MESSAGES {
            match self.receive()? {
                Message::ParameterStatus(status)
                    if status.name().is_ok_and(|it| it == "server_version") =>
                {
                    attempt.version = status.value().ok().map(str::to_owned);
                }
                Message::ReadyForQuery(_) => {
                    let mut end = BytesMut::new();
                    frontend::terminate(&mut end);
                    // The check is done; a server that closes the connection first is not an error.
                    let _ = self.send(&end);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(protocol_error("it sends too many messages after the login"))
    }

    /// Negotiates TLS. Returns whether the connection is encrypted.
    fn encrypt(&mut self, mode: Mode) -> Result<bool, Failure> {
        if mode == Mode::Disable {
            return Ok(false);
        }
        let mut wish = BytesMut::new();
        frontend::ssl_request(&mut wish);
        self.send(&wish)?;
        let answer = self.wire.read().map_err(|error| connection_error(&error))?;
        let trust = match mode {
            Mode::Require(trust) => trust,
            Mode::Prefer | Mode::Disable => Trust::EncryptOnly,
        };
        // Exactly one byte is accepted: unencrypted bytes after it could otherwise pass as encrypted ones
        // (CVE-2021-23222).
        match answer.as_slice() {
            b"S" => {
                self.wire.start_tls(&self.address.host, trust).map_err(Failure::Tls)?;
                Ok(true)
            }
            b"N" if mode == Mode::Prefer => Ok(false),
            b"N" => Err(Failure::TlsNotOffered),
            [] => Err(protocol_error("it closes the connection on a request for TLS")),
            // A server that accepts no more connections reports that at once.
            [b'E', ..] => {
                self.arrived.extend_from_slice(&answer);
                self.receive().and(Err(protocol_error("it rejects the request for TLS")))
            }
            _ => Err(protocol_error("its answer is not in the PostgreSQL protocol")),
        }
    }

    fn log_in(&mut self, encrypted: bool) -> Result<(), Failure> {
        let mut scram: Option<ScramSha256> = None;
        for _ in 0..MOST_MESSAGES {
            let mut reply = BytesMut::new();
            let io = |error: std::io::Error| {
                protocol_error(&format!("its login message is malformed: {error}"))
            };
            let password = self.address.password();
            match self.receive()? {
                Message::AuthenticationOk => return Ok(()),
                Message::AuthenticationCleartextPassword if !encrypted => {
                    return Err(Failure::CleartextRequired);
                }
                Message::AuthenticationCleartextPassword
                | Message::AuthenticationMd5Password(_)
                    if !self.may_send_password =>
                {
                    return Err(Failure::Withheld);
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
                        return Err(Failure::OtherLogin);
                    }
                    let exchange = ScramSha256::new(password, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), &mut reply)
                        .map_err(io)?;
                    scram = Some(exchange);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let Some(exchange) = &mut scram else { return Err(Failure::OtherLogin) };
                    exchange.update(body.data()).map_err(io)?;
                    frontend::sasl_response(exchange.message(), &mut reply).map_err(io)?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    let Some(exchange) = &mut scram else { return Err(Failure::OtherLogin) };
                    exchange.finish(body.data()).map_err(|_| {
                        protocol_error("it cannot prove that it knows the password")
                    })?;
                }
                Message::NoticeResponse(_) => {}
                _ => return Err(Failure::OtherLogin),
            }
            if !reply.is_empty() {
                self.send(&reply)?;
            }
        }
        Err(protocol_error("it sends too many login messages"))
    }

    fn send(&self, data: &[u8]) -> Result<(), Failure> {
        self.wire.write(data).map_err(|error| connection_error(&error))
    }

    /// The next message. An error message of the server becomes [`Failure::Rejected`].
    fn receive(&mut self) -> Result<Message, Failure> {
        loop {
            let malformed = |_| protocol_error("its message is malformed");
            let length = Header::parse(&self.arrived).map_err(malformed)?.map_or(0, Header::len);
            if usize::try_from(length).unwrap_or(usize::MAX) > LARGEST {
                return Err(protocol_error("its message is too large for a login"));
            }
            match Message::parse(&mut self.arrived).map_err(malformed)? {
                Some(Message::ErrorResponse(body)) => return Err(rejected(body.fields())),
                Some(message) => return Ok(message),
                None => {}
            }
            let more = self.wire.read().map_err(|error| connection_error(&error))?;
            if more.is_empty() {
                return Err(protocol_error("it closes the connection"));
            }
            self.arrived.extend_from_slice(&more);
        }
    }
}

fn rejected(mut fields: ErrorFields<'_>) -> Failure {
    let (mut state, mut message) = (String::new(), String::new());
    while let Ok(Some(field)) = fields.next() {
        let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => state = text(),
            b'M' => message = text(),
            _ => {}
        }
    }
    Failure::Rejected { state, message }
}

fn protocol_error(reason: &str) -> Failure {
    Failure::Protocol(reason.to_owned())
}

fn connection_error(error: &Error) -> Failure {
    let causes = error.causes.iter().map(|cause| format!(": {cause}"));
    Failure::Protocol(causes.fold(error.message.clone(), |text, cause| text + &cause))
}
