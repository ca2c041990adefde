//! The exchange of a client and a service before Plakar's bytes: one message in each direction, a
//! length in two bytes and JSON of that length.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connector::{Failure, Reason};
use crate::direction::Direction;

/// Version of this protocol.
pub const VERSION: u32 = 1;

/// Time limit for each message, and for the TLS handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Request of a client.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub version: u32,
    pub role: Direction,
}

/// Response of a service.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// The session is granted; Plakar's bytes follow.
    Welcome { session: String },
    /// The session is refused.
    Refused {
        message: String,
        #[serde(default)]
        help: Option<String>,
    },
}

impl Reply {
    /// Converts a refusal into an error.
    ///
    /// # Errors
    ///
    /// The service refused the session.
    pub fn into_result(self) -> Result<(), Failure> {
        match self {
            Self::Welcome { .. } => Ok(()),
            Self::Refused { message, help } => {
                Err(Failure { help, ..Failure::new(Reason::Denied, message) })
            }
        }
    }
}

/// Sends a message.
///
/// # Errors
///
/// The connection fails, or the peer doesn't take the message in time.
pub async fn send(
    writer: &mut (impl AsyncWrite + Unpin),
    message: &impl Serialize,
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u16::try_from(text.len()).map_err(io::Error::other)?;
    let sent = async {
        writer.write_all(&[&length.to_be_bytes(), text.as_slice()].concat()).await?;
        writer.flush().await
    };
    tokio::time::timeout(HANDSHAKE_TIMEOUT, sent)
        .await
        .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

/// Receives a message, and reads no byte beyond it.
///
/// # Errors
///
/// The connection fails, the message isn't valid, or it doesn't arrive in time.
pub async fn receive<T: DeserializeOwned>(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let received = async {
        let mut text = vec![0; usize::from(reader.read_u16().await?)];
        reader.read_exact(&mut text).await?;
        Ok(serde_json::from_slice(&text)?)
    };
    tokio::time::timeout(HANDSHAKE_TIMEOUT, received)
        .await
        .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_message_is_received_and_nothing_beyond_it() {
        let (mut client, mut service) = tokio::io::duplex(1 << 16);
        let hello = Hello { version: VERSION, role: Direction::Backup };
        send(&mut client, &hello).await.unwrap();
        client.write_all(b"after").await.unwrap();
        assert_eq!(receive::<Hello>(&mut service).await.unwrap(), hello);
        let mut rest = [0; 5];
        service.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"after");
        let help = Some("ask its operator".to_owned());
        let refused = Reply::Refused { message: "no".to_owned(), help };
        send(&mut service, &refused).await.unwrap();
        let failure = receive::<Reply>(&mut client).await.unwrap().into_result().unwrap_err();
        assert_eq!(failure, Failure::denied("no").with_help("ask its operator"));
        client.write_all(b"\0\x03yes").await.unwrap();
        assert!(receive::<Hello>(&mut service).await.is_err(), "it isn't a valid message");
        let silence = receive::<Hello>(&mut service).await.unwrap_err();
        assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
    }
}
