//! An HTTP server whose answers a test writes: for what real servers do only when they are
//! misconfigured, broken or hostile.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// One request, without its body.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Its query.
    pub query: String,
    /// Lines as they came, in lower case.
    pub headers: Vec<String>,
}

/// A reply: status, headers and body. A length is added.
pub struct Answer {
    /// Its HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Creates a reply without headers.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An entry of a WebDAV listing: a file of one byte, or a directory.
pub fn webdav_entry(path: &str, kind: &str) -> String {
    format!(
        "<d:response><d:href>{path}</d:href><d:propstat><d:prop>\
         <d:getlastmodified>Mon, 02 Jan 2006 15:04:05 GMT</d:getlastmodified>\
         <d:getcontentlength>1</d:getcontentlength><d:resourcetype>{kind}</d:resourcetype>\
         </d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
}

/// A WebDAV listing of these entries.
pub fn webdav_listing(entries: &str) -> Answer {
    let body = format!("<d:multistatus xmlns:d=\"DAV:\">{entries}</d:multistatus>");
    Answer::new(207, body).header("Content-Type", "application/xml")
}

/// Starts a server on loopback; gives its address.
pub fn serve(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            // A client that goes away ends its thread.
            thread::spawn(move || while exchange(&stream, &*answer).unwrap_or(false) {});
        }
    });
    address
}

/// Answers one request; says whether the connection stays.
fn exchange(mut stream: &TcpStream, answer: impl Fn(&Request) -> Answer) -> std::io::Result<bool> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(false);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? <= 2 {
            break;
        }
        headers.push(line.trim().to_lowercase());
    }
    let length = headers.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
    };
    let Answer { status, headers, body } = answer(&request);
    write!(stream, "HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len())?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    write!(stream, "\r\n")?;
    if request.method != "HEAD" {
        stream.write_all(&body)?;
    }
    Ok(true)
}
