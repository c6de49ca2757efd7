//! Any bytes as a manifest: what is accepted is written and read back the same.
#![no_main]

use homeport_bundle::{Manifest, check_compatibility};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(manifest) = Manifest::from_json(data) else { return };
    check_compatibility(&manifest).expect("what is parsed is compatible");
    let problems = manifest.problems();
    assert_eq!(manifest.stacks_in_order().len(), manifest.stacks.len());
    let json = manifest.to_json().expect("what was read can be written");
    let again = Manifest::from_json(&json).expect("what was written can be read");
    assert_eq!(again, manifest);
    assert_eq!(again.problems(), problems);
});
