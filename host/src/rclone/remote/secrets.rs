//! What must never appear in a message: the secrets of a remote, in whatever form a server,
//! rclone or a library shows them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::Remote;
use super::obscured::revealed;
use crate::policy::is_secret;

/// The shortest secret that is struck out: shorter ones are in too many words, bytes.
const SHORTEST: usize = 4;

/// So many bytes in a row of a secret that has at least twice as many are a part that is struck
/// out by itself.
const WINDOW: usize = 12;

/// What stands in a secret's place.
const STRUCK: &str = "***";

/// What stands before a secret that nobody has told us of, as a token that rclone has renewed.
const BEFORE: [&str; 9] = [
    "bearer",
    "basic",
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "password",
    "x-amz-signature",
    "sig",
];

/// The shortest of what is taken for such a secret, in bytes.
const SHORTEST_UNTOLD: usize = 8;

/// What is struck out of messages. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Known>);

#[derive(Default)]
struct Known {
    /// Found with whatever escapes are in them.
    values: Vec<String>,
    /// What base64 makes of a text with a secret in it, wherever that begins.
    encoded: Vec<String>,
    /// Each [`WINDOW`] of bytes in a row of long secrets.
    windows: HashSet<[u8; WINDOW]>,
}

impl Secrets {
    pub fn of(remote: &Remote) -> Self {
        let mut found = Found::default();
        for (key, value) in remote.sections().values().flatten() {
            found.option(key, value);
        }
        Self::new(found)
    }

    fn new(Found { secrets, mut values }: Found) -> Self {
        let long = |text: &&String| text.len() >= SHORTEST;
        let mut known = Known::default();
        for secret in secrets.iter().filter(long) {
            let bytes = secret.as_bytes();
            known.encoded.extend((0..3).flat_map(|before| base64_of(bytes, before)));
            if bytes.len() >= 2 * WINDOW {
                let windows = bytes.windows(WINDOW);
                known.windows.extend(windows.filter_map(|it| <[u8; WINDOW]>::try_from(it).ok()));
            }
            if bytes.len() > SHORTEST {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                values.insert(hex.to_uppercase());
                values.insert(hex);
            }
        }
        values.extend(secrets);
        known.values = values.into_iter().filter(|it| it.len() >= SHORTEST).collect();
        // One may be in another.
        known.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(Arc::new(known))
    }

    /// The text without them.
    pub fn strike(&self, text: &str) -> String {
        let mut struck = vec![false; text.len()];
        let mut mark = |range: Range<usize>| struck[range].fill(true);
        self.0.mark(text, &mut mark);
        untold(text, &mut mark);
        let mut plain = String::with_capacity(text.len());
        let mut is_within = false;
        for (at, char) in text.char_indices() {
            let is_struck = struck[at..at + char.len_utf8()].contains(&true);
            match (is_struck, is_within) {
                (false, _) => plain.push(char),
                (true, false) => plain.push_str(STRUCK),
                (true, true) => {}
            }
            is_within = is_struck;
        }
        plain
    }
}

impl Known {
    fn mark(&self, text: &str, mark: &mut impl FnMut(Range<usize>)) {
        let bytes = text.as_bytes();
        for at in 0..bytes.len() {
            for value in &self.values {
                if let Some(end) = matched(bytes, at, value.as_bytes()) {
                    mark(at..end);
                }
            }
            let window =
                bytes.get(at..at + WINDOW).and_then(|it| <[u8; WINDOW]>::try_from(it).ok());
            if !self.windows.is_empty() && window.is_some_and(|it| self.windows.contains(&it)) {
                mark(at..at + WINDOW);
            }
        }
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
        for encoded in &self.encoded {
            for (at, _) in text.match_indices(encoded.as_str()) {
                let before = bytes[..at].iter().rev().take_while(|byte| is_base64(byte)).count();
                let after = bytes[at..].iter().take_while(|byte| is_base64(byte)).count();
                mark(at - before..at + after);
            }
        }
    }
}

