//! Compiles `proto` without `protoc`, so that building needs no tool beyond the
//! Rust toolchain.

#![allow(clippy::disallowed_methods, reason = "Cargo tells where by the environment")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use protox::prost::Message;

/// The root that imports in the proto files are relative to.
const ROOT: &str = "../../proto";

/// The file whose answers are written by hand.
const LOOKUP: &str = "hitherto/v1/lookup.proto";

/// Every file of the contract.
const FILES: [&str; 11] = [
    "arrow/flight/Flight.proto",
    "feast/serving/ServingService.proto",
    "feast/types/Value.proto",
    "hitherto/v1/access.proto",
    "hitherto/v1/diagnostics.proto",
    "hitherto/v1/job.proto",
    "hitherto/v1/lookup.proto",
    "hitherto/v1/push.proto",
    "hitherto/v1/registry.proto",
    "hitherto/v1/selection.proto",
    "hitherto/v1/training_set.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let in_root = |file: &str| Path::new(ROOT).join(file);
    let descriptors = protox::compile(FILES.map(in_root), [ROOT])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("contract.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_transport(false)
        .btree_map(".")
        .bytes(".arrow.flight.protocol")
        .compile_fds(descriptors)?;
    // The lookup service once more, for a server that writes its answers by hand.
    let written = out.join("written");
    fs::create_dir_all(&written)?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .out_dir(&written)
        .codec_path("crate::answer::AnswerCodec")
        .extern_path(".hitherto.v1", "crate::v1")
        .extern_path(".hitherto.v1.LookupResponse", "crate::answer::Answer")
        .compile_fds(protox::compile([in_root(LOOKUP)], [ROOT])?)?;
    Ok(())
}
