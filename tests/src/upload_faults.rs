//! A proxy before a WebDAV server that breaks some uploads: it cuts them, refuses them, stores
//! less than it was sent, or loses the answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens to an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server gets half of it, and both connections close.
    Cut,
    /// It is received, and refused with this status.
    Refuse(u16),
    /// The server gets this number of bytes less, and its answer is passed on.
    Shorten(usize),
    /// The server has it, and the connection closes without an answer.
    LoseAnswer,
}

/// A running proxy.
pub struct Proxy {
    /// Address of the proxy.
    pub address: String,
    uploads: Arc<Mutex<Vec<String>>>,
}

/// Head of a request, and its body.
struct Request {
    method: String,
    path: String,
    head: Vec<String>,
    body: Vec<u8>,
}

impl Proxy {
    /// Starts a proxy. `choose` gets the number of each upload, from 1 on, and its path.
    pub fn start(
        target: &str,
        choose: impl Fn(usize, &str) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let uploads = Arc::new(Mutex::new(Vec::new()));
        let (target, choose, seen) = (target.to_owned(), Arc::new(choose), uploads.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, choose, seen) = (target.clone(), choose.clone(), seen.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(client.try_clone().unwrap());
                    while let Ok(Some(request)) = Request::read(&mut reader) {
                        let fault = request.is_upload().then(|| {
                            let mut seen = seen.lock().unwrap();
                            seen.push(request.path.clone());
                            choose(seen.len(), &request.path)
                        });
                        if !answer(&client, &target, &request, fault.flatten()).unwrap_or(false) {
                            break;
                        }
                    }
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, uploads }
    }

    /// The paths of the uploads so far.
    pub fn uploads(&self) -> Vec<String> {
        self.uploads.lock().unwrap().clone()
    }
}

impl Request {
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(None);
        }
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "transfer-encoding" => panic!("a body without a length"),
                "connection" => {}
                _ => head.push(line),
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        Ok(Some(Self { method, path, head, body }))
    }

    fn is_upload(&self) -> bool {
        self.method == "PUT"
    }

    /// Sends the request with the first bytes of its body, of this length.
    fn send(&self, target: &str, count: usize, length: usize) -> io::Result<TcpStream> {
        let mut server = TcpStream::connect(target)?;
        let head = self.head.join("\r\n");
        let (method, path) = (&self.method, &self.path);
        write!(
            server,
            "{method} {path} HTTP/1.1\r\n{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        )?;
        server.write_all(&self.body[..count])?;
        Ok(server)
    }
}

/// Answers a request. Returns whether the connection stays.
fn answer(
    mut client: &TcpStream,
    target: &str,
    request: &Request,
    fault: Option<Fault>,
) -> io::Result<bool> {
    let length = request.body.len();
    let sent = match fault {
        Some(Fault::Refuse(status)) => {
            write!(client, "HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        }
        Some(Fault::Cut) => {
            request.send(target, length / 2, length)?;
            return Ok(false);
        }
        Some(Fault::Shorten(by)) => length.saturating_sub(by),
        Some(Fault::LoseAnswer) | None => length,
    };
    let mut answer = Vec::new();
    request.send(target, sent, sent)?.read_to_end(&mut answer)?;
    if fault == Some(Fault::LoseAnswer) {
        return Ok(false);
    }
    // The server closes its connection at the end, and so does this.
    client.write_all(&answer)?;
    Ok(false)
}