/// Marks what is a secret by its place: who logs in, in a URL, and what follows certain words.
fn untold(text: &str, mark: &mut impl FnMut(Range<usize>)) {
    let is_end = |char: char| char.is_whitespace() || "/?#\"`<>\\".contains(char);
    for (at, scheme) in text.match_indices("://") {
        let begin = at + scheme.len();
        let rest = &text[begin..];
        let authority = &rest[..rest.find(is_end).unwrap_or(rest.len())];
        if let Some(end) = authority.rfind('@') {
            mark(begin..begin + end);
        }
    }
    let lower = text.to_ascii_lowercase();
    for word in BEFORE {
        for (at, _) in lower.match_indices(word) {
            let is_part = |char: char| char.is_alphanumeric() || char == '_';
            if lower[..at].ends_with(is_part) {
                continue;
            }
            let rest = &text[at + word.len()..];
            let value = rest.trim_start_matches([' ', '"', '\'', '\\', ':', '=']);
            let between = &rest[..rest.len() - value.len()];
            let is_scheme = matches!(word, "bearer" | "basic");
            if between.is_empty() || !is_scheme && !between.contains([':', '=']) {
                continue;
            }
            let is_value = |char: char| char.is_ascii_alphanumeric() || "-._~+/=%".contains(char);
            let length = value.find(|char| !is_value(char)).unwrap_or(value.len());
            // Words follow these words, too; tokens have something else in them.
            let is_lower = |byte: u8| byte.is_ascii_lowercase() || b".-_".contains(&byte);
            let is_word = is_scheme && value[..length].bytes().all(is_lower);
            if length >= SHORTEST_UNTOLD && !is_word {
                let begin = text.len() - value.len();
                mark(begin..begin + length);
            }
        }
    }
}

/// Where a secret ends that begins here, with whatever escapes in it.
fn matched(text: &[u8], at: usize, secret: &[u8]) -> Option<usize> {
    secret.iter().try_fold(at, |at, byte| Some(at + step(text.get(at..)?, *byte)?))
}

/// How long a byte is here as Go, JSON, HTML or a URL writes it.
fn step(text: &[u8], byte: u8) -> Option<usize> {
    let hex = |digits: Range<usize>| {
        let digits = std::str::from_utf8(text.get(digits)?).ok()?;
        u8::from_str_radix(digits, 16).ok()
    };
    match text {
        [b'%', ..] if hex(1..3) == Some(byte) => Some(3),
        [b'\\', b'x', ..] if hex(2..4) == Some(byte) => Some(4),
        [b'\\', b'u', b'0', b'0', ..] if hex(4..6) == Some(byte) => Some(6),
        [b'\\', next, ..] if *next == byte => Some(2),
        [b'&', ..] => entity(text, byte).or((byte == b'&').then_some(1)),
        [b'+', ..] if byte == b' ' => Some(1),
        [first, ..] if *first == byte => Some(1),
        _ => None,
    }
}

/// The same of an entity of HTML.
fn entity(text: &[u8], byte: u8) -> Option<usize> {
    let named: &[&str] = match byte {
        b'&' => &["&amp;", "&#38;"],
        b'<' => &["&lt;", "&#60;"],
        b'>' => &["&gt;", "&#62;"],
        b'"' => &["&quot;", "&#34;"],
        b'\'' => &["&apos;", "&#39;"],
        b'+' => &["&#43;"],
        _ => &[],
    };
    named.iter().find(|name| text.starts_with(name.as_bytes())).map(|name| name.len())
}

/// What base64 makes of a secret after so many bytes of a group of three, without what depends
/// on what stands around it; in both alphabets.
fn base64_of(secret: &[u8], before: usize) -> Vec<String> {
    let padded = [&b"\0\0"[..before], secret].concat();
    let of = |encoded: String| {
        let from = [0, 2, 3][before];
        let to = encoded.len() - usize::from(!padded.len().is_multiple_of(3));
        encoded.get(from..to).unwrap_or_default().to_owned()
    };
    let both = [of(STANDARD_NO_PAD.encode(&padded)), of(URL_SAFE_NO_PAD.encode(&padded))];
    BTreeSet::from(both).into_iter().filter(|it| it.len() >= SHORTEST).collect()
}

/// The secrets in a configuration.
#[derive(Default)]
struct Found {
    /// Parts and encodings of these are struck out, too.
    secrets: BTreeSet<String>,
    /// These have a form of their own, with words in it that may be said.
    values: BTreeSet<String>,
}

impl Found {
    fn option(&mut self, key: &str, value: &str) {
        self.user_of(value);
        if !is_secret(key) || ["", "true", "false"].contains(&value) {
            return;
        }
        // A path has names in it that may be said.
        if key.ends_with("_file") || key.ends_with("_path") {
            self.values.insert(value.to_owned());
            return;
        }
        if let Ok(json) = serde_json::from_str::<Value>(value)
            && (json.is_object() || json.is_array())
        {
            self.values.insert(value.to_owned());
            return self.json(&json, false);
        }
        if key == "headers" {
            self.values.insert(value.to_owned());
            return self.headers(value);
        }
        if value.contains("://") {
            self.values.insert(value.to_owned());
            return self.query(value.split_once('?').map_or("", |(_, query)| query));
        }
        if value.contains(';') && value.contains('=') {
            self.values.insert(value.to_owned());
            return value.split(';').for_each(|pair| self.pair(pair));
        }
        self.secret(value);
        self.secrets.extend(revealed(value));
    }

