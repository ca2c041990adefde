//! A WebDAV server of one directory, to be read only: it honours ranges, counts requests and bytes,
//! is as slow as a paced API, and breaks or refuses on demand.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use time::OffsetDateTime;
use time::macros::format_description;

/// A request for a file's bytes that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Name of the file.
    pub name: String,
    /// Number of bytes before it.
    pub offset: u64,
    /// Number of bytes that were sent.
    pub sent: u64,
}

/// What goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Connections break when they reach this offset of this file, this number of times.
    pub breaks: Option<(String, u64, u32)>,
    /// Requests for the bytes of this file are answered with this status.
    pub refuses: Option<(String, u16)>,
}

/// How fast it answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// Number of requests a second, after `burst` of them; 0 for any number.
    pub rate: u32,
    /// Number of requests that are answered at once.
    pub burst: u32,
}

/// A running server.
pub struct RangeServer {
    /// Address of the server.
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    directory: PathBuf,
    fetches: Mutex<Vec<Fetch>>,
    requests: Mutex<u64>,
    faults: Mutex<Faults>,
    /// The pace, and when the next request is answered.
    pace: Mutex<(Pace, Instant)>,
}

impl RangeServer {
    /// Serves a directory as fast as it can.
    pub fn start(directory: impl Into<PathBuf>) -> Self {
        Self::paced(directory, Pace::default())
    }

    /// Serves a directory at this pace.
    pub fn paced(directory: impl Into<PathBuf>, pace: Pace) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            directory: directory.into(),
            fetches: Mutex::default(),
            requests: Mutex::default(),
            faults: Mutex::default(),
            pace: Mutex::new((pace, Instant::now())),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_nodelay(true);
                let shared = serving.clone();
                // A client that goes away ends its thread.
                thread::spawn(move || while shared.answer(&stream).unwrap_or(false) {});
            }
        });
        Self { address, shared }
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// What goes wrong from now on.
    pub fn fail(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap() = faults;
    }

    /// How fast it answers from now on.
    pub fn set_pace(&self, pace: Pace) {
        self.shared.pace.lock().unwrap().0 = pace;
    }

    /// The requests for bytes since this was asked last.
    pub fn take_fetches(&self) -> Vec<Fetch> {
        std::mem::take(&mut self.shared.fetches.lock().unwrap())
    }

    /// The number of all requests since this was asked last.
    pub fn take_requests(&self) -> u64 {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }
}

/// The number of bytes that were fetched of a file.
pub fn fetched(fetches: &[Fetch], name: &str) -> u64 {
    fetches.iter().filter(|fetch| fetch.name == name).map(|fetch| fetch.sent).sum()
}

/// What a request asks for.
struct Asked {
    method: String,
    path: String,
    range: Option<String>,
    /// Whether the children of a directory are asked for as well.
    is_deep: bool,
}

/// Reads a request; nothing at the end of the connection.
fn read_request(stream: &TcpStream) -> io::Result<Option<Asked>> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
    let path = path.trim_start_matches('/');
    let path: String = form_urlencoded::parse(path.replace('+', "%2B").as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect();
    let mut asked = Asked { method: method.to_owned(), path, range: None, is_deep: true };
    let mut length = 0;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        if let Some((name, value)) = header.split_once(':') {
            match name.to_lowercase().as_str() {
                "range" => asked.range = Some(value.trim().to_owned()),
                "depth" => asked.is_deep = value.trim() != "0",
                "content-length" => length = value.trim().parse().unwrap_or_default(),
                _ => {}
            }
        }
        header.clear();
    }
    // What is asked for in detail doesn't matter.
    io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok(Some(asked))
}

/// The bytes that a range has of a file of this size, as the first and the one behind the last.
fn bounds(range: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return Some((size.saturating_sub(last.parse().ok()?), size));
    }
    let end = if last.is_empty() { size } else { last.parse::<u64>().ok()? + 1 };
    Some((first.parse().ok()?, end.min(size)))
}

