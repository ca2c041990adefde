//! Collects the secrets of a configuration.

use base64::Engine;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::BTreeSet;

use super::super::obscured::reveal;
use super::unknown::MIN_UNKNOWN_SECRET_BYTES;
use crate::policy::is_secret;

/// The secrets of a configuration.
#[derive(Default)]
pub struct SecretCollector {
    /// Secrets of which parts and encodings are redacted, too.
    pub secrets: BTreeSet<String>,
    /// Values that are only redacted as a whole, since harmless words are in them.
    pub values: BTreeSet<String>,
}

impl SecretCollector {
    /// Collects the secrets in the value of an option.
    pub fn option(&mut self, key: &str, value: &str) {
        self.url_password(value);
        if !is_secret(key) || ["", "true", "false"].contains(&value) {
            return;
        }
        // The names in a path are harmless.
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
        self.secrets.extend(reveal(value));
    }

    /// Collects a secret, its lines, and its form without the escapes of a URL.
    fn secret(&mut self, value: &str) {
        let decoded = percent_decode_str(value).decode_utf8_lossy();
        self.secrets.extend([value.to_owned(), decoded.into_owned()]);
        let lines = value.split('\n').flat_map(|line| line.split("\\n")).map(str::trim);
        let lines = lines.filter(|line| *line != value && !line.starts_with("-----"));
        self.secrets.extend(lines.map(str::to_owned));
    }

    /// Collects the password in a URL, or the user where there is no password.
    fn url_password(&mut self, value: &str) {
        for (_, rest) in value.split("://").zip(value.split("://").skip(1)) {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            // A password that isn't escaped as it should be is a secret, too.
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

    /// Collects the secrets in a token or a key.
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

    /// Collects the values of `name,value,name,value`, and the words in them.
    fn headers(&mut self, value: &str) {
        for value in value.split(',').skip(1).step_by(2) {
            let value = value.trim().trim_matches('"');
            self.secrets.insert(value.to_owned());
            for word in
                value.split([' ', ';', '"']).filter(|it| it.len() >= MIN_UNKNOWN_SECRET_BYTES)
            {
                self.secret(word);
                self.secrets.extend(word.split_once('=').map(|(_, value)| value.to_owned()));
                let basic = base64::engine::general_purpose::STANDARD.decode(word).ok();
                let basic = basic.and_then(|basic| String::from_utf8(basic).ok());
                let password = basic.and_then(|it| Some(it.split_once(':')?.1.to_owned()));
                self.secrets.extend(password);
            }
        }
    }

    /// Collects the values in the query of a URL.
    fn query(&mut self, query: &str) {
        let values = query.split('&').filter_map(|pair| pair.split_once('='));
        let values = values.map(|(_, value)| value);
        values
            .filter(|value| value.len() >= MIN_UNKNOWN_SECRET_BYTES)
            .for_each(|value| self.secret(value));
    }

    /// Collects the secret in a `name=value` of a connection string.
    fn pair(&mut self, pair: &str) {
        let Some((key, value)) = pair.trim().split_once('=') else { return };
        let key = key.to_ascii_lowercase();
        if is_secret(&key) || key.ends_with("signature") {
            self.secret(value);
            self.query(value);
        }
    }
}
