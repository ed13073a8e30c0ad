//! Constant load on an app's address: a connection for each request, or one that is kept.
//!
//! Owns the requests and the definition of a failure: any response but the complete expected page. A kept connection
//! that the server closed before a response is opened again, as in every HTTP client.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Pause between two requests of a worker.
const PAUSE: Duration = Duration::from_millis(30);

/// Deadline of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The requested page.
#[derive(Clone)]
pub struct Target {
    /// Host and port.
    pub authority: String,
    /// Value of the header `Cookie`.
    pub cookie: String,
    /// Text that the page must contain.
    pub expected: String,
}

/// The results so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Number of requests with the expected response.
    pub answered: usize,
    /// Causes of failed requests.
    pub failed: Vec<String>,
    /// Number of kept connections that were opened again.
    pub reopened: usize,
}

/// Two workers that send requests until stopped: one opens a connection for each request, one keeps its connection.
pub struct Load {
    stop: Arc<AtomicBool>,
    reports: [Arc<Mutex<Report>>; 2],
    workers: Vec<JoinHandle<()>>,
}

impl Load {
    pub fn begin(target: &Target) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let reports: [Arc<Mutex<Report>>; 2] = Default::default();
        let workers = reports.iter().zip([false, true]).map(|(report, keeps)| {
            let (stop, report, target) = (Arc::clone(&stop), Arc::clone(report), target.clone());
            std::thread::spawn(move || {
                let mut worker = Worker { target, keeps, open: None };
                while !stop.load(Ordering::Relaxed) {
                    worker.ask(&report);
                    std::thread::sleep(PAUSE);
                }
            })
        });
        let workers = workers.collect();
        Self { stop, reports, workers }
    }

    /// The reports of new connections and of the kept one.
    pub fn so_far(&self) -> [Report; 2] {
        self.reports.each_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Stops after the running requests.
    pub fn end(mut self) -> [Report; 2] {
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            worker.join().unwrap();
        }
        self.so_far()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Worker {
    target: Target,
    keeps: bool,
    open: Option<BufReader<TcpStream>>,
}

enum Broken {
    /// The connection was closed before a response.
    Unheard(io::Error),
    Other(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Other(error.to_string())
    }
}

impl Worker {
    fn ask(&mut self, report: &Mutex<Report>) {
        let (result, reopened) = match self.open.take() {
            None => (self.ask_anew(), 0),
            Some(open) => match self.ask_on(open) {
                Err(Broken::Unheard(_)) => (self.ask_anew(), 1),
                result => (result, 0),
            },
        };
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        report.reopened += reopened;
        match result {
            Ok(()) => report.answered += 1,
            Err(Broken::Unheard(error)) => report.failed.push(format!("no answer: {error}")),
            Err(Broken::Other(why)) => report.failed.push(why),
        }
    }

    fn ask_anew(&mut self) -> Result<(), Broken> {
        let stream = TcpStream::connect(&self.target.authority)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        self.ask_on(BufReader::new(stream))
    }

    fn ask_on(&mut self, mut stream: BufReader<TcpStream>) -> Result<(), Broken> {
        let Target { authority, cookie, expected } = &self.target;
        let connection = if self.keeps { "keep-alive" } else { "close" };
        let request = format!(
            "GET / HTTP/1.1\r\nhost: {authority}\r\ncookie: {cookie}\r\nconnection: {connection}\r\n\r\n"
        );
        stream.get_mut().write_all(request.as_bytes()).map_err(Broken::Unheard)?;
        let mut line = String::new();
        match stream.read_line(&mut line) {
            Ok(0) => return Err(Broken::Unheard(io::ErrorKind::UnexpectedEof.into())),
            Err(error) if line.is_empty() => return Err(Broken::Unheard(error)),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let status = line.trim().to_owned();
        let (body, may_stay) = read_rest(&mut stream)?;
        if !status.contains(" 200 ") || !body.contains(expected) {
            // Search only the body of the page, without its `<head>`.
            let seen = body.find("<main").map_or(body.as_str(), |main| &body[main..]);
            let begin: String = seen.chars().take(600).collect();
            return Err(Broken::Other(format!("{status}: {begin}")));
        }
        if self.keeps && may_stay {
            self.open = Some(stream);
        }
        Ok(())
    }
}

/// The body, and whether the connection can be used again.
fn read_rest(stream: &mut BufReader<TcpStream>) -> Result<(String, bool), Broken> {
    let (mut length, mut is_chunked, mut may_stay) = (None, false, true);
    loop {
        let line = read_line(stream)?.to_ascii_lowercase();
        match line.split_once(':').map(|(name, value)| (name, value.trim())) {
            Some(("content-length", value)) => length = value.parse::<usize>().ok(),
            Some(("transfer-encoding", value)) => is_chunked = value.contains("chunked"),
            Some(("connection", value)) => may_stay = value != "close",
            Some(_) => {}
            None => break,
        }
    }
    let mut body = Vec::new();
    if is_chunked {
        loop {
            let size = read_line(stream)?;
            let size = usize::from_str_radix(&size, 16);
            let size = size.map_err(|_| Broken::Other("a chunk without a size".to_owned()))?;
            body.extend(read_exactly(stream, size)?);
            read_line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length =
            length.ok_or_else(|| Broken::Other("an answer without a length".to_owned()))?;
        body = read_exactly(stream, length)?;
    }
    Ok((String::from_utf8_lossy(&body).into_owned(), may_stay))
}

fn read_line(stream: &mut BufReader<TcpStream>) -> Result<String, Broken> {
    let mut line = String::new();
    match stream.read_line(&mut line)? {
        0 => Err(Broken::Other("half an answer".to_owned())),
        _ => Ok(line.trim_end().to_owned()),
    }
}

fn read_exactly(stream: &mut BufReader<TcpStream>, length: usize) -> Result<Vec<u8>, Broken> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
