//! The parts of a database URL: host, port, user, password, database and `sslmode`.

use percent_encoding::percent_decode_str;
use std::fmt;
use todohost_plugin::tcp::Trust;
use url::Url;

/// The port of a URL without one.
const PORT: u16 = 5432;

/// Shorter passwords are not masked in texts: they would match ordinary words.
const SHORTEST: usize = 4;

/// The encryption that the URL asks for with `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No encryption.
    Disable,
    /// Encryption if the server offers it.
    Prefer,
    /// Encryption, with this verification of the certificate.
    Require(Trust),
}

/// The parts of a URL.
pub struct Address {
    /// Name or IP address.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: String,
    pub mode: Mode,
    /// The certificate is verified with a file (`sslrootcert`) that exists only in the app's pods.
    pub own_authority: bool,
    password: String,
    encoded_password: String,
}

impl Address {
    /// Parses a URL.
    ///
    /// # Errors
    /// The reason for which the URL cannot be used, without any part of the URL.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The parser's error is dropped because it can quote the URL.
        let url =
            Url::parse(text.trim()).map_err(|_| "it is not a URL with a single host".to_owned())?;
        let scheme = url.scheme().split('+').next().unwrap_or_default();
        if !matches!(scheme, "postgresql" | "postgres") {
            return Err("it is not a postgresql:// URL".to_owned());
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() || host.contains('%') {
            return Err("it has no host name".to_owned());
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = decoded(url.username());
        if user.is_empty() {
            return Err("it has no user".to_owned());
        }
        let encoded_password = url.password().unwrap_or_default().to_owned();
        let database = decoded(url.path().trim_start_matches('/'));
        let parameter = |names: &[&str]| {
            let mut pairs = url.query_pairs();
            pairs.find(|(name, _)| names.contains(&name.as_ref())).map(|(_, value)| value)
        };
        // Asynchronous drivers call the parameter `ssl`.
        let stated = parameter(&["sslmode", "ssl"]);
        let authority = parameter(&["sslrootcert"]);
        let own_authority = authority.is_some_and(|file| !file.is_empty() && file != "system");
        let verify = |trust| Mode::Require(if own_authority { Trust::EncryptOnly } else { trust });
        let mode = match stated.as_deref() {
            None | Some("prefer" | "allow" | "") => Mode::Prefer,
            Some("disable" | "false") => Mode::Disable,
            Some("require" | "true") => Mode::Require(Trust::EncryptOnly),
            Some("verify-ca") => verify(Trust::VerifyChain),
            Some("verify-full") => verify(Trust::VerifyFull),
            Some(_) => return Err("its sslmode is unknown to PostgreSQL".to_owned()),
        };
        Ok(Self {
            host,
            port: url.port().unwrap_or(PORT),
            database: if database.is_empty() { user.clone() } else { database },
            user,
            mode,
            own_authority,
            password: decoded(&encoded_password),
            encoded_password,
        })
    }

    /// The password, only for the login.
    pub fn password(&self) -> &[u8] {
        self.password.as_bytes()
    }

    /// Masks the password in a text of the server or the network.
    pub fn hide(&self, text: &str) -> String {
        let forms = [&self.password, &self.encoded_password];
        let long = forms.into_iter().filter(|form| form.len() >= SHORTEST);
        long.fold(text.to_owned(), |text, form| text.replace(form.as_str(), "[password]"))
    }

    /// Whether the host is the machine itself, which in a pod is the pod.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        let is_own = |it: std::net::IpAddr| it.is_loopback() || it.is_unspecified();
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || address.is_ok_and(|address| is_own(address.to_canonical()))
    }

    /// Whether the name may be one that only pods can resolve.
    pub fn may_be_cluster_name(&self) -> bool {
        let last = self.host.rsplit('.').next().unwrap_or_default();
        let is_name = self.host.parse::<std::net::IpAddr>().is_err() && !self.is_loopback();
        is_name && (last == self.host || matches!(last, "svc" | "local" | "internal"))
    }
}

/// `db.example:5432`, without any secret.
impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        Address::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}"))
    }

    #[test]
    fn parts_of_the_url_are_decoded() {
        let address = read("postgresql+asyncpg://to%20do:p%40ss@db.example/shop?sslmode=require");
        assert_eq!((address.host.as_str(), address.port), ("db.example", 5432));
        assert_eq!((address.user.as_str(), address.database.as_str()), ("to do", "shop"));
        assert_eq!(address.password(), b"p@ss");
        assert_eq!(address.mode, Mode::Require(Trust::EncryptOnly));
        let address = read("postgres://todo@[::1]:7000");
        assert_eq!((address.to_string().as_str(), address.database.as_str()), ("::1:7000", "todo"));
        assert_eq!(address.mode, Mode::Prefer);
    }

    #[test]
    fn ssl_modes_match_those_of_libpq() {
        let mode = |parameters: &str| read(&format!("postgres://a@b/c?{parameters}")).mode;
        assert_eq!(mode("sslmode=disable"), Mode::Disable);
        assert_eq!(mode("ssl=require"), Mode::Require(Trust::EncryptOnly));
        assert_eq!(mode("sslmode=verify-ca"), Mode::Require(Trust::VerifyChain));
        assert_eq!(mode("sslmode=verify-full"), Mode::Require(Trust::VerifyFull));
        // The file exists only in the app's pods, so the certificate cannot be verified here.
        let with_file = mode("sslmode=verify-full&sslrootcert=/etc/ca.pem");
        assert_eq!(with_file, Mode::Require(Trust::EncryptOnly));
        assert_eq!(
            mode("sslmode=verify-full&sslrootcert=system"),
            Mode::Require(Trust::VerifyFull)
        );
    }

    #[test]
    fn parse_errors_do_not_contain_the_url() {
        for text in [
            "canary",
            "mysql://a:canary@b/c",
            "postgres://a:canary@b:1,c:2/d",
            "postgres://:canary@b/c",
            "postgres://a:canary@%2Fvar%2Frun/c",
            "postgres://a:canary@b/c?sslmode=canary",
        ] {
            let reason = Address::parse(text).map(|address| address.to_string()).unwrap_err();
            assert!(!reason.contains("canary"), "{reason}");
        }
    }

    #[test]
    fn password_is_masked_decoded_and_encoded() {
        let address = read("postgres://a:p%40ss-word@b/c");
        assert_eq!(address.hide("p@ss-word or p%40ss-word"), "[password] or [password]");
    }

    #[test]
    fn loopback_and_cluster_names_are_recognised() {
        let at = |host: &str| read(&format!("postgres://a@{host}/c"));
        for host in
            ["localhost", "db.localhost", "127.0.0.2", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]"]
        {
            assert!(at(host).is_loopback() && !at(host).may_be_cluster_name(), "{host}");
        }
        for host in
            ["postgres", "postgres.shop.svc", "a.b.svc.cluster.local", "host.docker.internal"]
        {
            assert!(at(host).may_be_cluster_name(), "{host}");
        }
        assert!(!at("db.example").may_be_cluster_name() && !at("db.example").is_loopback());
    }
}
