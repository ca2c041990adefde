//! Makes the types of Plakar's plugin protocol from `proto/`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../wit");
    let files = protox::compile(["importer.proto", "exporter.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".").build_client(false).compile_fds(files)?;
    Ok(())
}
