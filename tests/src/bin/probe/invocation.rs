//! The arguments, the environment and the end of this program.

use std::fs;
use std::io;
use std::time::Duration;

/// Tries something; returns `None` if it isn't of this kind.
pub fn attempt(what: &str, value: &str) -> io::Result<Option<String>> {
    let done = match what {
        "environment" => {
            let mut names: Vec<_> =
                std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
            names.sort();
            Ok(names.join(","))
        }
        "argv" => Ok(std::env::args().skip(1).collect::<Vec<_>>().join(" ")),
        "config" => {
            use base64::Engine;
            let args: Vec<_> = std::env::args().collect();
            let at = args.iter().position(|arg| arg == "--config").unwrap_or_default();
            Ok(base64::engine::general_purpose::URL_SAFE.encode(fs::read(&args[at + 1])?))
        }
        "stay" => stay(value),
        _ => return Ok(None),
    };
    done.map(Some)
}

/// Doesn't end, whatever signal it gets, or ends by what its value says.
fn stay(how: &str) -> io::Result<String> {
    match how {
        "deaf" => unsafe {
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            libc::signal(libc::SIGINT, libc::SIG_IGN);
        },
        "noisy" => loop {
            println!("nonsense, and more of it");
            eprintln!("nonsense, and more of it");
        },
        "line" => loop {
            print!("a line without an end ");
        },
        "nonsense" => {
            println!("\u{0}{{\"Path\":3}}\n}}{{[[[");
            return Ok(String::new());
        }
        "early" => std::process::exit(7),
        _ => {}
    }
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
