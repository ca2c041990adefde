//! Makes the client's side of Plakar's plugin protocol.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=../host/proto");
    let files =
        protox::compile(["importer.proto", "exporter.proto", "store.proto"], ["../host/proto"])?;
    tonic_prost_build::configure().bytes(".").build_server(false).compile_fds(files)?;
    Ok(())
}