impl Shared {
    /// Answers one request; says whether the connection stays.
    fn answer(&self, mut stream: &TcpStream) -> io::Result<bool> {
        let Some(asked) = read_request(stream)? else { return Ok(false) };
        self.wait();
        let path = self.directory.join(&asked.path);
        if asked.method == "PROPFIND" && path.exists() {
            let page = properties(&path, &asked);
            write!(
                stream,
                "HTTP/1.1 207 Multi-Status\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{page}",
                page.len()
            )?;
            return Ok(true);
        }
        let Ok(file) = File::open(&path) else {
            write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        };
        let faults = self.faults.lock().unwrap().clone();
        if let Some((name, status)) = faults.refuses
            && name == asked.path
            && asked.method == "GET"
        {
            write!(stream, "HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        }
        self.send(stream, &asked, file)
    }

    fn send(&self, mut stream: &TcpStream, asked: &Asked, file: File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let size = metadata.len();
        let bounds = asked.range.as_deref().and_then(|range| bounds(range, size));
        let (start, end) = bounds.unwrap_or((0, size));
        if start >= end && size > 0 {
            write!(stream, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        }
        let status = match bounds {
            Some(_) => {
                format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{size}", end - 1)
            }
            None => "200 OK".to_owned(),
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nContent-Type: application/zip\r\n\
             Last-Modified: {}\r\nContent-Length: {}\r\n\r\n",
            date(metadata.modified()?),
            end - start
        )?;
        if asked.method == "HEAD" {
            return Ok(true);
        }
        let stop = self.breaking(&asked.path, start, end);
        let mut sent = 0;
        let result = copy(file, start, stop.unwrap_or(end), stream, &mut sent);
        let fetch = Fetch { name: asked.path.clone(), offset: start, sent };
        self.fetches.lock().unwrap().push(fetch);
        result?;
        if stop.is_some() {
            stream.shutdown(Shutdown::Both)?;
        }
        Ok(stop.is_none())
    }

    /// Where this answer breaks.
    fn breaking(&self, name: &str, start: u64, end: u64) -> Option<u64> {
        let mut faults = self.faults.lock().unwrap();
        let (broken, at, times) = faults.breaks.as_mut()?;
        if broken != name || *times == 0 || !(start..end).contains(at) {
            return None;
        }
        *times -= 1;
        Some(*at)
    }

    /// Waits until this request may be answered, and counts it.
    fn wait(&self) {
        *self.requests.lock().unwrap() += 1;
        let due = {
            let mut pace = self.pace.lock().unwrap();
            let (Pace { rate, burst }, next) = &mut *pace;
            if *rate == 0 {
                return;
            }
            let (every, now) = (Duration::from_secs(1) / *rate, Instant::now());
            // What wasn't used is kept, up to a burst.
            let earliest = now.checked_sub(every * *burst).unwrap_or(now);
            *next = (*next).max(earliest) + every;
            *next
        };
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn copy(
    mut file: File,
    start: u64,
    end: u64,
    mut to: &TcpStream,
    sent: &mut u64,
) -> io::Result<()> {
    file.seek(SeekFrom::Start(start))?;
    let mut buffer = vec![0; 64 << 10];
    while start + *sent < end {
        let want = buffer.len().min(usize::try_from(end - start - *sent).unwrap_or(usize::MAX));
        let count = file.read(&mut buffer[..want])?;
        to.write_all(&buffer[..count])?;
        *sent += count as u64;
    }
    Ok(())
}

/// The properties of a file or directory, and of what lies directly in it.
///
/// Source: RFC 4918, section 9.1.
fn properties(path: &Path, asked: &Asked) -> String {
    let mut responses = property(path, &asked.path);
    if path.is_dir() && asked.is_deep {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let below = format!("{}/{name}", asked.path.trim_end_matches('/'));
            responses += &property(&entry.path(), below.trim_start_matches('/'));
        }
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:multistatus xmlns:D=\"DAV:\">{responses}</D:multistatus>"
    )
}

fn property(path: &Path, name: &str) -> String {
    let metadata = path.metadata().unwrap();
    let names = name.split('/').map(|name| {
        let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        encoded.replace('+', "%20")
    });
    let href = names.collect::<Vec<_>>().join("/");
    let (kind, slash) = if path.is_dir() { ("<D:collection/>", "/") } else { ("", "") };
    let slash = if name.is_empty() || name.ends_with('/') { "" } else { slash };
    format!(
        "<D:response><D:href>/{href}{slash}</D:href><D:propstat><D:prop><D:getlastmodified>{}</D:getlastmodified>\
         <D:getcontentlength>{}</D:getcontentlength><D:resourcetype>{kind}</D:resourcetype></D:prop>\
         <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>",
        date(metadata.modified().unwrap()),
        metadata.len()
    )
}

/// A time as RFC 9110 has it.
fn date(time: SystemTime) -> String {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    OffsetDateTime::from(time).format(format).unwrap()
}