    /// A secret, its lines, and what it is without the escapes of a URL.
    fn secret(&mut self, value: &str) {
        let decoded = percent_decode_str(value).decode_utf8_lossy();
        self.secrets.extend([value.to_owned(), decoded.into_owned()]);
        let lines = value.split('\n').flat_map(|line| line.split("\\n")).map(str::trim);
        let lines = lines.filter(|line| *line != value && !line.starts_with("-----"));
        self.secrets.extend(lines.map(str::to_owned));
    }

    /// Who logs in, in a URL: the password, or what is in the place of both.
    fn user_of(&mut self, value: &str) {
        for (_, rest) in value.split("://").zip(value.split("://").skip(1)) {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            // What isn't escaped as it should be is a secret all the same.
            let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let is_password = |(user, _): &(&str, &str)| {
                let password = user.split_once(':').map(|(_, password)| password);
                password.and_then(|it| it.split('/').next()).is_some_and(|it| !is_port(it))
            };
            let sloppy = || rest.rsplit_once('@').filter(is_password);
            let Some((user, _)) = authority.rsplit_once('@').or_else(sloppy) else { continue };
            let secret = user.split_once(':').map_or(user, |(_, password)| password);
            self.secret(secret);
        }
    }

    /// The secrets of a token or a key.
    fn json(&mut self, value: &Value, secret: bool) {
        match value {
            Value::Object(pairs) => {
                pairs.iter().for_each(|(key, value)| self.json(value, is_secret(key)));
            }
            Value::Array(values) => values.iter().for_each(|value| self.json(value, secret)),
            Value::String(text) if secret && !text.contains("://") => self.secret(text),
            _ => {}
        }
    }

    /// The values of `name,value,name,value`, and the words in them.
    fn headers(&mut self, value: &str) {
        for value in value.split(',').skip(1).step_by(2) {
            let value = value.trim().trim_matches('"');
            self.secrets.insert(value.to_owned());
            for word in value.split([' ', ';', '"']).filter(|it| it.len() >= SHORTEST_UNTOLD) {
                self.secret(word);
                self.secrets.extend(word.split_once('=').map(|(_, value)| value.to_owned()));
                let basic = base64::engine::general_purpose::STANDARD.decode(word).ok();
                let basic = basic.and_then(|basic| String::from_utf8(basic).ok());
                let password = basic.and_then(|it| Some(it.split_once(':')?.1.to_owned()));
                self.secrets.extend(password);
            }
        }
    }

    /// The values in the query of a URL.
    fn query(&mut self, query: &str) {
        let values = query.split('&').filter_map(|pair| pair.split_once('='));
        let values = values.map(|(_, value)| value);
        values.filter(|value| value.len() >= SHORTEST_UNTOLD).for_each(|value| self.secret(value));
    }

    /// `name=value` in a connection string.
    fn pair(&mut self, pair: &str) {
        let Some((key, value)) = pair.trim().split_once('=') else { return };
        let key = key.to_ascii_lowercase();
        if is_secret(&key) || key.ends_with("signature") {
            self.secret(value);
            self.query(value);
        }
    }
}

