//! What a client and a service say before Plakar's bytes go by: one message each, a length
//! in two bytes and that much JSON.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::connector::{Failure, Reason};
use crate::direction::Direction;

/// The version of this exchange.
pub const VERSION: u32 = 1;

/// How long the other side may take for its message.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a client wants.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub version: u32,
    pub role: Direction,
}

/// What a service answers.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The bytes that follow are Plakar's.
    Welcome {
        session: String,
    },
    Refused {
        message: String,
    },
}

impl Answer {
    pub fn into_result(self) -> Result<(), Failure> {
        match self {
            Self::Welcome { .. } => Ok(()),
            Self::Refused { message } => Err(Failure::new(Reason::Denied, message)),
        }
    }
}

/// Says something, to a side that may not listen.
pub async fn send(to: &mut (impl AsyncWrite + Unpin), what: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(what)?;
    let length = u16::try_from(text.len()).map_err(io::Error::other)?;
    let sent = async {
        to.write_all(&[&length.to_be_bytes(), text.as_slice()].concat()).await?;
        to.flush().await
    };
    tokio::time::timeout(HANDSHAKE_TIMEOUT, sent)
        .await
        .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

/// Hears what the other side says, and not a byte of what comes after.
pub async fn receive<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> io::Result<T> {
    let received = async {
        let mut text = vec![0; usize::from(from.read_u16().await?)];
        from.read_exact(&mut text).await?;
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
    async fn each_side_hears_what_the_other_said_and_not_more() {
        let (mut client, mut service) = tokio::io::duplex(1 << 16);
        let hello = Hello { version: VERSION, role: Direction::Backup };
        send(&mut client, &hello).await.unwrap();
        client.write_all(b"after").await.unwrap();
        assert_eq!(receive::<Hello>(&mut service).await.unwrap(), hello);
        let mut rest = [0; 5];
        service.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"after");
        client.write_all(b"\0\x03yes").await.unwrap();
        assert!(receive::<Hello>(&mut service).await.is_err(), "it makes no sense");
        let silence = receive::<Hello>(&mut service).await.unwrap_err();
        assert_eq!(silence.kind(), io::ErrorKind::TimedOut);
    }
}
