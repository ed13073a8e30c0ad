//! HTTP requests to addresses of this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Deadline of a response: a port-forward waits for a pod, and a cluster's routes follow readiness with a delay.
const PATIENCE: Duration = Duration::from_secs(90);

/// A free port of this machine.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it has a number").port()
}

/// The last line of the page at `http://HOST:PORT`, once it answers.
///
/// # Panics
/// If it does not answer in time.
pub fn get(address: &str) -> String {
    let place = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
    let until = Instant::now() + PATIENCE;
    loop {
        match look(place) {
            Ok(answer) if !answer.is_empty() => return answer,
            result => assert!(Instant::now() < until, "{address}: {result:?}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn look(place: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(place)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().last().unwrap_or_default().to_owned())
}
