//! The secrets of a remote, which no message may show in any form that a server, rclone or a
//! library gives them.
//!
//! - [`collector`]: collects them from a configuration
//! - [`escapes`]: their encodings in messages
//! - [`unknown`]: secrets that aren't in the configuration

mod collector;
mod escapes;
mod unknown;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::Remote;
use crate::connector::Failure;
use collector::SecretCollector;
use escapes::{base64_forms, match_escaped};
use unknown::mark_unknown;

/// The shortest secret that is redacted. Shorter ones are in too many words.
const MIN_SECRET_BYTES: usize = 4;

/// The length of the parts of a secret that are redacted by themselves, if it is at least twice
/// as long.
const WINDOW_BYTES: usize = 12;

/// The text in a secret's place.
const REDACTED: &str = "***";

/// The values that are redacted in messages. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Patterns>);

#[derive(Default)]
struct Patterns {
    /// Values that are found with any escapes in them.
    values: Vec<String>,
    /// Values in base64, at each offset of a group of three bytes.
    encoded: Vec<String>,
    /// Each [`WINDOW_BYTES`] of bytes in a row of long secrets.
    windows: HashSet<[u8; WINDOW_BYTES]>,
}

impl Secrets {
    /// The secrets in the configuration of a remote.
    pub fn from_remote(remote: &Remote) -> Self {
        let mut found = SecretCollector::default();
        for (key, value) in remote.sections().values().flatten() {
            found.option(key, value);
        }
        Self::new(found)
    }

    fn new(SecretCollector { secrets, mut values }: SecretCollector) -> Self {
        let long = |text: &&String| text.len() >= MIN_SECRET_BYTES;
        let mut patterns = Patterns::default();
        for secret in secrets.iter().filter(long) {
            let bytes = secret.as_bytes();
            patterns.encoded.extend((0..3).flat_map(|before| base64_forms(bytes, before)));
            if bytes.len() >= 2 * WINDOW_BYTES {
                let windows = bytes.windows(WINDOW_BYTES);
                patterns
                    .windows
                    .extend(windows.filter_map(|it| <[u8; WINDOW_BYTES]>::try_from(it).ok()));
            }
            if bytes.len() > MIN_SECRET_BYTES {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                values.insert(hex.to_uppercase());
                values.insert(hex);
            }
        }
        values.extend(secrets);
        patterns.values = values.into_iter().filter(|it| it.len() >= MIN_SECRET_BYTES).collect();
        // A shorter value may be part of a longer one.
        patterns.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(Arc::new(patterns))
    }

    /// Replaces the secrets in a failure.
    pub fn redact_failure(&self, Failure { reason, message, help }: &Failure) -> Failure {
        let help = help.as_ref().map(|help| self.redact(help));
        Failure { reason: *reason, message: self.redact(message), help }
    }

    /// Replaces the secrets in a text.
    pub fn redact(&self, text: &str) -> String {
        let mut marked = vec![false; text.len()];
        let mut mark = |range: Range<usize>| marked[range].fill(true);
        self.0.mark(text, &mut mark);
        mark_unknown(text, &mut mark);
        let mut plain = String::with_capacity(text.len());
        let mut is_within = false;
        for (at, char) in text.char_indices() {
            let is_marked = marked[at..at + char.len_utf8()].contains(&true);
            match (is_marked, is_within) {
                (false, _) => plain.push(char),
                (true, false) => plain.push_str(REDACTED),
                (true, true) => {}
            }
            is_within = is_marked;
        }
        plain
    }
}

