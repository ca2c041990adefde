//! Parser of a listing that arrives in pieces.

use super::item::Item;
use crate::bindings::plakar::connector::types::{Failure, Reason};

/// Maximum length of a line. A path has at most some kilobytes: a longer line shows that the
/// program that prints it is broken.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Maximum number of bytes of a line that are shown in an error.
const MAX_SHOWN_BYTES: usize = 120;

/// Error for a listing that cannot be parsed.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    #[error("rclone's listing has a line of more than {MAX_LINE_BYTES} bytes")]
    LineTooLong,
    #[error("rclone's listing has an invalid line (`{line}`): {error}")]
    InvalidEntry { line: String, error: serde_json::Error },
    #[error("rclone's listing continues after its end")]
    TrailingData,
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::new(Reason::Corrupted, error.to_string())
    }
}

/// Parser of one listing.
#[derive(Default)]
pub struct Parser {
    /// Start of a line whose end hasn't arrived yet.
    partial: Vec<u8>,
    /// Whether the closing bracket has arrived.
    is_closed: bool,
}

impl Parser {
    /// Ends the listing: parses the line that has no end, and returns whether the closing
    /// bracket has arrived. rclone ends the line of an item only when another one follows, so
    /// without a bracket the last item is still to be parsed.
    ///
    /// # Errors
    ///
    /// That line is invalid.
    pub fn end(&mut self, each: impl FnMut(Item)) -> Result<bool, ParseError> {
        if !self.partial.is_empty() {
            self.feed(b"\n", each)?;
        }
        Ok(self.is_closed)
    }

    /// Parses the next bytes and passes each item that they complete to `each`.
    ///
    /// # Errors
    ///
    /// A line is invalid.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Item)) -> Result<(), ParseError> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.partial.is_empty() {
                self.parse_line(line, &mut each)?;
            } else {
                let mut joined = std::mem::take(&mut self.partial);
                joined.extend_from_slice(line);
                self.parse_line(&joined, &mut each)?;
            }
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > MAX_LINE_BYTES {
            return Err(ParseError::LineTooLong);
        }
        Ok(())
    }

    /// Parses one line. For remotes that list several others at once (combine), rclone may
    /// print two objects on one line, and a comma on another.
    fn parse_line(&mut self, line: &[u8], each: &mut impl FnMut(Item)) -> Result<(), ParseError> {
        if line.len() > MAX_LINE_BYTES {
            return Err(ParseError::LineTooLong);
        }
        match line {
            b"" | b"[" | b"," => {}
            _ if self.is_closed => return Err(ParseError::TrailingData),
            b"]" | b"[]" => self.is_closed = true,
            _ => {
                let objects = line.strip_suffix(b",").unwrap_or(line);
                for item in serde_json::Deserializer::from_slice(objects).into_iter() {
                    each(item.map_err(|error| {
                        let shown = &objects[..objects.len().min(MAX_SHOWN_BYTES)];
                        let line = String::from_utf8_lossy(shown).into_owned();
                        ParseError::InvalidEntry { line, error }
                    })?);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = concat!(
        "[\n",
        concat!(
            r#"{"Path":"a","Name":"a","Size":-1,"MimeType":"inode/directory","#,
            r#""ModTime":"2000-01-01T00:00:00.000000000Z","IsDir":true},"#,
        ),
        "\n",
        concat!(
            r#"{"Path":"a/ü\n","Name":"ü\n","Size":3,"ModTime":"2001-02-03T05:05:06.000000007+01:"#,
            r#"00","IsDir":false,"ID":"x1"},"#,
        ),
        "\n",
        r#"{"Path":"b","Name":"b","Size":-1,"ModTime":"1969-12-31T23:59:59.5Z","IsDir":false}"#,
        "\n]\n"
    );

    fn parse(pieces: &[&[u8]]) -> (Vec<Item>, bool) {
        let mut parser = Parser::default();
        let mut items = Vec::new();
        for piece in pieces {
            parser.feed(piece, |item| items.push(item)).unwrap();
        }
        let complete = parser.end(|item| items.push(item)).unwrap();
        (items, complete)
    }

    #[test]
    fn a_listing_parses_the_same_wherever_it_is_cut() {
        let bytes = LISTING.as_bytes();
        for cut in 0..=bytes.len() {
            let (items, complete) = parse(&[&bytes[..cut], &bytes[cut..]]);
            let paths: Vec<_> = items.iter().map(|item| item.path.as_str()).collect();
            assert_eq!(paths, ["a", "a/ü\n", "b"], "cut at {cut}");
            assert!(complete, "cut at {cut}");
        }
    }

    #[test]
    fn a_listing_without_its_bracket_is_not_complete_and_keeps_its_last_item() {
        let broken = LISTING.strip_suffix("\n]\n").unwrap();
        let (items, complete) = parse(&[broken.as_bytes()]);
        assert_eq!((items.len(), complete), (3, false));
        let mut parser = Parser::default();
        parser.feed(&broken.as_bytes()[..broken.len() - 5], |_| ()).unwrap();
        assert!(matches!(parser.end(|_| ()), Err(ParseError::InvalidEntry { .. })));
    }

    #[test]
    fn a_listing_whose_lines_were_printed_at_the_same_time_keeps_every_item() {
        let mixed = b"[\n,\n{\"Path\":\"a\"}{\"Path\":\"b\"},\n{\"Path\":\"c\"}\n]\n";
        let (items, complete) = parse(&[mixed]);
        let paths: Vec<_> = items.iter().map(|item| item.path.as_str()).collect();
        assert_eq!((paths, complete), (vec!["a", "b", "c"], true));
    }

    #[test]
    fn any_input_parses_the_same_in_any_pieces() {
        use proptest::prelude::*;
        let word = prop_oneof![
            4 => prop::sample::select(vec![
                "[\n", "]\n", ",\n", "\n", "{\"Path\":\"a\",\"Size\":-1}",
                "{\"Path\":\"b/\\u0000\",\"Size\":99999999999999999999}",
                "{\"Path\":\"c\",\"ModTime\":\"9999-99-99T00:00:00Z\",\"IsDir\":true,\"ID\":\"x\"}",
                "{", "}", "\"", "[]",
            ]).prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..40),
        ];
        let input = (prop::collection::vec(word, 0..16), 1_usize..50);
        crate::random_inputs::check_property(input, |(words, size)| {
            let bytes = words.concat();
            let read = |pieces: &[&[u8]]| {
                let mut parser = Parser::default();
                let mut paths = Vec::new();
                let fed = pieces.iter().try_for_each(|piece| {
                    parser.feed(piece, |item| {
                        item.metadata();
                        paths.push(item.path);
                    })
                });
                let end = fed.and_then(|()| parser.end(|item| paths.push(item.path)));
                (paths, end.map_err(|error| error.to_string()))
            };
            let unsplit = read(&[&bytes]);
            assert_eq!(unsplit, read(&bytes.chunks(size).collect::<Vec<_>>()));
        });
    }

    #[test]
    fn invalid_input_is_an_error_and_not_an_entry() {
        let mut parser = Parser::default();
        assert!(matches!(parser.feed(b"[\nhello\n", |_| ()), Err(ParseError::InvalidEntry { .. })));
        let mut parser = Parser::default();
        let too_long = vec![b'x'; MAX_LINE_BYTES + 1];
        assert!(matches!(parser.feed(&too_long, |_| ()), Err(ParseError::LineTooLong)));
        let mut parser = Parser::default();
        assert!(matches!(parser.feed(b"[\n]\n{}\n", |_| ()), Err(ParseError::TrailingData)));
    }
}
