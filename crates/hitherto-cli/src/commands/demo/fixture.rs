//! The repository that the demo runs on: fixtures/icu, inside the binary.
//!
//! Real, de-identified intensive-care data; `data/SOURCE.md` names source and
//! licence and is written with them.

use std::fs;
use std::path::Path;

use hitherto_core::Result;
use hitherto_engine::disk::unwritable;

/// The label rows, by path in the repository.
pub const SPINE: &str = "spine.parquet";
/// The script that builds the training set in Python.
pub const SCRIPT: &str = "training_set.py";
/// The feature service that the tour asks for.
pub const SERVICE: &str = "deterioration_v1";
/// The one that has windows, too, and so all views.
pub const WITH_WINDOWS: &str = "deterioration_v2";
/// A feature that is computed here of many results, with a story of its own.
pub const WINDOW: &str = "creatinine_windows:creatinine_mg_dl_max_48h";

/// Pairs of a path in fixtures/icu and the file's bytes.
macro_rules! embedded {
    ($($path:literal,)*) => {
        [$((
            $path,
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/icu/", $path))
                .as_slice(),
        )),*]
    };
}

const FILES: [(&str, &[u8]); 17] = embedded![
    "README.md",
    "hitherto.yaml",
    "entities.yaml",
    "views/attributes.yaml",
    "views/labs.yaml",
    "views/ventilator.yaml",
    "views/vitals.yaml",
    "views/windows.yaml",
    "services.yaml",
    "data/SOURCE.md",
    "data/clif_hospitalization.parquet",
    "data/clif_labs.parquet",
    "data/clif_patient.parquet",
    "data/clif_respiratory_support.parquet",
    "data/clif_vitals.parquet",
    "spine.parquet",
    "training_set.py",
];

/// Writes the repository into a folder.
///
/// # Errors
/// `Unavailable` when the disk refuses.
pub fn write(folder: &Path) -> Result<()> {
    for (name, bytes) in FILES {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|cause| unwritable(&path, cause))?;
    }
    Ok(())
}