#[cfg(test)]
impl Secrets {
    /// These alone.
    pub fn test(secrets: &[&str]) -> Self {
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        Self::new(Found { secrets, ..Found::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::remote::Said;

    fn of(backend: &str, options: &[(&str, &str)]) -> Secrets {
        let options =
            options.iter().map(|(key, value)| (format!("rclone_{key}"), value.to_string()));
        let named = [("rclone_type", backend), ("location", "rclone://x")];
        let named = named.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = options.chain(named).collect();
        let said = Said { config, ..Said::default() };
        Secrets::of(&Remote::unchecked(said).unwrap().0)
    }

    #[track_caller]
    fn gone(secrets: &Secrets, text: &str, secret: &str) {
        let struck = secrets.strike(text);
        assert!(text.contains(secret), "{text}");
        assert!(struck.contains(STRUCK) && !struck.contains(secret), "{struck}");
    }

    #[test]
    fn secrets_are_found_inside_of_other_values() {
        let token = r#"{"access_token":"AAAA1-access","refresh_token":"BBBB2","expiry":"2030"}"#;
        let drive = of("drive", &[("client_secret", "s3cr3t"), ("token", token)]);
        for secret in ["s3cr3t", "AAAA1-access", "BBBB2"] {
            gone(&drive, &format!("bad {secret} in 2030"), secret);
        }
        let key = r#"{"private_key":"-----BEGIN KEY-----\nMIIEprivate\n","token_uri":"https://a.example"}"#;
        let key = of("drive", &[("service_account_credentials", key)]);
        gone(&key, "got MIIEprivate", "MIIEprivate");
        assert_eq!(key.strike("POST https://a.example"), "POST https://a.example");
        let headers =
            of("http", &[("headers", "Authorization,Bearer BearerTok42,Cookie,\"a=Crumb123\"")]);
        gone(&headers, "you sent BearerTok42", "BearerTok42");
        gone(&headers, "a cookie Crumb123", "Crumb123");
        assert_eq!(headers.strike("no Authorization"), "no Authorization");
        let sas = "https://acct.blob.core.windows.net/c?sv=2022&sig=SigSecret%2B77%3D";
        let sas = of("azureblob", &[("sas_url", sas)]);
        for secret in ["SigSecret%2B77%3D", "SigSecret+77=", "SigSecret%2b77%3d"] {
            gone(&sas, &format!("GET /c?x={secret}"), secret);
        }
        assert!(sas.strike("acct.blob.core.windows.net").contains("windows"));
        let azure = "AccountName=acct;AccountKey=S2V5U2VjcmV0;EndpointSuffix=a.example";
        let azure = of("azureblob", &[("connection_string", azure)]);
        gone(&azure, "the key S2V5U2VjcmV0", "S2V5U2VjcmV0");
        assert_eq!(azure.strike("acct.blob.a.example"), "acct.blob.a.example");
    }

    #[test]
    fn who_logs_in_by_a_url_is_struck_out_wherever_it_stands() {
        let web = of("http", &[("url", "http://user:SuperSecret%21Pw1@host/%zz")]);
        for secret in ["SuperSecret%21Pw1", "SuperSecret!Pw1"] {
            gone(&web, &format!("the password {secret} is wrong"), secret);
        }
        assert_eq!(
            web.strike("parse \"http://user:SuperSecret%21Pw1@host/%zz\": bad"),
            "parse \"http://***@host/%zz\": bad"
        );
        let other = Secrets::default();
        assert_eq!(other.strike("by http://me:pw@proxy:3128/"), "by http://***@proxy:3128/");
        assert_eq!(other.strike("GET http://host/a@b:c"), "GET http://host/a@b:c");
        gone(&of("http", &[("url", "http://me:a/b-sloppy@host/")]), "a/b-sloppy", "a/b-sloppy");
    }

    #[test]
    fn a_secret_is_struck_out_in_whatever_form_and_part_it_is_shown() {
        let password = "p4ss \"wörd\"&+/";
        let secrets = Secrets::test(&[password]);
        let go = format!("{password:?}");
        let json = serde_json::to_string(password).unwrap();
        for shown in [
            password,
            &go,
            &json,
            "p4ss%20%22w%C3%B6rd%22%26%2B%2F",
            "p4ss+%22w%c3%b6rd%22%26%2b/",
            "p4ss &#34;wörd&#34;&amp;&#43;/",
            "p4ss \\\"wörd\\\"\\u0026+/",
        ] {
            assert!(!secrets.strike(&format!("bad {shown} here")).contains("p4ss"), "{shown}");
        }
        let secrets = Secrets::test(&["davpassword99"]);
        for user in ["u", "us", "use", "a-longer-user"] {
            let basic = STANDARD_NO_PAD.encode(format!("{user}:davpassword99"));
            assert_eq!(secrets.strike(&format!("you sent {basic}==, bad")), "you sent ***, bad");
        }
        let token = "ya29.a0AfH6SMBx-0123456789-abcdefghijklmnop";
        let secrets = Secrets::test(&[token]);
        for part in [&token[..16], &token[10..30], &token[25..]] {
            assert_eq!(secrets.strike(&format!("invalid {part}... of 3")), "invalid ***... of 3");
        }
        let hex: String = "davpassword99".bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(Secrets::test(&["davpassword99"]).strike(&hex), STRUCK);
    }

    #[test]
    fn an_obscured_password_is_struck_out_as_it_is() {
        let pass = "ONKXQqMMbNUfa8HvukeLBYFQwnSehpAGSlV2Tl0";
        let webdav = of("webdav", &[("user", "me"), ("pass", pass)]);
        let basic = STANDARD_NO_PAD.encode("me:davpassword99");
        for secret in [pass, "davpassword99", &basic] {
            gone(&webdav, &format!("you sent {secret}"), secret);
        }
    }

    #[test]
    fn a_token_that_was_renewed_is_known_by_where_it_stands() {
        let secrets = Secrets::default();
        for (text, struck) in [
            ("Authorization: Bearer ya29.NEW-token", "Authorization: Bearer ***"),
            (r#"{"access_token":"NEWtoken1","x":1}"#, r#"{"access_token":"***","x":1}"#),
            ("?a=b&sig=New%2BSig1&c", "?a=b&sig=***&c"),
            ("the bearer of this", "the bearer of this"),
            ("basic authentication failed", "basic authentication failed"),
            ("a design=thing1234", "a design=thing1234"),
        ] {
            assert_eq!(secrets.strike(text), struck);
        }
    }
}
