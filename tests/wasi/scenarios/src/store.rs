//! A session of a store: its steps, and what each of them promises.

use std::ops::RangeInclusive;

use crate::Reason;
use crate::tree::{Node, bytes, directory};

/// Configuration of the stores.
pub const CONFIGURATION: &[u8] = b"configuration of a store";

/// Kind of an object, as in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A packfile.
    Packfile,
    /// A state.
    State,
    /// A lock.
    Lock,
}

impl Kind {
    fn directory(self) -> &'static str {
        match self {
            Self::Packfile => "packfiles",
            Self::State => "states",
            Self::Lock => "locks",
        }
    }
}

/// Object. Its name and its bytes depend on its kind and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Kind of the object.
    pub kind: Kind,
    /// Number of the object.
    pub number: u64,
    /// Size in bytes.
    pub size: usize,
}

impl Object {
    fn seed(self) -> u64 {
        self.number * 3 + self.kind as u64
    }

    /// Returns the name, as the contract has it.
    pub fn name(self) -> (u64, u64, u64, u64) {
        let name = bytes(!self.seed(), 32);
        let number = |at: usize| u64::from_be_bytes(name[at * 8..at * 8 + 8].try_into().unwrap());
        (number(0), number(1), number(2), number(3))
    }

    /// Returns the name as hexadecimal digits.
    pub fn hex(self) -> String {
        bytes(!self.seed(), 32).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns its bytes up to a position, which may be behind its end.
    pub fn bytes_to(self, end: usize) -> Vec<u8> {
        bytes(self.seed(), end)
    }

    /// Returns its path in the flat layout.
    pub fn flat(self) -> String {
        format!("{}/{}", self.kind.directory(), self.hex())
    }

    /// Returns its path in the nested layout.
    pub fn nested(self) -> String {
        format!("{}/{}/{}", self.kind.directory(), &self.hex()[..2], self.hex())
    }

    /// Returns it as a file of a flat store.
    pub fn as_flat(self) -> Node {
        self.at(self.flat())
    }

    /// Returns it as a file of a nested store.
    pub fn as_nested(self) -> Node {
        self.at(self.nested())
    }

    fn at(self, path: String) -> Node {
        Node { path, bytes: Some(self.bytes_to(self.size)), modified: (1_700_000_000, 0) }
    }
}

/// Returns a packfile.
pub fn packfile(number: u64, size: usize) -> Object {
    Object { kind: Kind::Packfile, number, size }
}

/// Returns a state.
pub fn state(number: u64, size: usize) -> Object {
    Object { kind: Kind::State, number, size }
}

/// Returns a lock.
pub fn lock(number: u64) -> Object {
    Object { kind: Kind::Lock, number, size: 200 }
}

/// Returns a store with these files, besides its configuration and its directories.
pub fn store_with(nodes: impl IntoIterator<Item = Node>) -> Vec<Node> {
    let config = Node {
        path: "CONFIG".to_owned(),
        bytes: Some(CONFIGURATION.to_vec()),
        modified: (1_700_000_000, 0),
    };
    let directories = ["packfiles", "states", "locks"].map(directory);
    [config].into_iter().chain(directories).chain(nodes).collect()
}

/// Makes a text static. The scenarios are few.
pub fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Promised end of a call: success, or a reason and a part of the message or of the help.
pub type End = Result<(), (Reason, &'static str)>;

/// Step of a session.
#[derive(Debug, Clone)]
pub enum Step {
    /// Opens the session.
    Open(End),
    /// Reaches the remote.
    Ping(End),
    /// Creates the store.
    Create(End),
    /// Reads the configuration.
    Configuration(End),
    /// The number of bytes of the store.
    Size(u64),
    /// A listing, and the objects that it returns, in any order.
    List(Kind, Vec<Object>),
    /// A listing that fails: its reason, and a part of the message or of the help.
    ListFails(Kind, Reason, &'static str),
    /// Uploads an object.
    Put(Object, End),
    /// An upload whose content fails after half of its bytes.
    PutBroken(Object),
    /// Reads an object.
    Get(Object, End),
    /// A read of a range: offset and length.
    GetRange(Object, u64, u64, End),
    /// Removes an object.
    Delete(Object, End),
    /// Ends the session.
    Finish(End),
    /// Steps at the same time.
    AtOnce(Vec<Step>),
    /// Steps one after the other, as one of those at the same time.
    InTurn(Vec<Step>),
    /// Waits for a call whose log begins with these words.
    Until(String),
    /// Something else writes a file.
    Write(Node),
    /// Something else removes a file.
    Remove(String),
    /// The remote has a file of this size now, or none.
    Has(String, Option<usize>),
    /// The number of calls so far whose log begins with these words.
    Calls(String, RangeInclusive<usize>),
    /// The log of the first call is before that of the second one.
    InOrder(String, String),
}
