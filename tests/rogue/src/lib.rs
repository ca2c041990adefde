//! A component that does what no connector should. The remote's path says what.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "connector", generate_all });
}

use bindings::exports::plakar::connector::{exporter, importer};
use bindings::plakar::connector::rclone;
use bindings::plakar::connector::types::{Content, Entry, Failure, Location, Remote};
use wit_bindgen::{FutureReader, StreamReader};

struct Rogue;

impl importer::Guest for Rogue {
    async fn open(remote: Remote) -> Result<Location, Failure> {
        match remote.root.trim_start_matches('/') {
            "trap" => core::arch::wasm32::unreachable(),
            "loop" => loop {
                std::hint::black_box(0);
            },
            "allocate" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1_u8; 1 << 20]);
                    std::hint::black_box(&hoard);
                }
            }
            // What lies outside the remote, by whatever words.
            path => match rclone::cat(path.replace('!', "/"), None).await {
                Ok(_) => Ok(Location { root: "/".into() }),
                Err(failure) => Err(failure),
            },
        }
    }

    async fn ping() -> Result<(), Failure> {
        core::arch::wasm32::unreachable()
    }

    async fn scan(
        _: StreamReader<String>,
    ) -> (StreamReader<importer::Discovery>, FutureReader<Result<(), Failure>>) {
        core::arch::wasm32::unreachable()
    }

    async fn read(_: String) -> Result<Content, Failure> {
        core::arch::wasm32::unreachable()
    }
}

impl exporter::Guest for Rogue {
    async fn open(_: Remote) -> Result<Location, Failure> {
        core::arch::wasm32::unreachable()
    }

    async fn ping() -> Result<(), Failure> {
        core::arch::wasm32::unreachable()
    }

    async fn write(_: Entry, _: Option<Content>) -> Result<(), Failure> {
        core::arch::wasm32::unreachable()
    }

    async fn finish() -> Result<(), Failure> {
        core::arch::wasm32::unreachable()
    }
}

bindings::export!(Rogue with_types_in bindings);