impl Patterns {
    /// Marks each range of the text that has a secret.
    fn mark(&self, text: &str, mark: &mut impl FnMut(Range<usize>)) {
        let bytes = text.as_bytes();
        for at in 0..bytes.len() {
            for value in &self.values {
                if let Some(end) = match_escaped(bytes, at, value.as_bytes()) {
                    mark(at..end);
                }
            }
            let window = bytes
                .get(at..at + WINDOW_BYTES)
                .and_then(|it| <[u8; WINDOW_BYTES]>::try_from(it).ok());
            if !self.windows.is_empty() && window.is_some_and(|it| self.windows.contains(&it)) {
                mark(at..at + WINDOW_BYTES);
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

#[cfg(test)]
impl Secrets {
    /// Redacts only these values.
    pub fn test(secrets: &[&str]) -> Self {
        let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        Self::new(SecretCollector { secrets, ..SecretCollector::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rclone::remote::RemoteSpec;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;

    fn of(backend: &str, options: &[(&str, &str)]) -> Secrets {
        let options =
            options.iter().map(|(key, value)| (format!("rclone_{key}"), value.to_string()));
        let named = [("rclone_type", backend), ("location", "rclone://x")];
        let named = named.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = options.chain(named).collect();
        let spec = RemoteSpec { config, ..RemoteSpec::default() };
        Secrets::from_remote(&Remote::from_plakar_unchecked(spec).unwrap().0)
    }

    #[track_caller]
    fn assert_redacted(secrets: &Secrets, text: &str, secret: &str) {
        let struck = secrets.redact(text);
        assert!(text.contains(secret), "{text}");
        assert!(struck.contains(REDACTED) && !struck.contains(secret), "{struck}");
    }

    #[test]
    fn secrets_are_found_inside_of_other_values() {
        let token = r#"{"access_token":"AAAA1-access","refresh_token":"BBBB2","expiry":"2030"}"#;
        let drive = of("drive", &[("client_secret", "s3cr3t"), ("token", token)]);
        for secret in ["s3cr3t", "AAAA1-access", "BBBB2"] {
            assert_redacted(&drive, &format!("bad {secret} in 2030"), secret);
        }
        let key = r#"{"private_key":"-----BEGIN KEY-----\nMIIEprivate\n","token_uri":"https://a.example"}"#;
        let key = of("drive", &[("service_account_credentials", key)]);
        assert_redacted(&key, "got MIIEprivate", "MIIEprivate");
        assert_eq!(key.redact("POST https://a.example"), "POST https://a.example");
        let headers =
            of("http", &[("headers", "Authorization,Bearer BearerTok42,Cookie,\"a=Crumb123\"")]);
        assert_redacted(&headers, "you sent BearerTok42", "BearerTok42");
        assert_redacted(&headers, "a cookie Crumb123", "Crumb123");
        assert_eq!(headers.redact("no Authorization"), "no Authorization");
        let sas = "https://acct.blob.core.windows.net/c?sv=2022&sig=SigSecret%2B77%3D";
        let sas = of("azureblob", &[("sas_url", sas)]);
        for secret in ["SigSecret%2B77%3D", "SigSecret+77=", "SigSecret%2b77%3d"] {
            assert_redacted(&sas, &format!("GET /c?x={secret}"), secret);
        }
        assert!(sas.redact("acct.blob.core.windows.net").contains("windows"));
        let azure = "AccountName=acct;AccountKey=S2V5U2VjcmV0;EndpointSuffix=a.example";
        let azure = of("azureblob", &[("connection_string", azure)]);
        assert_redacted(&azure, "the key S2V5U2VjcmV0", "S2V5U2VjcmV0");
        assert_eq!(azure.redact("acct.blob.a.example"), "acct.blob.a.example");
    }

    #[test]
    fn who_logs_in_by_a_url_is_struck_out_wherever_it_stands() {
        let web = of("http", &[("url", "http://user:SuperSecret%21Pw1@host/%zz")]);
        for secret in ["SuperSecret%21Pw1", "SuperSecret!Pw1"] {
            assert_redacted(&web, &format!("the password {secret} is wrong"), secret);
        }
        assert_eq!(
            web.redact("parse \"http://user:SuperSecret%21Pw1@host/%zz\": bad"),
            "parse \"http://***@host/%zz\": bad"
        );
        let other = Secrets::default();
        assert_eq!(other.redact("by http://me:pw@proxy:3128/"), "by http://***@proxy:3128/");
        assert_eq!(other.redact("GET http://host/a@b:c"), "GET http://host/a@b:c");
        assert_redacted(
            &of("http", &[("url", "http://me:a/b-sloppy@host/")]),
            "a/b-sloppy",
            "a/b-sloppy",
        );
    }

    #[test]
    fn a_secret_is_struck_out_in_the_help_of_a_failure_as_well() {
        let secrets = Secrets::test(&["s3cret"]);
        let failure = Failure::denied("no s3cret").with_help("remove s3cret");
        let redacted = secrets.redact_failure(&failure);
        assert_eq!(redacted, Failure::denied("no ***").with_help("remove ***"));
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
            assert!(!secrets.redact(&format!("bad {shown} here")).contains("p4ss"), "{shown}");
        }
        let secrets = Secrets::test(&["davpassword99"]);
        for user in ["u", "us", "use", "a-longer-user"] {
            let basic = STANDARD_NO_PAD.encode(format!("{user}:davpassword99"));
            assert_eq!(secrets.redact(&format!("you sent {basic}==, bad")), "you sent ***, bad");
        }
        let token = "ya29.a0AfH6SMBx-0123456789-abcdefghijklmnop";
        let secrets = Secrets::test(&[token]);
        for part in [&token[..16], &token[10..30], &token[25..]] {
            assert_eq!(secrets.redact(&format!("invalid {part}... of 3")), "invalid ***... of 3");
        }
        let hex: String = "davpassword99".bytes().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(Secrets::test(&["davpassword99"]).redact(&hex), REDACTED);
    }

    #[test]
    fn an_obscured_password_is_struck_out_as_it_is() {
        let pass = "ONKXQqMMbNUfa8HvukeLBYFQwnSehpAGSlV2Tl0";
        let webdav = of("webdav", &[("user", "me"), ("pass", pass)]);
        let basic = STANDARD_NO_PAD.encode("me:davpassword99");
        for secret in [pass, "davpassword99", &basic] {
            assert_redacted(&webdav, &format!("you sent {secret}"), secret);
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
            assert_eq!(secrets.redact(text), struck);
        }
    }
}
