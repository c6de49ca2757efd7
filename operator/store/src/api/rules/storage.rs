//! Claims to volumes.

use serde_json::Value;

use super::{Errors, amount, list, text};

const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

pub(super) fn claim(errors: &mut Errors, claim: &Value) {
    let spec = &claim["spec"];
    if list(&spec["accessModes"]).is_empty() {
        errors.required("spec.accessModes", "at least 1 access mode is required");
    }
    for mode in list(&spec["accessModes"]) {
        if !MODES.contains(&text(mode)) {
            errors.not_supported("spec.accessModes", mode, &MODES);
        }
    }
    let storage = &spec["resources"]["requests"]["storage"];
    match amount(storage) {
        None => errors.required("spec.resources[storage]", ""),
        Some(amount) if amount <= 0.0 => {
            errors.invalid("spec.resources[storage]", storage, "must be greater than zero");
        }
        Some(_) => {}
    }
}
