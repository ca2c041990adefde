//! A plain web server for rclone's `http` backend: it lists a directory as HTML,
//! counts what is read, hides sizes, and breaks off where it is told to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A file, and the faults with which it is served.
#[derive(Clone)]
pub struct Page {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether its size is told, or it comes in chunks.
    pub sized: bool,
    /// After how many bytes the connection breaks.
    pub breaks: Option<usize>,
    /// Number of times that it breaks, if not always.
    pub times: Option<u32>,
    /// Whether it is listed and then not found.
    pub gone: bool,
    /// A pause in the middle.
    pub stalls: Duration,
    /// An RFC 9110 date.
    pub modified: String,
}

impl Page {
    /// Creates a file without faults.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            sized: true,
            breaks: None,
            times: None,
            gone: false,
            stalls: Duration::ZERO,
            modified: "Mon, 02 Jan 2006 15:04:05 GMT".to_owned(),
        }
    }

    /// Hides the length.
    pub fn chunked(self) -> Self {
        Self { sized: false, ..self }
    }

    /// Breaks the transfer after this number of bytes.
    pub fn breaking(self, after: usize) -> Self {
        Self { breaks: Some(after), ..self }
    }

    /// Breaks so many times, and then no more.
    pub fn breaking_first(self, after: usize, times: u32) -> Self {
        Self { times: Some(times), ..self.breaking(after) }
    }
}

#[derive(Default)]
struct Site {
    pages: BTreeMap<String, Page>,
    reads: Vec<String>,
}

/// A running site. Its pages can be changed at any time.
pub struct Web {
    /// The URL of its root.
    pub url: String,
    site: Arc<Mutex<Site>>,
}

impl Default for Web {
    fn default() -> Self {
        Self::new()
    }
}

impl Web {
    /// Starts a server without files.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let site = Arc::new(Mutex::new(Site::default()));
        let shared = site.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_nodelay(true);
                let site = shared.clone();
                // A client that goes away ends its thread.
                thread::spawn(move || while answer(&stream, &site).unwrap_or(false) {});
            }
        });
        Self { url, site }
    }

    /// Puts a page; its path has no leading slash.
    pub fn put(&self, path: &str, page: Page) {
        self.site.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    /// The files that were read since this was asked last.
    pub fn reads(&self) -> Vec<String> {
        std::mem::take(&mut self.site.lock().unwrap().reads)
    }
}

/// Answers one request; says whether the connection stays.
fn answer(mut stream: &TcpStream, site: &Mutex<Site>) -> std::io::Result<bool> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    if reader.read_line(&mut request)? == 0 {
        return Ok(false);
    }
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let mut words = request.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
    let path = path.trim_start_matches('/').to_owned();
    let page = {
        let mut site = site.lock().unwrap();
        let page = site.pages.get(&path).cloned();
        if page.is_some() && method == "GET" {
            site.reads.push(path.clone());
        }
        page.or_else(|| listing(&site, &path))
    };
    let page = page.filter(|page| !page.gone || method == "HEAD");
    let Some(page) = page else {
        write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(true);
    };
    let length = if page.sized {
        format!("Content-Length: {}", page.bytes.len())
    } else {
        "Transfer-Encoding: chunked".to_owned()
    };
    let kind =
        if path.is_empty() || path.ends_with('/') { "text/html" } else { "application/x-test" };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nLast-Modified: {}\r\n{length}\r\n\r\n",
        page.modified
    )?;
    if method == "HEAD" {
        return Ok(true);
    }
    let end = page.breaks.unwrap_or(page.bytes.len());
    let (first, rest) = page.bytes[..end].split_at(end.div_ceil(2));
    for piece in
        std::iter::once(first).chain(rest.chunks(64 << 10)).filter(|piece| !piece.is_empty())
    {
        if page.sized {
            stream.write_all(piece)?;
        } else {
            write!(stream, "{:x}\r\n", piece.len())?;
            stream.write_all(piece)?;
            stream.write_all(b"\r\n")?;
        }
        if std::ptr::eq(piece, first) {
            thread::sleep(page.stalls);
        }
    }
    if page.breaks.is_some() {
        if let Some(page) = site.lock().unwrap().pages.get_mut(&path)
            && let Some(times) = &mut page.times
        {
            *times -= 1;
            page.breaks = page.breaks.filter(|_| *times > 0);
        }
        stream.shutdown(std::net::Shutdown::Both)?;
        return Ok(false);
    }
    if !page.sized {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(true)
}

/// A directory: links to what lies directly in it.
fn listing(site: &Site, path: &str) -> Option<Page> {
    if !path.is_empty() && !path.ends_with('/') {
        return None;
    }
    let mut links = std::collections::BTreeSet::new();
    for name in site.pages.keys().filter_map(|name| name.strip_prefix(path)) {
        let link = name.split_inclusive('/').next().unwrap_or(name);
        links.insert(format!("<a href=\"{link}\">{link}</a>\n"));
    }
    let links = links.into_iter().collect::<String>();
    (!links.is_empty()).then(|| Page::new(format!("<html><body>{links}</body></html>")))
}
